"""Manifests: the files in which Lance says what a version of a table holds.

Read here for one thing, without LanceDB: which data files, with which rows taken out, a version is made of. A version
that has all of those of another holds all its rows, so that what came after can be read alone.
"""

import hashlib
from collections.abc import Iterator

from indexer.store.location import Location

_LARGEST_VERSION = 2**64 - 1
_END = b"LANC"
#: Of a manifest: the field that repeats a fragment, which is a data file with the ids and the deletions of its rows.
_FRAGMENT = 2


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

    Empty where the content is not laid out as Lance's table format says: a protocol buffer, its place and length told
    by the last bytes of the file.
    """
    if manifest[-4:] != _END or len(manifest) < 20:
        return frozenset()
    start = int.from_bytes(manifest[-16:-8], "little")
    length = int.from_bytes(manifest[start : start + 4], "little")
    message = manifest[start + 4 : start + 4 + length]
    try:
        parts = [part for field, part in _fields(message) if field == _FRAGMENT]
    except (IndexError, ValueError):
        return frozenset()
    found = frozenset(hashlib.sha256(part).hexdigest()[:16] for part in parts)
    return found if len(message) == length and len(found) == len(parts) else frozenset()


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Fields of a protocol buffer that hold bytes, by number; `ValueError` or `IndexError` if it is none."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        if kind == 0:
            _, at = _varint(message, at)
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
