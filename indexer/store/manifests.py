"""Manifests: the files in which Lance says what a version of a table holds.

Read here without LanceDB: which data files, with which rows taken out, a version is made of, and the ids of those
rows. A version that has all files of another holds all its rows, so that what came after can be read alone.
"""

import hashlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from indexer.store.location import Location

_LARGEST_VERSION = 2**64 - 1
_END = b"LANC"
#: Of a manifest: the field that repeats a fragment, which is a data file with the ids and the deletions of its rows.
_FRAGMENT = 2
#: The field that repeats a key and a value of what was noted in the schema.
_NOTED = 5
#: Of a fragment: its data files (whose first field is the name), its deletions, its number of rows, their ids.
_FILE, _DELETIONS, _N_ROWS, _ROW_IDS = 2, 3, 4, 5


class Fragment(NamedTuple):
    """A data file of a table with the rows that count of it.

    Attributes
    ----------
    files : tuple of str
        Names of the files, in the folder `data` of the table.
    row_ids : range or None
        Ids of its rows in their order, where they are one run and none is taken out; `None` otherwise.
    """

    files: tuple[str, ...]
    row_ids: range | None


def manifest_names(table: str, version: int) -> tuple[str, str]:
    """Files, relative to the index, one of which is the manifest of a version of a table."""
    folder = f"{table}.lance/_versions"
    return f"{folder}/{_LARGEST_VERSION - version:020}.manifest", f"{folder}/{version}.manifest"


def version_of(manifest: str) -> int:
    """Version that a manifest of a name is of."""
    # Lance names manifests by their version, or by its distance from the largest one, to list them backwards.
    number = int(manifest.removesuffix(".manifest"))
    return _LARGEST_VERSION - number if number > _LARGEST_VERSION // 2 else number


def read_manifest(location: Location, table: str, version: int) -> bytes:
    """Content of the manifest of a version of a table; empty if there is none."""
    for name in manifest_names(table, version):
        try:
            return location.read(name)
        except OSError:
            continue
    return b""


def fragments_of(manifest: bytes) -> frozenset[str]:
    """Digest of each fragment of a version: equal only where files, row ids and deletions are the same.

    Empty where the content is not laid out as Lance's table format says.
    """
    return frozenset(described(manifest))


def described(manifest: bytes) -> dict[str, Fragment]:
    """Fragments of a version by their digest.

    Empty where the content is not laid out as Lance's table format says: a protocol buffer, its place and length told
    by the last bytes of the file.
    """
    try:
        parts = [part for field, part in _message(manifest) if field == _FRAGMENT and isinstance(part, bytes)]
        found = {hashlib.sha256(part).hexdigest()[:16]: _fragment(part) for part in parts}
    except (IndexError, ValueError):
        return {}
    return found if len(found) == len(parts) else {}


def noted(manifest: bytes, key: bytes) -> bytes:
    """What was noted under a key in the schema of a version; empty if nothing was, or that cannot be told."""
    try:
        for field, part in _message(manifest):
            if field == _NOTED and isinstance(part, bytes):
                entry = dict(_fields(part))
                value = entry.get(2)
                if entry.get(1) == key and isinstance(value, bytes):
                    return value
    except (IndexError, ValueError):
        return b""
    return b""


def row_ids_after(manifest: bytes, after: int) -> npt.NDArray[np.uint64] | None:
    """Ids of the rows of a version that are larger than one, ascending; `None` if the manifest does not tell them."""
    fragments = described(manifest).values()
    runs = [fragment.row_ids for fragment in fragments if fragment.row_ids is not None]
    if not runs or len(runs) < len(fragments):
        return None
    later = sorted((max(run.start, after + 1), run.stop) for run in runs if run.stop > after + 1)
    ids = [np.arange(start, stop, dtype=np.uint64) for start, stop in later]
    return np.concatenate([np.empty(0, np.uint64), *ids])


def n_rows_of(manifest: bytes) -> int | None:
    """Rows of a version; `None` if the manifest does not tell them."""
    fragments = described(manifest).values()
    runs = [fragment.row_ids for fragment in fragments if fragment.row_ids is not None]
    return sum(map(len, runs)) if runs and len(runs) == len(fragments) else None


def _message(manifest: bytes) -> Iterator[tuple[int, bytes | int]]:
    if manifest[-4:] != _END or len(manifest) < 20:
        raise ValueError("this is no manifest")
    start = int.from_bytes(manifest[-16:-8], "little")
    length = int.from_bytes(manifest[start : start + 4], "little")
    message = manifest[start + 4 : start + 4 + length]
    if len(message) != length:
        raise ValueError("the manifest is cut short")
    return _fields(message)


def _fragment(part: bytes) -> Fragment:
    fields = list(_fields(part))
    files = [dict(_fields(value)).get(1) for field, value in fields if field == _FILE and isinstance(value, bytes)]
    names = tuple(name.decode() for name in files if isinstance(name, bytes))
    once = dict(fields)
    ids, run = once.get(_ROW_IDS), None
    if isinstance(ids, bytes) and _DELETIONS not in once:
        run = _run(ids)
    return Fragment(names, run if run is not None and len(run) == once.get(_N_ROWS) else None)


def _run(row_ids: bytes) -> range | None:
    """Row ids as Lance writes those of rows that came together: one segment, of the kind that has two ends."""
    segments = list(_fields(row_ids))
    if len(segments) != 1 or not isinstance(segments[0][1], bytes):
        return None
    kinds = list(_fields(segments[0][1]))
    if len(kinds) != 1 or kinds[0][0] != 1 or not isinstance(kinds[0][1], bytes):
        return None
    ends = dict(_fields(kinds[0][1]))
    start, stop = ends.get(1, 0), ends.get(2, 0)  # a zero is not written
    return range(start, stop) if isinstance(start, int) and isinstance(stop, int) else None


def _fields(message: bytes) -> Iterator[tuple[int, bytes | int]]:
    """Fields of a protocol buffer that hold bytes or whole numbers; `ValueError` or `IndexError` if it is none."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        if kind == 0:
            number, at = _varint(message, at)
            yield key >> 3, number
        elif kind == 1:
            at += 8
        elif kind == 5:
            at += 4
        elif kind == 2:
            length, at = _varint(message, at)
            if at + length > len(message):
                raise ValueError("a field is longer than the message")
            yield key >> 3, message[at : at + length]
            at += length
        else:
            raise ValueError(f"fields of kind {kind} are not known")


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7
