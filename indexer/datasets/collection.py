"""What a public collection is, what is chosen of it, and the plan of files that follows."""

import fnmatch
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from indexer.datasets.digests import Expected
from indexer.errors import FetchError, RefusedError
from indexer.settings import Settings

if TYPE_CHECKING:
    import httpx

#: A line of a table of slides; columns as `indexer.readers.table_slide.COLUMNS`.
Row = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Selection:
    """What of a collection is wanted. Several values of one field are alternatives; fields narrow each other.

    Attributes
    ----------
    ids : tuple of str
        Samples, slides, cases or files, as the collection names them.
    organ, species, technology, diagnosis, project, tissue : tuple of str
        As the collection writes them, whatever the case; `*` and `?` stand for anything.
    part : tuple of str
        Kinds of files, those of `Collection.parts`; by default `Collection.usual`.
    pattern : tuple of str
        Only files whose path matches one.
    revision : str or None
        Commit or release; default the newest, or the one that was fetched before.
    limit : int or None
        At most so many samples, or cases of the GDC.
    complete : bool
        Only samples, or cases of the GDC, that have a file of every part.
    everything : bool
        No narrowing is meant.
    """

    ids: tuple[str, ...] = ()
    organ: tuple[str, ...] = ()
    species: tuple[str, ...] = ()
    technology: tuple[str, ...] = ()
    diagnosis: tuple[str, ...] = ()
    project: tuple[str, ...] = ()
    tissue: tuple[str, ...] = ()
    part: tuple[str, ...] = ()
    pattern: tuple[str, ...] = ()
    revision: str | None = None
    limit: int | None = None
    complete: bool = False
    everything: bool = False

    def said(self) -> tuple[str, ...]:
        """Names of the fields that something was said in."""
        return tuple(one.name for one in fields(self) if getattr(self, one.name))


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """One file to fetch: what it must be, its address, and first bytes where its server states no digest."""

    expected: Expected
    url: str
    begins: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class Plan:
    """What will be fetched, and what is written beside it.

    Attributes
    ----------
    collection : Collection
        Of which.
    revision : str
        Commit, release or version that all files are of.
    licence : str
        As the server states it, else as the collection's page does.
    files : tuple of RemoteFile
        Paths relative to the folder, checked to stay in it.
    slides, samples : tuple of Row
        Lines of `slides.csv` (pictures, spots) and `samples.csv` (bulk).
    sheets : mapping of str to str
        Further files by name, with their text.
    notes : tuple of str
        What the user should know of this choice.
    headers : mapping
        Of every request for a file.
    access : str
        Who may have it, as the server says; default as the collection's page does.
    """

    collection: "Collection"
    revision: str
    licence: str
    files: tuple[RemoteFile, ...]
    slides: tuple[Row, ...] = ()
    samples: tuple[Row, ...] = ()
    sheets: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    access: str = ""

    def __post_init__(self) -> None:
        if not self.access:
            object.__setattr__(self, "access", self.collection.access)  # frozen; this is its construction

    @property
    def bytes(self) -> int:
        """Sum of the sizes that are known."""
        return sum(file.expected.bytes or 0 for file in self.files)


Planner = Callable[["httpx.Client", Selection, Settings], Plan]


@dataclass(frozen=True, eq=False)
class Collection:
    """A public collection and its route.

    Attributes
    ----------
    name, title, licence, citation, page : str
        What it is; `page` is where people find it.
    access : str
        Who may have it, in a few words.
    size : str
        Of the whole, about.
    route : str
        Where its files come from.
    takes : frozenset of str
        Fields of `Selection` that narrow it.
    parts : mapping of str to str
        Kinds of files, each with what it is.
    usual : tuple of str
        Parts fetched if none is named.
    ingest : tuple of str
        Commands that take the folder, `{to}` for its path.
    plan : callable
        Asks the server, fetches no file.
    explain : callable
        What to do about a refusal, in a sentence.
    keeps_revision : bool
        Whether the server has earlier revisions, so that a folder stays at the one it was begun with.
    """

    name: str
    title: str
    licence: str
    citation: str
    page: str
    access: str
    size: str
    route: str
    takes: frozenset[str]
    parts: Mapping[str, str]
    usual: tuple[str, ...]
    ingest: tuple[str, ...]
    plan: Planner
    explain: Callable[[RefusedError, Settings], str]
    keeps_revision: bool = True

    def check(self, selection: Selection) -> None:
        """Raise `FetchError` if the collection cannot be narrowed so, or nothing narrows it."""
        shared = {"part", "pattern", "revision", "limit", "complete", "everything"}
        wrong = [name for name in selection.said() if name not in self.takes | shared]
        if wrong:
            takes = ", ".join(sorted(self.takes))
            raise FetchError(f"{self.name} cannot be chosen by {', '.join(wrong)}; expected some of: {takes}.")
        unknown = [part for part in selection.part if part not in self.parts]
        if unknown:
            listed = "; ".join(f"{part} ({what})" for part, what in self.parts.items())
            raise FetchError(f"{self.name} has no part {', '.join(unknown)}; expected some of: {listed}.")
        if not selection.everything and selection.limit is None and not set(selection.said()) & self.takes:
            raise FetchError(
                f"All of {self.name} would be {self.size}. Choose by {', '.join(sorted(self.takes))} or a limit, or "
                "say that you want all of it."
            )


def is_chosen(value: str, wanted: Sequence[str]) -> bool:
    """Whether a value matches one of the wanted, whatever the case; an empty choice takes all."""
    return not wanted or any(fnmatch.fnmatchcase(value.lower(), pattern.lower()) for pattern in wanted)


def complete_ones(found: Iterable[tuple[str, str]], parts: Sequence[str]) -> set[str]:
    """Names that are found with every part."""
    parts_of: dict[str, set[str]] = {}
    for name, part in found:
        parts_of.setdefault(name, set()).add(part)
    return {name for name, had in parts_of.items() if had >= set(parts)}


def checked_path(path: str) -> str:
    """A path that a server gave, if it stays in the folder it is for; else raises `FetchError`."""
    parts = PurePosixPath(path).parts
    is_strange = any(ord(letter) < 32 or ord(letter) == 127 for letter in path) or "\\" in path or ":" in path
    if not parts or path.startswith("/") or ".." in parts or is_strange or "/".join(parts) != path:
        raise FetchError(
            f"The server names a file {path!r}; expected a plain path inside the folder. Nothing was fetched; tell the "
            "people who run it."
        )
    return path


def some(values: Iterable[str], most: int = 8) -> str:
    """The first values of a longer list, sorted, as text."""
    listed = sorted(set(values))
    return ", ".join(listed[:most]) + (f" ... ({len(listed)} in all)" if len(listed) > most else "") or "none"


def nothing_found(collection: str, selection: Selection, known: Mapping[str, Iterable[str]]) -> FetchError:
    """Error for a choice that matches nothing, with what could have been said."""
    asked = "; ".join(f"{name} {', '.join(getattr(selection, name))}" for name in known if getattr(selection, name))
    could = "; ".join(f"{name}: {some(values)}" for name, values in known.items() if getattr(selection, name))
    return FetchError(f"{collection} has nothing for {asked or 'that choice'}. It has {could or 'other samples'}.")
