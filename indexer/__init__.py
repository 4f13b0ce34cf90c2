"""Files in, index out: the manifest, one reader a format, tissue and tiles, the store and its vector sidecars."""

from indexer.build import BuildReport, FailedSlide, build_index
from indexer.card import IndexCard
from indexer.given_vectors import GivenVectors, index_vectors
from indexer.index import Index
from indexer.manifest import Dataset, Manifest, load_manifest
from indexer.slides import Expression, SlideFacts, SlideImage, SlideSource
from indexer.sources import open_sources
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
    "SlideSource",
    "build_index",
    "find_problems",
    "index_vectors",
    "load_manifest",
    "open_sources",
]
