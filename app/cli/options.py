"""Options that several verbs share, so that each is spelt and explained once."""

import dataclasses
import functools
import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_type_hints

import typer

from app.cell_types import DEFAULT_LABEL, ReferenceFile, parse_merge
from encoders.contracts import Modality
from indexer.access import EngineName, SearchDevice
from search.retrieval.filters import Exclude
from search.retrieval.hits import GroupBy

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

DEFAULT_DB = "demo/index"

Db = Annotated[str, typer.Option("--db", help="The index: a folder or s3://BUCKET/PREFIX.", envvar="HISTOSEEK_DB")]
K = Annotated[int, typer.Option("-k", min=1, help="How many hits.")]
Where = Annotated[
    str | None,
    typer.Option("--where", help="SQL filter over the items, e.g. \"kind = 'spot' AND patient = 'C'\"."),
]
LeftOut = Annotated[
    Exclude,
    typer.Option(
        "--exclude",
        help="Leave out the query's own slide or patient; auto: slide, patient for slides. The slides of --like "
        "and --unlike may answer.",
    ),
]
Out = Annotated[
    list[Path] | None,
    typer.Option(
        "--out",
        help="Write the hits to FILE.csv, .parquet, .json, .h5ad, .geojson (QuPath), .png, .svg, .pdf, .html, or the "
        "question to FILE.yaml; may be repeated.",
    ),
]
Kind = Annotated[list[str] | None, typer.Option("--kind", help="Only items of this kind; may be repeated.")]
BestOf = Annotated[GroupBy | None, typer.Option("--group-by", help="Only the best hit of each.")]
Label = Annotated[
    str, typer.Option("--label", "--reference-label", help="Column of the reference that names the type.")
]
Merge = Annotated[
    list[str] | None,
    typer.Option("--merge", help='Cell types of the reference to count as another: "B-cells=Plasmablasts".'),
]


def reference_file(
    path: Path | None, label: str = DEFAULT_LABEL, merge: list[str] | None = None
) -> ReferenceFile | None:
    """The reference that was given, if one was."""
    return None if path is None else ReferenceFile(path, label, parse_merge(merge or ()))


def known_device(name: str) -> str:
    """A torch device by name; anything else is a usage error."""
    if not re.fullmatch(r"cpu|mps|cuda(:\d+)?", name):
        raise typer.BadParameter(f"{name!r} is no device; expected cpu, cuda, cuda:1 or mps.")
    return name


Device = Annotated[str, typer.Option("--device", help="Where encoders run: cpu, cuda, cuda:1.", callback=known_device)]
Engine = Annotated[
    EngineName,
    typer.Option(
        "--engine",
        help="What searches: faiss; codes, which maps no vectors; lance, which searches where the table lies.",
    ),
]
OnDevice = Annotated[SearchDevice, typer.Option("--search-device", help="Where vectors are compared.")]
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON to stdout, and nothing else.")]
Space = Annotated[str, typer.Option("--space", help="A named space, or a folder made by `histoseek train`.")]
SpaceOfIndex = Annotated[str | None, typer.Option("--space", help="A space by name or folder; default: the index's.")]
Using = Annotated[Modality | None, typer.Option("--using", help="Which side of the query is used.")]
ManifestPath = Annotated[
    Path | None, typer.Option("--manifest", help="Another data_manifest.yaml than the project's own.")
]


@dataclass(frozen=True, slots=True)
class IndexOptions:
    """Which index is asked, in which space, by what, and how the answer is written."""

    db: Db = DEFAULT_DB
    space: SpaceOfIndex = None
    device: Device = "cpu"
    engine: Engine = "auto"
    search_device: OnDevice = "auto"
    as_json: AsJson = False


@dataclass(frozen=True, slots=True)
class SearchOptions(IndexOptions):
    """What may answer, and how many."""

    k: K = 10
    kind: Kind = None
    where: Where = None
    exclude: LeftOut = "auto"
    group_by: BestOf = None
    out: Out = None

    @property
    def given(self) -> dict[str, Any]:
        """Options of `Engine.search` other than the usual."""
        told = {name: getattr(self, name) for name in ("kind", "where", "group_by") if getattr(self, name) is not None}
        return told | {"k": self.k, "exclude": self.exclude}


Options = TypeVar("Options", bound="DataclassInstance")


def with_options(kind: type[Options]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Offer the fields of `kind` as options of a verb, which takes them as one keyword argument `options`."""

    def decorate(verb: Callable[..., None]) -> Callable[..., None]:
        hints = get_type_hints(verb, include_extras=True)
        own = [p for p in inspect.signature(verb).parameters.values() if p.name != "options"]
        field_hints = get_type_hints(kind, include_extras=True)
        shared = [
            inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=field.default)
            for field in dataclasses.fields(kind)
        ]

        @functools.wraps(verb)
        def command(*arguments: Any, **values: Any) -> None:
            options = kind(**{parameter.name: values.pop(parameter.name) for parameter in shared})
            verb(*arguments, **values, options=options)

        annotated = {**{p.name: hints[p.name] for p in own}, **field_hints, "return": None}
        parameters = [p.replace(annotation=annotated[p.name]) for p in (*own, *shared)]
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # typer reads it
        command.__annotations__ = annotated
        return command

    return decorate
