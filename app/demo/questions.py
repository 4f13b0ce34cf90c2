"""The questions of the demo: one of each kind, asked of a built index."""

from collections.abc import Callable, Iterator

from app.cell_types import generated_reference, reference_of_index
from app.demo.choice import Choice
from app.demo.data import DemoData
from app.demo.figures import cell_types_figure, cohorts_bars, map_of, predicted_bars
from app.exports.report_section import NamedFigure, Section
from app.figures.bars import bars_figure
from app.figures.gallery import Gallery, gallery_figure
from app.figures.pictures import hit_pictures, item_picture, slide_pictures
from app.figures.slide_map import map_figure
from app.tables.analyses import cohorts_table, prediction_table
from app.tables.composition import composition_table
from app.tables.hits import hits_table, index_provenance, provenance
from search.cells.reference import CellReference
from search.engine import Engine
from search.query import GenesQuery, ItemQuery
from search.result import SearchResult

_K, _N_GENES = 10, 16
Question = Callable[[], Section]


def questions(engine: Engine, choice: Choice, data: DemoData) -> Iterator[tuple[str, Question]]:
    """What the demo asks, in order: a name to show while it runs, and the question itself."""
    yield "image -> expression", lambda: image_to_expression(engine, choice)
    yield "expression -> image", lambda: expression_to_image(engine, choice)
    yield "slide -> slide", lambda: slide_to_slide(engine, choice)
    yield "item -> item", lambda: item_to_item(engine, choice)
    yield "nearest cohorts", lambda: nearest_cohorts(engine, choice)
    yield "predicted expression", lambda: predicted_expression(engine, choice)
    if data.generated:
        yield (
            "cell types",
            lambda: cell_types(engine, choice, generated_reference(), "the profiles they were drawn from"),
        )
    elif (engine.catalogue.column("kind") == "cell").any():
        merged = "".join(f"; {old} are counted as {new}" for old, new in data.merged_types.items())
        reference = reference_of_index(engine, merge=data.merged_types)
        yield "cell types", lambda: cell_types(engine, choice, reference, f"the labelled cells of the index{merged}")


def image_to_expression(engine: Engine, choice: Choice) -> Section:
    """Transcriptomes that match the picture of a spot."""
    result = engine.search(ItemQuery(choice.spot, using="image"), target="expression", k=_K)
    title = "Image → expression: which transcriptomes match this tissue?"
    asked = (
        f"Query: the picture of {choice.spot}, {choice.spot_rule}. Compared with expression; its own slide is left out."
    )

    def draw() -> Gallery:
        hits = hit_pictures(engine, result)
        return Gallery(title, asked, item_picture(engine, choice.spot), hits, _data(engine, result))

    figure = NamedFigure(
        "image_to_expression",
        "The query (left) and its ten nearest transcriptomes, with their own tissue where they have an image and their "
        "place on the section where they have none.",
        lambda: gallery_figure(draw()),
    )
    return _search_section("image_to_expression", title, asked, engine, result, [figure])


def expression_to_image(engine: Engine, choice: Choice) -> Section:
    """Tissue that looks like a gene list, and where it lies on a slide."""
    query = GenesQuery(choice.genes)
    result = engine.search(query, target="image", k=_K)
    found = engine.similarity_map(query, choice.slide, target="image")
    title = "Expression → image: where does the tissue look like these genes?"
    asked = f"Query: the genes {choice.genes} (HER2 twofold, an epithelial keratin, no vimentin), among all pictures."
    on_map = f"Genes {choice.genes} on slide {choice.slide}, by the look of the tissue alone"
    figures = [
        NamedFigure(
            "expression_to_image",
            "The ten tiles and spots of all slides whose picture lies nearest to the gene list.",
            lambda: gallery_figure(Gallery(title, asked, None, hit_pictures(engine, result), _data(engine, result))),
        ),
        NamedFigure(
            "similarity_map",
            f"How much each place of slide {choice.slide} looks like the gene list; counts were not used here.",
            lambda: map_figure(map_of(engine, found, title="Similarity map", subtitle=on_map)),
        ),
    ]
    section = _search_section("expression_to_image", title, asked, engine, result, figures)
    section.payload["map"] = found.to_dict()
    return section


def slide_to_slide(engine: Engine, choice: Choice) -> Section:
    """Slides most like a slide."""
    result = engine.similar_slides(choice.slide, k=_K)
    title = "Slide → slide: which sections are most like this one?"
    side = result.query["target"]
    asked = f"Query: slide {choice.slide}, {choice.slide_rule}. Compared by {side}; its own patient is left out."

    def draw() -> Gallery:
        query, *hits = slide_pictures(engine, result, choice.slide)
        return Gallery(title, asked, query, hits, _data(engine, result))

    figure = NamedFigure(
        "slide_to_slide",
        "The query section (left) and its nearest ones, at one scale; those without an image are shown by their spots.",
        lambda: gallery_figure(draw()),
    )
    return _search_section("slide_to_slide", title, asked, engine, result, [figure])


def item_to_item(engine: Engine, choice: Choice) -> Section:
    """Tissue that looks like a tile."""
    result = engine.search(ItemQuery(choice.tile, using="image"), target="image", k=_K)
    title = "Item → item: which tissue looks like this tile?"
    asked = (
        f"Query: the picture of {choice.tile}, {choice.tile_rule}. Compared with pictures; its own slide is left out."
    )

    def draw() -> Gallery:
        hits = hit_pictures(engine, result)
        return Gallery(title, asked, item_picture(engine, choice.tile), hits, _data(engine, result))

    figure = NamedFigure(
        "item_to_item", "The query tile (left) and the ten most similar ones.", lambda: gallery_figure(draw())
    )
    return _search_section("item_to_item", title, asked, engine, result, [figure])


def nearest_cohorts(engine: Engine, choice: Choice) -> Section:
    """Data sets and regions that a spot's hits come from."""
    query = ItemQuery(choice.spot, using="image")
    by_cohort = engine.cohorts(query, by="cohort")
    by_label = engine.cohorts(query, by="label")
    source = index_provenance(engine)
    title = "Nearest cohorts: where do tissues like this one come from?"
    asked = f"Query: the picture of {choice.spot}, {choice.spot_rule}; its own patient is left out."
    figures = [
        NamedFigure(
            "cohorts",
            "Share of the hits in each data set, beside the share by chance (dot).",
            lambda: bars_figure(cohorts_bars(by_cohort, "Nearest cohorts", engine)),
        ),
        NamedFigure(
            "regions",
            "The same by the pathologist's region or the cell type, where a hit has one.",
            lambda: bars_figure(cohorts_bars(by_label, "Nearest regions and cell types", engine)),
        ),
    ]
    tables = [
        cohorts_table(by_cohort, title="By data set", provenance=source),
        cohorts_table(by_label, title="By region or cell type", provenance=source),
    ]
    payload = {"by_cohort": by_cohort.to_dict(), "by_label": by_label.to_dict()}
    return Section("cohorts", title, asked, tables, figures, payload)


def predicted_expression(engine: Engine, choice: Choice) -> Section:
    """Genes of a spot predicted from its picture, beside what was measured."""
    found = engine.predict_expression(ItemQuery(choice.spot, using="image"), n_genes=_N_GENES)
    title = "Predicted expression: which genes does this tissue express?"
    asked = (
        f"Query: the picture of {choice.spot}, {choice.spot_rule}. Shown: the {_N_GENES} genes predicted furthest "
        "above their mean in the index; the spot's own counts are shown beside them and were not used."
    )
    figure = NamedFigure(
        "predicted_expression",
        "Predicted from the picture (bars, with the spread over the neighbours) and measured in the spot (dots).",
        lambda: bars_figure(predicted_bars(found, choice.spot, engine)),
    )
    table = prediction_table(found, title="Predicted and measured", provenance=index_provenance(engine))
    return Section("predicted_expression", title, asked, [table], [figure], found.to_dict())


def cell_types(engine: Engine, choice: Choice, reference: CellReference, origin: str) -> Section:
    """Cell types of a spot from its counts, and of a tile from its hits."""
    spot = engine.decompose(ItemQuery(choice.spot, using="expression"), reference, source="counts")
    tile = engine.decompose(ItemQuery(choice.tile, using="image"), reference, source="hits")
    source = index_provenance(engine)
    title = "Cell types: what is this tissue made of?"
    asked = (
        f"Queries: the counts of {choice.spot}, {choice.spot_rule}; and the picture of {choice.tile}, "
        f"{choice.tile_rule}, through the counts of its hits. Reference: {origin}."
    )
    figure = NamedFigure(
        "cell_types",
        "Cell types of the spot from its own counts (left) and of the tile from its hits (right).",
        lambda: cell_types_figure(spot, tile, choice, engine),
    )
    tables = [
        composition_table(spot, title=f"Spot {choice.spot}, from its counts", provenance=source),
        composition_table(tile, title=f"Tile {choice.tile}, from its hits", provenance=source),
    ]
    return Section("cell_types", title, asked, tables, [figure], {"spot": spot.to_dict(), "tile": tile.to_dict()})


def _search_section(
    key: str, title: str, asked: str, engine: Engine, result: SearchResult, figures: list[NamedFigure]
) -> Section:
    table = hits_table(result, title=title, space=engine.space.card)
    return Section(key, title, asked, [table], figures, result.to_dict())


def _data(engine: Engine, result: SearchResult) -> str:
    return provenance(result.table.to_pylist(), space=engine.space.card)
