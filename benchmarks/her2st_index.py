"""An index of her2st in the shipped space, which has not seen patient B: made once for several measurements."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from encoders.registry import open_space
from indexer.building.build import build_index
from indexer.datasets.manifest import load_manifest
from indexer.sources import open_sources
from search.engine import Engine
from search.training.run import MINI_DATA

#: Two patients with pictures, and a section of each of the others.
_QUICK_SLIDES = ("A1", "B4", "C2", "D1", "E1", "F1", "G2", "H1")


@contextmanager
def her2st_engine(*, quick: bool) -> Iterator[Engine]:
    """An engine over all sections, or over eight of them."""
    with tempfile.TemporaryDirectory() as folder:
        db = Path(folder, "index")
        slides = list(_QUICK_SLIDES) if quick else None
        build_index(db, open_sources(MINI_DATA, manifest=load_manifest(), slides=slides), open_space("mini"))
        yield Engine.open(db)
