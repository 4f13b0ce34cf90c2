"""Files in, index out: the manifest, one reader a format, tissue and tiles, the store and its vector sidecars."""

from indexer.building.build import build_index
from indexer.building.given_vectors import GivenVectors, index_vectors
from indexer.building.report import BuildReport, FailedSlide, SlideRun
from indexer.datasets.manifest import Dataset, Manifest, load_manifest
from indexer.index import Index
from indexer.slides import Expression, SlideFacts, SlideImage, SlideSource
from indexer.sources import open_sources
from indexer.store.card import IndexCard
from indexer.verification import find_problems

__all__ = [
    "BuildReport",
    "Dataset",
    "Expression",
    "FailedSlide",
    "GivenVectors",
    "Index",
    "IndexCard",
    "Manifest",
    "SlideFacts",
    "SlideImage",
    "SlideRun",
    "SlideSource",
    "build_index",
    "find_problems",
    "index_vectors",
    "load_manifest",
    "open_sources",
]
