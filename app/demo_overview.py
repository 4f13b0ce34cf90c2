"""The demo in one picture; it stands at the head of the gallery."""

from dataclasses import replace

from app.demo_choice import Choice
from app.demo_figures import cohorts_bars, map_of, predicted_bars
from app.gallery_section import NamedFigure, Section
from app.hit_tables import index_provenance
from app.overview import Overview, overview_figure
from app.pictures import hit_pictures, item_picture
from search.engine import Engine
from search.query import GenesQuery, ItemQuery

_HITS, _GENES = 5, 12


def overview_section(engine: Engine, choice: Choice) -> Section:
    """The picture with the sentence that explains it."""
    asked = (
        f"Above: {choice.spot}, {choice.spot_rule}, and the tissue of other slides that looks like it. Below: how "
        f"much slide {choice.slide} looks like the gene list {choice.genes}; where the hits come from; and the genes "
        "predicted from the picture beside the measured ones."
    )
    figure = NamedFigure(
        "overview", "A query and what HistoSeek says of it.", lambda: overview_figure(_view(engine, choice))
    )
    return Section("overview", "Overview: one query, all answers", asked, [], [figure])


def _view(engine: Engine, choice: Choice) -> Overview:
    query = ItemQuery(choice.spot, using="image")
    hits = engine.search(query, target="image", k=_HITS)
    found = engine.similarity_map(GenesQuery(choice.genes), choice.slide, target="image")
    row = engine.catalogue.row_of(choice.spot)
    place = (engine.catalogue.value(row, "x_px"), engine.catalogue.value(row, "y_px"))
    cohorts = cohorts_bars(engine.cohorts(query, by="label"), "Nearest regions and cell types", engine)
    predicted = predicted_bars(engine.predict_expression(query, n_genes=_GENES), choice.spot, engine)
    return Overview(
        title="HistoSeek: search tissue by what it looks like and by what it expresses",
        subtitle=f"Query: {choice.spot_rule}; hits from all other slides, by picture",
        query=item_picture(engine, choice.spot),
        hits=hit_pictures(engine, hits),
        slide_map=map_of(
            engine,
            found,
            title=f"Gene query on slide {choice.slide}",
            subtitle=f"{choice.genes}: cosine with each spot's picture",
            query=place,
        ),
        left_bars=replace(cohorts, subtitle=f"{cohorts.subtitle.split(';')[0]}, tested over patients"),
        right_bars=replace(predicted, subtitle="from the picture alone, with the spread over the hits"),
        provenance=index_provenance(engine),
    )
