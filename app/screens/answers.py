"""Cached questions to the engine, so that moving a slider asks nothing twice."""

from functools import partial

import pandas as pd
import streamlit as st

from app.cell_types import generated_reference, reference_of_index
from app.screens.asked_log import noted
from app.screens.session import Options, engine, items_of, options, slides, stamp
from encoders.contracts import Modality
from encoders.gene_lists import WeightedGenes
from indexer.genes.shipped import shipped_tables
from search.annotation.annotate import Annotating, Annotation
from search.annotation.classes import classes_of_lines
from search.annotation.items import Using
from search.cells.composition import Composition
from search.cells.manner import Source
from search.cells.reference import CellReference
from search.explanation.explain import Explanation
from search.expression.prediction import Prediction
from search.expression.standouts import StandoutGene
from search.gene_names import aliases_of, names_of
from search.groups.cohorts import By, Cohorts
from search.query import ItemQuery, Query
from search.result import SearchResult
from search.retrieval.filters import Exclude
from search.retrieval.slide_parts import SlideParts
from search.sections.alignment import Model
from search.sections.section_alignment import SlideAlignment

_COVERAGE = 0.9
_KEPT = 256  # answers of each kind kept in memory


def hits(
    query: Query,
    *,
    target: Modality,
    k: int,
    kind: str | None = None,
    where: str | None = None,
    exclude: Exclude = "auto",
) -> SearchResult:
    """Answer of `Engine.search`."""
    asked = query.describe() | {"target": target, "k": k, "kind": kind, "where": where, "exclude": exclude}
    work = partial(_hits, options().db, stamp(), query, target, k, kind, where, exclude)
    return noted("search", asked, work)


def hits_ahead(query: Query, *, target: Modality, k: int) -> SearchResult:
    """What `hits` answers without filters, worked out before anybody asks, and noted nowhere."""
    return _hits(options().db, stamp(), query, target, k, None, None, "auto")


def similarity(query: Query, slide: str) -> pd.DataFrame:
    """Answer of `Engine.similarity_map`, with the item ids."""
    return _similarity(options().db, stamp(), query, slide)


def gene_values(gene: str, slide: str) -> pd.DataFrame:
    """Columns `id`, `value`: `log(1 + counts per 10,000)` of a gene of the panel, NaN without counts."""
    return _gene_values(options().db, stamp(), gene, slide)


def thumbnails(ids: tuple[str, ...]) -> list[bytes | None]:
    """JPEG of each item's patch, `None` where it has no picture."""
    return _thumbnails(options().db, stamp(), ids)


def standouts(ids: tuple[str, ...]) -> list[tuple[StandoutGene, ...]]:
    """Answer of `Engine.standout_genes`."""
    return _standouts(options().db, stamp(), ids)


def panel() -> list[str]:
    """Symbols an expression query may name, in alphabetical order."""
    return _panel(options().db, stamp())


def gene_aliases() -> dict[str, tuple[str, ...]]:
    """Other names of the symbols of the panel, of those that have any."""
    return _gene_aliases(options().db, stamp())


def current_genes(genes: WeightedGenes) -> tuple[WeightedGenes, tuple[tuple[str, str], ...]]:
    """The list under the symbols of the panel, and what was read as what; see `search.gene_names`."""
    current, read = names_of(engine().index.genes).read_list(genes)
    return current, read.renamed


def similar_slides(slide: str, k: int) -> SearchResult:
    """Answer of `Engine.similar_slides`."""
    work = partial(_similar_slides, options().db, stamp(), slide, k)
    return noted("search", {"type": "slide", "slide": slide, "k": k}, work)


def slide_parts(slide: str, other: str, side: Modality) -> SlideParts:
    """Answer of `Engine.slide_parts`."""
    return _slide_parts(options().db, stamp(), slide, other, side)


def prediction(query: Query, *, genes: tuple[str, ...], where: str | None, exclude: Exclude) -> Prediction:
    """Answer of `Engine.predict_expression` with intervals and predictability; without genes, those that stand out."""
    asked = query.describe() | {"genes": genes, "where": where, "exclude": exclude}
    return noted("predict", asked, partial(_prediction, options().db, stamp(), query, genes, where, exclude))


def compositions(query: Query, *, where: str | None, exclude: Exclude) -> tuple[Composition, ...]:
    """Answers of `Engine.decompose` with this server's reference: from own counts if there are any, and from hits."""
    asked = query.describe() | {"where": where, "exclude": exclude}
    return noted("decompose", asked, partial(_compositions, options(), stamp(), query, where, exclude))


def cohorts(query: Query, *, by: By, target: Modality, where: str | None, exclude: Exclude) -> Cohorts:
    """Answer of `Engine.cohorts`."""
    asked = query.describe() | {"by": by, "target": target, "where": where, "exclude": exclude}
    return noted("cohorts", asked, partial(_cohorts, options().db, stamp(), query, by, target, where, exclude))


def annotation(slide: str, classes: str, *, using: Using | None, rate: float, smooth: bool) -> Annotation:
    """Answer of `Engine.annotate` by marker genes, a line a class: its name, a colon, its genes."""
    asked = {"slide": slide, "classes": classes, "using": using, "rate": rate, "smooth": smooth}
    return noted("annotate", asked, partial(_annotation, options().db, stamp(), slide, classes, using, rate, smooth))


def alignment(slide: str, other: str, *, using: Modality | None, model: Model, mirror: bool) -> SlideAlignment:
    """Answer of `Engine.align`."""
    asked = {"slide": slide, "other": other, "using": using, "model": model, "mirror": mirror}
    return noted("align", asked, partial(_alignment, options().db, stamp(), slide, other, using, model, mirror))


def explanation(query: Query, item: str, *, target: Modality) -> Explanation:
    """Answer of `Engine.explain`."""
    asked = query.describe() | {"item": item, "target": target}
    return noted("explain", asked, partial(_explanation, options().db, stamp(), query, item, target))


@st.cache_data(max_entries=_KEPT, show_spinner="Searching")
def _hits(
    db: str,  # noqa: ARG001 - db and version are here to be part of the cache key
    version: str,  # noqa: ARG001
    query: Query,
    target: Modality,
    k: int,
    kind: str | None,
    where: str | None,
    exclude: Exclude,
) -> SearchResult:
    return engine().search(query, target=target, k=k, kind=kind, where=where or None, exclude=exclude)


@st.cache_data(max_entries=_KEPT, show_spinner="Comparing")
def _similarity(db: str, version: str, query: Query, slide: str) -> pd.DataFrame:  # noqa: ARG001
    table: pd.DataFrame = engine().similarity_map(query, slide).to_pandas()
    return table


@st.cache_data(max_entries=_KEPT, show_spinner=False)
def _gene_values(db: str, version: str, gene: str, slide: str) -> pd.DataFrame:  # noqa: ARG001
    catalogue, table = engine().catalogue, items_of(slide)
    column = list(catalogue.index.genes).index(gene)
    counts = catalogue.index.expression(catalogue.rows_where("slide", slide))[:, [column]].toarray().ravel()
    totals = table["total_counts"].to_numpy(dtype=float)
    shares = pd.Series(counts / totals).where(totals > 0)
    return pd.DataFrame({"id": table["id"], "value": (1e4 * shares).transform("log1p")})


@st.cache_data(max_entries=_KEPT, show_spinner=False)
def _thumbnails(db: str, version: str, ids: tuple[str, ...]) -> list[bytes | None]:  # noqa: ARG001
    return list(engine().index.thumbnails(engine().catalogue.rows_of(ids)))


@st.cache_data(max_entries=_KEPT, show_spinner=False)
def _standouts(db: str, version: str, ids: tuple[str, ...]) -> list[tuple[StandoutGene, ...]]:  # noqa: ARG001
    return engine().standout_genes(ids)


@st.cache_data(max_entries=2, show_spinner=False)
def _panel(db: str, version: str) -> list[str]:  # noqa: ARG001
    return sorted(engine().index.genes)


@st.cache_resource(max_entries=2, show_spinner=False)  # one for all: it is never changed
def _gene_aliases(db: str, version: str) -> dict[str, tuple[str, ...]]:  # noqa: ARG001
    return aliases_of(engine().index.genes, shipped_tables())


@st.cache_data(max_entries=_KEPT, show_spinner="Comparing slides")
def _similar_slides(db: str, version: str, slide: str, k: int) -> SearchResult:  # noqa: ARG001
    return engine().similar_slides(slide, k=k)


@st.cache_data(max_entries=_KEPT, show_spinner="Matching parts")
def _slide_parts(db: str, version: str, slide: str, other: str, side: Modality) -> SlideParts:  # noqa: ARG001
    return engine().slide_parts(slide, other, using=side)


@st.cache_data(max_entries=_KEPT, show_spinner="Predicting")
def _prediction(
    db: str,  # noqa: ARG001
    version: str,  # noqa: ARG001
    query: Query,
    genes: tuple[str, ...],
    where: str | None,
    exclude: Exclude,
) -> Prediction:
    return engine().predict_expression(
        query, genes=genes or None, n_genes=24, where=where, exclude=exclude, coverage=_COVERAGE
    )


@st.cache_data(max_entries=_KEPT, show_spinner="Decomposing")
def _compositions(
    chosen: Options,
    version: str,
    query: Query,
    where: str | None,
    exclude: Exclude,
) -> tuple[Composition, ...]:
    reference = cell_reference(chosen, version)
    sources: tuple[Source, ...] = ("counts", "hits") if _has_counts(query) else ("hits",)
    return tuple(
        engine().decompose(query, reference, source=source, where=where, exclude=exclude) for source in sources
    )


@st.cache_resource(max_entries=2, show_spinner="Reading the cell-type reference")
def cell_reference(chosen: Options, version: str) -> CellReference:  # noqa: ARG001
    """The reference given with the server, else the labelled cells of the index, else that of generated tissue."""
    if chosen.reference is not None:
        return chosen.reference.read()
    if slides()["generated"].all():
        return generated_reference()
    return reference_of_index(engine())


def _has_counts(query: Query) -> bool:
    if not isinstance(query, ItemQuery):
        return False
    catalogue = engine().catalogue
    return (catalogue.value(catalogue.row_of(query.id), "total_counts") or 0) > 0


@st.cache_data(max_entries=_KEPT, show_spinner="Comparing cohorts")
def _cohorts(
    db: str,  # noqa: ARG001
    version: str,  # noqa: ARG001
    query: Query,
    by: By,
    target: Modality,
    where: str | None,
    exclude: Exclude,
) -> Cohorts:
    return engine().cohorts(query, by=by, target=target, where=where, exclude=exclude)


@st.cache_data(max_entries=_KEPT, show_spinner="Telling classes")
def _annotation(
    db: str,  # noqa: ARG001
    version: str,  # noqa: ARG001
    slide: str,
    classes: str,
    using: Using | None,
    rate: float,
    smooth: bool,  # noqa: FBT001 - cached by its value
) -> Annotation:
    return engine().annotate(slide, classes_of_lines(classes), Annotating(using, rate=rate, smooth=smooth))


@st.cache_data(max_entries=_KEPT, show_spinner="Laying one slide over the other")
def _alignment(
    db: str,  # noqa: ARG001
    version: str,  # noqa: ARG001
    slide: str,
    other: str,
    using: Modality | None,
    model: Model,
    mirror: bool,  # noqa: FBT001 - cached by its value
) -> SlideAlignment:
    sides = None if using is None else (using, using)
    return engine().align(slide, other, using=sides, model=model, mirror=mirror)


@st.cache_data(max_entries=_KEPT, show_spinner="Looking for what makes the score")
def _explanation(db: str, version: str, query: Query, item: str, target: Modality) -> Explanation:  # noqa: ARG001
    return engine().explain(query, item, target=target)
