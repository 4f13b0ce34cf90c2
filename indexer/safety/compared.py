"""What is remembered of pictures that were compared: derived, found by the digest of a slide's content, made again."""

import io
import logging
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa

from indexer.errors import StoreError
from indexer.safety.fingerprints import Floats
from indexer.safety.registration import Registered
from indexer.store.location import Location

_LOG = logging.getLogger(__name__)
_FINGERPRINTS, _PAIRS = "leaks/fingerprints.parquet", "leaks/pairs.parquet"
_FORMAT = {b"histoseek": b"1"}  # raised when fingerprints or verdicts are made in another way

Pair = tuple[str, str]


class Compared:
    """Fingerprints by content digest, and verdicts by pairs of them, of one index."""

    def __init__(self, location: Location) -> None:
        self._location = location
        self.fingerprints: dict[str, Floats] = {}
        self.verdicts: dict[Pair, Registered] = {}
        for row in _read(location, _FINGERPRINTS):
            self.fingerprints[row["content"]] = np.array(row["fingerprint"], dtype=np.float32)
        for row in _read(location, _PAIRS):
            pair = (row.pop("first"), row.pop("second"))
            self.verdicts[pair] = Registered(**row)

    def keep(self, contents: Iterable[str]) -> None:
        """Write what is known of some contents and forget all others; a place that is not written keeps nothing."""
        known = set(contents)
        prints = [
            {"content": content, "fingerprint": found.tolist()}
            for content, found in self.fingerprints.items()
            if content in known
        ]
        pairs = [
            {"first": first, "second": second, **asdict(found)}
            for (first, second), found in self.verdicts.items()
            if first in known and second in known
        ]
        for name, rows in ((_FINGERPRINTS, prints), (_PAIRS, pairs)):
            try:
                if rows:
                    self._location.replace(name, _written(rows), flush=False)
            except (OSError, StoreError) as error:
                _LOG.debug("What was compared is not remembered: %s", error)


def pair_of(one: str, other: str) -> Pair:
    """Two digests in their one order."""
    return (one, other) if one < other else (other, one)


def _read(location: Location, name: str) -> list[dict[str, Any]]:
    from pyarrow import parquet

    try:
        table = parquet.read_table(io.BytesIO(location.read(name)))
    except (OSError, StoreError, pa.ArrowException):  # not there, or damaged: made again
        return []
    return table.to_pylist() if (table.schema.metadata or {}).items() >= _FORMAT.items() else []


def _written(rows: list[dict[str, Any]]) -> bytes:
    from pyarrow import parquet

    buffer = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(rows).replace_schema_metadata(_FORMAT), buffer)
    return buffer.getvalue()
