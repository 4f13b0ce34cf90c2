"""What a format is: how the slides of a place are found, and what the user says of them beside the files."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from indexer.errors import DataError, ManifestError
from indexer.genes.tables import GeneTables
from indexer.slides import SlideFacts, SlideSource


@dataclass(frozen=True, slots=True)
class Said:
    """What a table says of one slide: facts, and a picture where the format has none of full resolution."""

    facts: SlideFacts
    image: Path | None = None


@dataclass(frozen=True)
class Circumstances:
    """What readers need beside the files.

    Attributes
    ----------
    said : mapping of str to Said
        By slide, what the user's table says.
    tables : GeneTables
        What is known of gene names.
    cohort : str
        Of slides of which nothing is said.
    label_column : str or None
        Column of the rows' own table that names their region or cell type.
    """

    said: Mapping[str, Said] = field(default_factory=dict)
    tables: GeneTables = field(default_factory=GeneTables)
    cohort: str = ""
    label_column: str | None = None

    def facts(self, slide: str, *, patient: str | None = None, technology: str) -> SlideFacts:
        """Facts of a slide: the user's, else what the format knows; a slide of no known patient is one of its own."""
        if slide in self.said:
            facts = self.said[slide].facts
            return facts if facts.technology != "unknown" else replace(facts, technology=technology)
        return SlideFacts(
            slide=slide,
            patient=patient or slide,
            cohort=self.cohort or "unknown",
            organ="unknown",
            diagnosis="unknown",
            technology=technology,
            species="unknown",
            licence="unknown",
            citation="unknown",
        )

    def image(self, slide: str) -> Path | None:
        """Picture that the user's table names for a slide."""
        return self.said[slide].image if slide in self.said else None


@dataclass(frozen=True, slots=True)
class Format:
    """One format of files.

    Attributes
    ----------
    name : str
        What `--format` takes.
    reads : str
        Which files, in a few words, as shown in lists.
    find : callable
        Slides of a place, none of them read; raises `DataError` if the place holds none.
    labels : bool
        Whether its files have columns that can label rows.
    """

    name: str
    reads: str
    find: Callable[[Path, Circumstances], list[SlideSource]]
    labels: bool = False


def files_at(place: Path, suffixes: tuple[str, ...], *, what: str) -> list[Path]:
    """The file, or the files of a folder and its sub-folders that end in one of `suffixes`, sorted.

    Files and folders whose names start with a dot, and links that lead out of the folder, are not looked at. Raises
    `DataError` if there is none.
    """
    if place.is_file():
        if place.name.lower().endswith(suffixes):
            return [place]
        raise DataError(f"{place} does not end in {' or '.join(suffixes)}; expected {what}.")
    if not place.is_dir():
        raise DataError(f"There is no file or folder {place}; expected {what}.")
    root = place.resolve()
    found = [
        path
        for path in sorted(place.rglob("*"))
        if path.name.lower().endswith(suffixes)
        and not any(part.startswith(".") for part in path.relative_to(place).parts)
        and path.is_file()
        and path.resolve().is_relative_to(root)
    ]
    if not found:
        raise DataError(f"{place} holds no file that ends in {' or '.join(suffixes)}; expected {what}.")
    return found


def slide_names(paths: list[Path], place: Path, suffixes: tuple[str, ...]) -> dict[str, Path]:
    """Name of the slide of each file: the file's without its suffix, with its folders where two are the same.

    Raises `ManifestError` if two files still have one name.
    """
    root = place if place.is_dir() else place.parent
    plain = [_stem(path.name, suffixes) for path in paths]
    names: dict[str, Path] = {}
    for path, name in zip(paths, plain, strict=True):
        full = name
        if plain.count(name) > 1:
            full = "_".join([*path.relative_to(root).parts[:-1], name])
        if full in names:
            raise ManifestError(f"{names[full].name} and {path.name} are both slide {full!r}; rename one of them.")
        names[full] = path
    return names


def _stem(name: str, suffixes: tuple[str, ...]) -> str:
    suffix = max((s for s in suffixes if name.lower().endswith(s)), key=len, default="")
    return name[: len(name) - len(suffix)] or name
