"""The verbs as one call each: options of a request to arguments of the engine."""

from app import searches
from app.api.engines import EngineHolder
from app.api.predicted_places import PredictedPlaces
from app.api.requests import (
    AlignRequest,
    AnnotateRequest,
    CohortsOptions,
    DecomposeOptions,
    DecomposeSlideRequest,
    ExplainOptions,
    MapOptions,
    MixingRequest,
    PredictOptions,
    PredictSlideRequest,
    SearchOptions,
)
from search.annotation.annotate import Annotating, Annotation
from search.annotation.bulk import bulk_of_items
from search.annotation.classes import Classes, known_sets, marker_classes, marker_set
from search.cells.composition import Composition
from search.cells.manner import Manner
from search.cells.slide_composition import SlideComposition
from search.engine import Engine
from search.errors import AnnotationError
from search.explanation.explain import Explanation
from search.expression.prediction import Prediction
from search.groups.cohorts import Cohorts
from search.groups.mixing import Mixing, MixingQuestion
from search.query import Query
from search.result import SearchResult
from search.retrieval.similarity import SimilarityMap
from search.sections.section_alignment import SlideAlignment

_DECOMPOSED_K = 50


def search(engine: Engine, query: Query, options: SearchOptions) -> SearchResult:
    """`histoseek search`."""
    named = set(SearchOptions.model_fields)
    given = options.model_dump(include=named, exclude_unset=True, exclude_none=True)
    return searches.search(engine, query, **given)


def predict(engine: Engine, query: Query, options: PredictOptions) -> Prediction:
    """`histoseek predict`."""
    return engine.predict_expression(
        query,
        genes=options.genes,
        n_genes=options.n_genes,
        k=options.k,
        mode=options.mode,
        where=options.where,
        exclude=options.exclude,
        coverage=options.coverage,
    )


def decompose(holder: EngineHolder, query: Query, options: DecomposeOptions) -> Composition:
    """`histoseek decompose`, into the cell types of the server."""
    return holder.engine().decompose(
        query,
        holder.cell_types(),
        source=options.source,
        manner=Manner(method=options.method, of=options.of),
        k=options.k or _DECOMPOSED_K,
        where=options.where,
        exclude=options.exclude,
    )


def decompose_slide(holder: EngineHolder, asked: DecomposeSlideRequest) -> SlideComposition:
    """`histoseek decompose --slide --out`: every place of a slide."""
    return holder.engine().decompose_slide(
        asked.slide,
        holder.cell_types(),
        items=asked.items,
        source=asked.source,
        manner=Manner(method=asked.method, of=asked.of),
        k=asked.k or _DECOMPOSED_K,
        where=asked.where,
        exclude=asked.exclude,
    )


def explain(engine: Engine, query: Query, options: ExplainOptions) -> Explanation:
    """`histoseek explain`."""
    return engine.explain(query, options.item, target=options.target, pictures=options.pictures)


def predict_slide(engine: Engine, asked: PredictSlideRequest) -> PredictedPlaces:
    """`histoseek predict --slide`: every place of a slide."""
    return PredictedPlaces.of(engine.predict_slide(**dict(asked)))


def mixing(engine: Engine, asked: MixingRequest) -> Mixing:
    """`histoseek mixing`."""
    return engine.mixing(MixingQuestion(**dict(asked)))


def cohorts(engine: Engine, query: Query, options: CohortsOptions) -> Cohorts:
    """`histoseek cohorts`."""
    return engine.cohorts(
        query,
        by=options.by,
        k=options.k,
        target=options.target,
        kind=options.kind,
        where=options.where,
        exclude=options.exclude,
    )


def similarity_map(engine: Engine, query: Query, options: MapOptions) -> SimilarityMap:
    """Similarity of every place of a slide."""
    return engine.similarity_map(query, options.slide, target=options.target)


def align(engine: Engine, asked: AlignRequest) -> SlideAlignment:
    """`histoseek align`."""
    return engine.align(asked.slide, asked.other, using=asked.using, model=asked.model, mirror=asked.mirror)


def annotate(engine: Engine, asked: AnnotateRequest) -> Annotation:
    """`histoseek annotate`. Raises `AnnotationError` unless one place and one way to name the classes is given."""
    if (asked.slide is None) == (asked.items is None):
        raise AnnotationError("Give either slide or items: where the classes are to be told.")
    manner = Annotating(asked.using, asked.kind, asked.mode, asked.temperature, asked.rate, asked.smooth)
    return engine.annotate(asked.slide or asked.items or (), _classes(asked), manner)


def _classes(asked: AnnotateRequest) -> Classes:
    ways = {"markers": asked.markers, "set": asked.set, "bulk_items": asked.bulk_items}
    given = [way for way, value in ways.items() if value is not None]
    if len(given) != 1:
        raise AnnotationError(f"Got {' and '.join(given) or 'no classes'}; give exactly one of {', '.join(ways)}.")
    if asked.markers is not None:
        return marker_classes(asked.markers)
    if asked.bulk_items is not None:
        return bulk_of_items(asked.bulk_items)
    if asked.set not in known_sets():  # it is looked up as a file
        raise AnnotationError(f"There is no set {asked.set!r}; known: {', '.join(known_sets())}.")
    return marker_set(asked.set)
