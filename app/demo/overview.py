"""The demo in one picture; it stands at the head of the gallery."""

from dataclasses import replace

from app.demo.choice import Choice
from app.demo.figures import cohorts_bars, map_of, predicted_bars
from app.exports.report_section import NamedFigure, Section
from app.figures.overview import Overview, overview_figure
from app.figures.pictures import hit_pictures, item_picture
from app.tables.hits import index_provenance
from search.engine import Engine
from search.query import ItemQuery

_HITS, _GENES = 5, 12


def overview_section(engine: Engine, choice: Choice) -> Section:
    """The picture with the sentence that explains it."""
    asked = (
        f"Query: the picture of {choice.spot}, {choice.spot_rule}. Above: the tissue of other slides that looks "
        "most like it. Below: how much the slide of the first hit looks like it; the regions and cell types of its "
        "hits by expression; and the genes predicted from the picture, beside the measured ones."
    )
    figure = NamedFigure(
        "overview", "A query and what HistoSeek says of it.", lambda: overview_figure(_view(engine, choice))
    )
    return Section("overview", "Overview: one query, all answers", asked, [], [figure])


def _view(engine: Engine, choice: Choice) -> Overview:
    query = ItemQuery(choice.spot, using="image")
    hits = engine.search(query, target="image", k=_HITS)
    first = hits.table.slice(0, 1).to_pylist()[0]
    found = engine.similarity_map(query, first["slide"], target="image")
    cohorts = cohorts_bars(engine.cohorts(query, by="label"), "Nearest regions and cell types", engine)
    predicted = predicted_bars(engine.predict_expression(query, n_genes=_GENES), choice.spot, engine)
    return Overview(
        title="HistoSeek: search tissue by what it looks like and by what it expresses",
        subtitle=f"Query: {choice.spot_rule}; hits from all other slides, by picture, one physical scale",
        query=item_picture(engine, choice.spot),
        hits=hit_pictures(engine, hits),
        slide_map=map_of(
            engine,
            found,
            title=f"Slide {first['slide']}, where the first hit lies",
            subtitle="cosine of each spot's picture with the query",
            mark=first["id"],
            mark_name="hit 1",
        ),
        left_bars=replace(cohorts, subtitle="of the hits by expression that have one"),
        right_bars=replace(predicted, subtitle="from the picture alone; whiskers: sd over the hits"),
        provenance=index_provenance(engine),
    )
