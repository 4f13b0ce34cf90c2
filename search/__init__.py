"""Query in, hits and analyses out."""

from search.batch import BatchResult
from search.cells.composition import Composition, Manner
from search.cells.reference import CellReference, reference_from_counts, reference_from_h5ad
from search.engine import Engine
from search.expression.prediction import Prediction
from search.groups.cohorts import Cohorts
from search.query import (
    GenesQuery,
    ItemQuery,
    PatchQuery,
    ProfileQuery,
    Query,
    SentenceQuery,
    SlideQuery,
    VectorQuery,
)
from search.result import Findings, Plan, SearchResult
from search.retrieval.similarity import SimilarityMap

__all__ = [
    "BatchResult",
    "CellReference",
    "Cohorts",
    "Composition",
    "Engine",
    "Findings",
    "GenesQuery",
    "ItemQuery",
    "Manner",
    "PatchQuery",
    "Plan",
    "Prediction",
    "ProfileQuery",
    "Query",
    "SearchResult",
    "SentenceQuery",
    "SimilarityMap",
    "SlideQuery",
    "VectorQuery",
    "reference_from_counts",
    "reference_from_h5ad",
]
