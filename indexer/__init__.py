"""Files in, index out: the manifest, one reader a format, tissue and tiles, the store and its vector sidecars.

Names are imported when they are asked for: opening an index for a search needs none of what builds one.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from indexer.building.build import build_index
    from indexer.building.given_vectors import GivenVectors, index_vectors
    from indexer.building.report import BuildReport, FailedSlide, SlideRun
    from indexer.datasets.manifest import Dataset, Manifest, load_manifest
    from indexer.index import Index
    from indexer.slides import Expression, SlideFacts, SlideImage, SlideSource
    from indexer.sources import open_sources
    from indexer.store.card import IndexCard
    from indexer.verification import find_problems

_HOMES = {
    "BuildReport": "indexer.building.report",
    "Dataset": "indexer.datasets.manifest",
    "Expression": "indexer.slides",
    "FailedSlide": "indexer.building.report",
    "GivenVectors": "indexer.building.given_vectors",
    "Index": "indexer.index",
    "IndexCard": "indexer.store.card",
    "Manifest": "indexer.datasets.manifest",
    "SlideFacts": "indexer.slides",
    "SlideImage": "indexer.slides",
    "SlideRun": "indexer.building.report",
    "SlideSource": "indexer.slides",
    "build_index": "indexer.building.build",
    "find_problems": "indexer.verification",
    "index_vectors": "indexer.building.given_vectors",
    "load_manifest": "indexer.datasets.manifest",
    "open_sources": "indexer.sources",
}

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


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
