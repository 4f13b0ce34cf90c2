"""What decides the rows of a slide, as one digest: with the same digest it need not be read again."""

import hashlib
import json
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path

from indexer.datasets.digests import sha256_of
from indexer.features.tiled_slides import TiledSlide
from indexer.slides import HasRemarks, SlideSource
from indexer.store.card import BuildSettings


def content_sha256(source: SlideSource, settings: BuildSettings) -> str:
    """Digest of all that decides the rows of a slide: its files, its facts, and the settings of the build."""
    facts = json.dumps(asdict(source.facts), sort_keys=True)
    files = sorted(f"{path.name} {_digest_once(path, *_stamp(path))}" for path in source.files)
    files += [source.tiles.stated] if isinstance(source, TiledSlide) else []
    read_with = source.read_with if isinstance(source, HasRemarks) else ""
    files += [read_with] if read_with else []
    return hashlib.sha256("\n".join([settings.digest(), source.kind, facts, *files]).encode()).hexdigest()


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns


@lru_cache(maxsize=256)
def _digest_once(path: Path, size: int, mtime_ns: int) -> str:  # noqa: ARG001 - the stamp is part of the cache's key
    """Digest of a file that many slides may share, as the samples of one bulk matrix do."""
    return sha256_of(path)
