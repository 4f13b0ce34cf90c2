"""Query in, hits and analyses out."""

from search.annotation.annotate import Annotating, Annotation
from search.annotation.bulk import bulk_profiles, read_bulk
from search.annotation.classes import marker_classes, marker_set, read_markers
from search.batch import BatchResult
from search.cells.cell_vectors import CellVectors, cell_vectors_from_h5ad, cell_vectors_of_index
from search.cells.composition import Composition
from search.cells.manner import Manner
from search.cells.reference import CellReference, reference_from_counts, reference_from_h5ad
from search.cells.signatures import reference_from_table
from search.cells.slide_composition import SlideComposition
from search.composing.regions import region_from_geojson
from search.engine import Engine
from search.expression.prediction import Prediction
from search.groups.cohorts import Cohorts
from search.groups.mixing import Mixing, MixingQuestion
from search.query import (
    ComposedQuery,
    ExamplesQuery,
    GenesQuery,
    GroupQuery,
    ItemQuery,
    PatchQuery,
    ProfileQuery,
    Query,
    RegionQuery,
    SentenceQuery,
    SlideQuery,
    VectorQuery,
)
from search.query_form import query_from_dict
from search.result import Findings, Plan, SearchResult
from search.retrieval.similarity import SimilarityMap

__all__ = [
    "Annotating",
    "Annotation",
    "BatchResult",
    "CellReference",
    "CellVectors",
    "Cohorts",
    "ComposedQuery",
    "Composition",
    "Engine",
    "ExamplesQuery",
    "Findings",
    "GenesQuery",
    "GroupQuery",
    "ItemQuery",
    "Manner",
    "Mixing",
    "MixingQuestion",
    "PatchQuery",
    "Plan",
    "Prediction",
    "ProfileQuery",
    "Query",
    "RegionQuery",
    "SearchResult",
    "SentenceQuery",
    "SimilarityMap",
    "SlideComposition",
    "SlideQuery",
    "VectorQuery",
    "bulk_profiles",
    "cell_vectors_from_h5ad",
    "cell_vectors_of_index",
    "marker_classes",
    "marker_set",
    "query_from_dict",
    "read_bulk",
    "read_markers",
    "reference_from_counts",
    "reference_from_h5ad",
    "reference_from_table",
    "region_from_geojson",
]
