"""The query that a form describes: what `Query.to_dict()` wrote, or a person in YAML or JSON."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from encoders.contracts import Modality
from search.errors import QueryError
from search.pixel_text import pixels_of_text
from search.query import (
    ROCCHIO,
    ComposedQuery,
    ExamplesQuery,
    GenesQuery,
    GroupQuery,
    ItemQuery,
    LengthUnit,
    PatchQuery,
    ProfileQuery,
    Query,
    RegionQuery,
    Rings,
    SentenceQuery,
    SlideQuery,
    VectorQuery,
)

#: Reads the pixels of a file that a form names.
ReadFile = Callable[[str], npt.NDArray[np.uint8]]

#: What results say beside the query: how it was to be answered, and what was found out of it.
_SAID_BESIDES = frozenset(
    (
        *("target", "kind", "k", "where", "exclude", "left_out", "group_by", "per_group", "min_score", "max_score"),
        *(
            "offset",
            "aggregator",
            "match",
            "slide_mapped",
            "item_explained",
            "by",
            "coherence",
            "n_items",
            "share_of_items",
        ),
        *("shape", "pixels_sha256", "n_genes", "total_counts", "dim"),
    )
)
_DEEPEST = 8


def query_from_dict(form: Mapping[str, Any], *, read_file: ReadFile | None = None) -> Query:
    """Make the query again that a form describes.

    Parameters
    ----------
    form : mapping
        `Query.to_dict()`, or the `query` of a result: what results say beside the query is passed over.
    read_file : callable, optional
        Reads the pixels of a patch that is given by its `file`. Without it no file is opened, so that forms may come
        from strangers.

    Raises
    ------
    QueryError
        If a field is missing, not known, or of another type, or what was asked is not all in the form.
    """
    return _read(form, read_file, depth=0)


def _read(form: object, read_file: ReadFile | None, depth: int) -> Query:
    if not isinstance(form, Mapping):
        raise QueryError(f'The query is {_short(form)}; expected fields such as {{"type": "item", "id": "C2/tile/3"}}.')
    kind = form.get("type")
    if not isinstance(kind, str) or kind not in _READERS:
        raise QueryError(f"The query has the type {_short(kind)}; known: {', '.join(_READERS)}.")
    if depth > _DEEPEST:
        raise QueryError(f"Queries are nested more than {_DEEPEST} deep; ask with fewer inside each other.")
    fields = _Fields(kind, form, read_file, depth)
    query = _READERS[kind](fields)
    fields.check_all_read()
    return query


class _Fields:
    """Fields of one form, each of which is read by its type; those that nobody read are not known."""

    def __init__(self, kind: str, form: Mapping[str, Any], read_file: ReadFile | None, depth: int) -> None:
        self.kind, self.read_file = kind, read_file
        self._form, self._depth = form, depth
        self._read = {"type"}

    def get(self, name: str, expected: str, *types: type, optional: bool = False) -> Any:
        self._read.add(name)
        value = self._form.get(name)
        if value is None and optional:
            return None
        if not isinstance(value, types) or isinstance(value, bool):
            raise QueryError(f"The {self.kind} query has {name} {_short(value)}; expected {expected}.")
        return value

    def text(self, name: str) -> str:
        return str(self.get(name, "text", str))

    def maybe_text(self, name: str) -> str | None:
        value = self.get(name, "text or nothing", str, optional=True)
        return None if value is None else str(value)

    def side(self, name: str = "using") -> Modality | None:
        value = self.maybe_text(name)
        match value:
            case None | "image" | "expression":
                return value
        raise QueryError(f"The {self.kind} query has {name} {value!r}; expected image or expression.")

    def number(self, name: str) -> float:
        return float(self.get(name, "a number", int, float))

    def whole(self, name: str) -> int:
        value = self.get(name, "a whole number of at least 1", int, optional=True)
        return 1 if value is None else int(value)

    def numbers(self, name: str, *, optional: bool = False) -> list[float] | None:
        values = self.get(name, "a list of numbers", list, tuple, optional=optional)
        if values is None:
            return None
        if any(isinstance(value, bool) or not isinstance(value, (int, float)) for value in values):
            raise QueryError(f"The {self.kind} query has {name} {_short(values)}; expected a list of numbers.")
        return [float(value) for value in values]

    def queries(self, name: str) -> tuple[Query, ...]:
        forms = self.get(name, "a list of queries", list, tuple, optional=True) or ()
        return tuple(_read(form, self.read_file, self._depth + 1) for form in forms)

    def query(self, name: str) -> Query | None:
        form = self.get(name, "a query or nothing", Mapping, optional=True)
        return None if form is None else _read(form, self.read_file, self._depth + 1)

    def check_all_read(self) -> None:
        unknown = [name for name in self._form if name not in self._read and name not in _SAID_BESIDES]
        if unknown:
            raise QueryError(
                f"The {self.kind} query has the unknown field {unknown[0]!r}; it has {', '.join(sorted(self._read))}."
            )


def _patch(fields: _Fields) -> PatchQuery:
    png, file = fields.maybe_text("png"), fields.maybe_text("file")
    mpp, slide = fields.number("mpp"), fields.maybe_text("slide")
    if png is not None:
        return PatchQuery(pixels_of_text(png), mpp, slide, file)
    if file is None or fields.read_file is None:
        raise QueryError("The patch query has no pixels; give them as png, a PNG in base64.")
    return PatchQuery(fields.read_file(file), mpp, slide, file)


def _profile(fields: _Fields) -> ProfileQuery:
    counts, genes = fields.numbers("counts"), fields.get("genes", "a list of symbols", list, tuple)
    if not all(isinstance(gene, str) for gene in genes):
        raise QueryError(f"The profile query has genes {_short(genes)}; expected a list of symbols.")
    return ProfileQuery(np.array(counts, dtype=np.float64), tuple(genes))


def _vector(fields: _Fields) -> VectorQuery:
    vector = np.array(fields.numbers("vector"), dtype=np.float64)
    return VectorQuery(vector, fields.side("modality") or "image", fields.maybe_text("slide"))


def _examples(fields: _Fields) -> ExamplesQuery:
    weights = fields.numbers("weights", optional=True) or list(ROCCHIO)
    if len(weights) != len(ROCCHIO):
        raise QueryError(f"The examples query has {len(weights)} weights; expected 3: of query, like and unlike.")
    a, b, c = weights
    return ExamplesQuery(fields.query("start"), fields.queries("like"), fields.queries("unlike"), (a, b, c))


def _composed(fields: _Fields) -> ComposedQuery:
    weights = fields.numbers("weights", optional=True)
    return ComposedQuery(fields.queries("parts"), None if weights is None else tuple(weights))


def _region(fields: _Fields) -> RegionQuery:
    unit: LengthUnit
    match fields.maybe_text("unit"):
        case None | "px":
            unit = "px"
        case "um":
            unit = "um"
        case other:
            raise QueryError(f"The region query has the unit {other!r}; expected px or um.")
    polygons = tuple(_rings(polygon) for polygon in fields.get("polygons", "a list of polygons", list, tuple))
    return RegionQuery(fields.text("slide"), polygons, unit, fields.side(), fields.whole("parts"), fields.whole("part"))


def _rings(polygon: Any) -> Rings:
    try:
        return tuple(tuple((float(x), float(y)) for x, y in ring) for ring in polygon)
    except (TypeError, ValueError) as error:
        raise QueryError(
            f"A polygon of the region is {_short(polygon)}; expected rings of points [x, y], as the coordinates of a "
            "GeoJSON MultiPolygon."
        ) from error


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


_READERS: dict[str, Callable[[_Fields], Query]] = {
    "item": lambda fields: ItemQuery(fields.text("id"), fields.side()),
    "slide": lambda fields: SlideQuery(fields.text("slide"), fields.side()),
    "genes": lambda fields: GenesQuery(fields.text("text")),
    "sentence": lambda fields: SentenceQuery(fields.text("text")),
    "patch": _patch,
    "profile": _profile,
    "vector": _vector,
    "examples": _examples,
    "composed": _composed,
    "region": _region,
    "group": lambda fields: GroupQuery(fields.text("of"), fields.side(), fields.whole("parts"), fields.whole("part")),
}
