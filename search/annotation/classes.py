"""Classes to annotate with: marker genes of each, from a file or a set that comes with the project, or profiles."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import scipy.sparse as sp

from encoders.errors import GeneQueryError
from encoders.gene_lists import WeightedGenes
from search.errors import AnnotationError
from search.gene_names import GeneNames, Panel

UNASSIGNED = "unassigned"
_SETS = "marker_sets"
_EXPECTED = "expected YAML (class: genes), GMT (class, source, genes) or CSV (columns class, gene and, if any, weight)"


@dataclass(frozen=True, slots=True)
class MarkerClasses:
    """Marker genes of each class.

    Attributes
    ----------
    genes : dict of str to WeightedGenes
        At least two classes, in the order they are shown.
    name : str
        Of the set or file.
    sources : tuple of str
        Where the genes are from.
    """

    genes: Mapping[str, WeightedGenes]
    name: str = "given"
    sources: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_names(tuple(self.genes), self.name)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the classes."""
        return tuple(self.genes)

    def under(self, names: GeneNames, panel: Panel) -> "tuple[MarkerClasses, tuple[str, ...]]":
        """The classes with the genes as they are known, and what was read as what. Raises `AnnotationError`."""
        found: dict[str, WeightedGenes] = {}
        notes: dict[str, None] = {}
        for name, genes in self.genes.items():
            try:
                found[name], read = names.read_list(genes, panel)
            except GeneQueryError as error:
                raise AnnotationError(f"Class {name!r}: {error}") from error
            notes |= {f"{name}: {note}": None for note in read.notes()}
        return replace(self, genes=found), tuple(notes)

    def describe(self) -> dict[str, Any]:
        """JSON-ready form."""
        return {"markers": self.name, "classes": {name: str(genes) for name, genes in self.genes.items()}}


@dataclass(frozen=True, slots=True)
class BulkClasses:
    """One bulk or pseudo-bulk profile a class.

    Attributes
    ----------
    names : tuple of str
        The classes, at least two; at least one for mode `loki`.
    counts : csr_matrix (n_classes, n_genes) or None
        Raw counts or TPM of each; `None` where the classes are items of the index.
    genes : tuple of str
        Symbols of the columns.
    items : tuple of str
        Ids of transcriptome items of the index that stand for the classes.
    """

    names: tuple[str, ...]
    counts: sp.csr_matrix | None = None
    genes: tuple[str, ...] = ()
    items: tuple[str, ...] = ()

    def describe(self) -> dict[str, Any]:
        """JSON-ready form; the values themselves are not kept."""
        return {"bulk": list(self.items) or f"{len(self.genes)} genes", "classes": list(self.names)}


Classes = MarkerClasses | BulkClasses
Kind = Literal["markers", "bulk"]


def check_names(names: Sequence[str], where: str) -> None:
    """Raise `AnnotationError` unless there are two classes or more, none of them called `unassigned`."""
    if len(names) < 2:
        only = f"only one class, {names[0]!r}" if names else "no class"
        raise AnnotationError(f"{where!r} has {only}; a class is told from others, so give at least two.")
    if UNASSIGNED in names:
        raise AnnotationError(f"{where!r} has a class called {UNASSIGNED!r}, which means none; give it another name.")


def marker_classes(
    genes: Mapping[str, str | Sequence[str] | Mapping[str, float]], *, name: str = "given", sources: Sequence[str] = ()
) -> MarkerClasses:
    """Classes from gene lists.

    Parameters
    ----------
    genes : mapping
        For each class a text such as `"EPCAM:2 KRT8 -VIM"`, a list of such terms, or weights by symbol.

    Raises
    ------
    AnnotationError
        If there are fewer than two classes, or the genes of one cannot be read.
    """
    read: dict[str, WeightedGenes] = {}
    for label, given in genes.items():
        try:
            read[str(label)] = WeightedGenes.parse(_text(given))
        except GeneQueryError as error:
            raise AnnotationError(f"The genes of class {label!r} in {name!r} cannot be read: {error}") from error
    return MarkerClasses(read, name, tuple(sources))


def classes_of_lines(text: str) -> MarkerClasses:
    """Classes as a person types them, a line each: `Tumour: EPCAM KRT8:2 -VIM`.

    Raises
    ------
    AnnotationError
        If a line has no colon, a class comes twice, or as in `marker_classes`.
    """
    genes: dict[str, str] = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        name, colon, given = line.partition(": ")
        if not colon:
            raise AnnotationError(f"The line {line[:60]!r} has no class; expected a name, a colon, a space and genes.")
        if name in genes:
            raise AnnotationError(f"The class {name!r} is given twice; put its genes on one line.")
        genes[name] = given
    return marker_classes(genes)


def known_sets() -> tuple[str, ...]:
    """Names of the marker sets that come with the project."""
    folder = files("search.annotation") / _SETS
    return tuple(sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml")))


def marker_set(name: str) -> MarkerClasses:
    """A marker set that comes with the project; raises `AnnotationError` for any other name."""
    if name not in known_sets():
        raise AnnotationError(
            f"There is no marker set {name!r}; known: {', '.join(known_sets())}. Give genes of your own as a file."
        )
    return _from_yaml((files("search.annotation") / _SETS / f"{name}.yaml").read_text(encoding="utf-8"), name)


def read_markers(path: Path) -> MarkerClasses:
    """Classes from a file: YAML or JSON (`class: genes`), GMT, or CSV/TSV with columns `class`, `gene`, `weight`.

    Raises
    ------
    AnnotationError
        If the file is missing, empty, of another kind, or holds fewer than two classes.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise AnnotationError(f"Cannot read the markers {path}: {error}; {_EXPECTED}.") from error
    if not text.strip():
        raise AnnotationError(f"The marker file {path} is empty; {_EXPECTED}.")
    suffix = path.suffix.lower()
    if suffix in {".yaml", ".yml", ".json"}:
        return _from_yaml(text, path.name)
    if suffix == ".gmt":
        return _from_gmt(text, path.name)
    if suffix in {".csv", ".tsv", ".txt"}:
        return _from_table(text, path.name)
    raise AnnotationError(f"The marker file {path} ends in {suffix or 'nothing'!r}; {_EXPECTED}.")


def _from_yaml(text: str, name: str) -> MarkerClasses:
    import yaml  # takes 25 ms, which a search does without

    try:
        content = json.loads(text) if name.endswith(".json") else yaml.safe_load(text)
    except (ValueError, yaml.YAMLError) as error:
        raise AnnotationError(
            f"Cannot read the markers {name}: {' '.join(str(error).split())}; {_EXPECTED}."
        ) from error
    if not isinstance(content, dict):
        raise AnnotationError(f"The markers {name} hold no classes; {_EXPECTED}.")
    classes = content.get("classes", content)
    if not isinstance(classes, dict):
        raise AnnotationError(f"`classes` of {name} is {type(classes).__name__}; expected `class: genes` below it.")
    return marker_classes(classes, name=str(content.get("name", name)), sources=tuple(content.get("sources") or ()))


def _from_gmt(text: str, name: str) -> MarkerClasses:
    rows = [line.rstrip("\r").split("\t") for line in text.splitlines() if line.strip()]
    short = next((row[0] for row in rows if len(row) < 3), None)
    if short is not None:
        raise AnnotationError(f"The line of {short[:40]!r} in {name} has no gene; a GMT line is class, source, genes.")
    return marker_classes({row[0]: [gene for gene in row[2:] if gene] for row in rows}, name=name)


def _from_table(text: str, name: str) -> MarkerClasses:
    lines = text.splitlines()
    reader = csv.DictReader(lines, delimiter="\t" if "\t" in lines[0] else ",")
    if not {"class", "gene"} <= set(reader.fieldnames or ()):
        found = ", ".join(reader.fieldnames or ())
        raise AnnotationError(
            f"The marker table {name} has the columns {found}; expected class, gene and, if any, weight."
        )
    genes: dict[str, list[str]] = {}
    for row in reader:
        weight = (row.get("weight") or "1").strip()
        genes.setdefault((row["class"] or "").strip(), []).append(f"{(row['gene'] or '').strip()}:{weight}")
    return marker_classes(genes, name=name)


def _text(given: object) -> str:
    if isinstance(given, Mapping):
        return " ".join(f"{symbol}:{weight}" for symbol, weight in given.items())
    if isinstance(given, str):
        return given
    return " ".join(map(str, given)) if isinstance(given, Sequence) else ""
