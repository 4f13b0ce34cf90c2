"""Versions of an index: the cards of its commits, names given to them, and opening one of the past."""

import json
import re
from collections.abc import Mapping
from pathlib import Path

from indexer.errors import CardLostError, IndexFormatError, VersionError, WriteError
from indexer.store.card import HISTORY, IndexCard, card_name, parse_card, read_card
from indexer.store.location import Location, locate

_TAGS = "tags.json"
_TAG = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,63}")


def history(location: Location) -> list[IndexCard]:
    """Cards of the versions that can be opened, oldest first; the last one is the present."""
    present = read_card(location)
    past = [number for number in version_numbers(location) if number < present.version]
    return [*(_past_card(location, number) for number in past), present]


def card_of(location: Location, version: int | str | None = None) -> IndexCard:
    """Card of a version given by number or tag, by default the present one.

    Raises
    ------
    VersionError
        If there is no such version or tag.
    StoreError
        As `read_card` does.
    """
    present = read_card(location)
    if version is None:
        return present
    number = _number(location, version)
    if number == present.version:
        return present
    if number > present.version or number not in version_numbers(location):
        raise VersionError(
            f"Index {location} has no version {version}: it was never committed, or `histoseek index optimize` let go "
            "of it. `histoseek index versions` lists those there are."
        )
    return _past_card(location, number)


def read_tags(location: Location) -> dict[str, int]:
    """Version of each tag; raises `IndexFormatError` if their file is damaged."""
    try:
        found = json.loads(location.read(_TAGS))
        return {str(name): int(number) for name, number in found.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise IndexFormatError(
            f"{location}/{_TAGS} is damaged: {error}. Put it back from a backup, or delete it and tag again; "
            "no version is lost by that before the next `histoseek index optimize`."
        ) from error


def tag_version(
    uri: str | Path, name: str, version: int | str | None = None, *, move: bool = False, wait_s: float = 0.0
) -> IndexCard:
    """Name a version, by default the present one, so that it is kept; returns its card.

    Parameters
    ----------
    uri : str or Path
        The index.
    name : str
        A letter, then letters, digits, `.`, `_` or `-`, 64 characters at most.
    version : int or str, optional
        Number or other tag of the version.
    move : bool
        Give the name to this version even if another has it.
    wait_s : float
        Seconds to wait for another writer.

    Raises
    ------
    VersionError
        If the name is no such word or taken, or there is no such version.
    WriteError
        If the index is being written, or cannot be.
    """
    if not _TAG.fullmatch(name):
        raise VersionError(
            f"{name!r} cannot name a version; expected a letter, then letters, digits, '.', '_' or '-', up to 64."
        )
    from indexer.store.locks import writer_lock  # what reads only does without

    location = locate(uri)
    with writer_lock(location, wait_s=wait_s):
        card, tags = card_of(location, version), read_tags(location)
        if not move and tags.get(name, card.version) != card.version:
            raise VersionError(
                f"Tag {name!r} already names version {tags[name]} of index {location}. Choose another name, or move it."
            )
        if card.version not in version_numbers(location):
            keep_card(location, card)
        write_tags(location, {**tags, name: card.version})
    return card


def remove_tag(uri: str | Path, name: str, *, wait_s: float = 0.0) -> None:
    """Take a name back; the version stays until `histoseek index optimize` lets go of it."""
    from indexer.store.locks import writer_lock

    location = locate(uri)
    with writer_lock(location, wait_s=wait_s):
        tags = read_tags(location)
        if name not in tags:
            raise VersionError(f"Index {location} has no tag {name!r}; it has {', '.join(sorted(tags)) or 'none'}.")
        write_tags(location, {other: number for other, number in tags.items() if other != name})


def write_tags(location: Location, tags: Mapping[str, int]) -> None:
    """Replace the tags in one step; raises `WriteError`, and then the old ones still stand."""
    try:
        location.replace(_TAGS, json.dumps(dict(sorted(tags.items())), indent=1).encode())
    except OSError as error:
        raise WriteError(f"The tags of index {location} could not be written: {error}. They are as before.") from error


def keep_card(location: Location, card: IndexCard) -> None:
    """Put a card into the history, for an index of format 1, which kept none."""
    try:
        location.replace(card_name(card.version), card.model_dump_json(indent=1).encode())
    except OSError as error:
        raise WriteError(f"The card of index {location} could not be kept: {error}. Nothing was changed.") from error


def split_version(uri: str | Path) -> tuple[str | Path, str | None]:
    """Address and version of `ADDRESS@VERSION`; a folder whose own name has an `@` is taken as it is."""
    address, at, version = str(uri).rpartition("@")
    if not at or not address or "/" in version or Path(uri).exists():
        return uri, None
    return address, version


def newest_number(location: Location) -> int:
    """Largest number a card was ever written under, committed or not; 0 if there is none."""
    return max(version_numbers(location), default=0)


def _number(location: Location, version: int | str) -> int:
    if isinstance(version, int) or version.isdecimal():
        return int(version)
    tags = read_tags(location)
    if version not in tags:
        raise VersionError(
            f"Index {location} has no version or tag {version!r}; its tags: {', '.join(sorted(tags)) or 'none'}. "
            "`histoseek index versions` lists its versions."
        )
    return tags[version]


def version_numbers(location: Location) -> list[int]:
    """Numbers of the cards in the history, ascending, the last of them perhaps never committed."""
    names = location.names(HISTORY)
    return sorted(int(name.removesuffix(".json")) for name in names if name.removesuffix(".json").isdecimal())


def _past_card(location: Location, number: int) -> IndexCard:
    name = card_name(number)
    try:
        return parse_card(f"{location}/{name}", location.read(name))
    except (CardLostError, OSError) as error:
        raise IndexFormatError(
            f"The card of version {number} of index {location} is damaged. The present version is not touched by that; "
            f"delete {name} to forget the old one."
        ) from error
