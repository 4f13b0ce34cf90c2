"""Answers as the caller wants them: JSON, or their table as an Arrow stream, CSV or Parquet."""

import io
from collections.abc import Mapping
from typing import Any, Literal

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from pydantic_core import to_json
from starlette.responses import Response

from app.api.problems import Refusal
from search.result import Findings, SearchResult

Format = Literal["json", "arrow", "csv", "parquet"]
MEDIA_TYPES: dict[Format, str] = {
    "json": "application/json",
    "arrow": "application/vnd.apache.arrow.stream",
    "csv": "text/csv",
    "parquet": "application/vnd.apache.parquet",
}
_METADATA_KEY = b"histoseek"  # of the schema: what the JSON answer says besides its rows
_MAX_ACCEPT = 1_000


def wanted_format(accept: str | None) -> Format:
    """The first of the offered formats in an `Accept` header, JSON if anything will do; raises `Refusal` (406)."""
    if not accept or not accept.strip():
        return "json"
    offers: list[tuple[float, int, Format]] = []
    for place, part in enumerate(accept[:_MAX_ACCEPT].split(",")):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        quality = _quality(parameters)
        offers.extend((-quality, place, kind) for kind in _named(name))
    liked = [offer for offer in offers if offer[0] < 0]
    if not liked:
        raise Refusal(406, f"Answers come as {', '.join(MEDIA_TYPES.values())}; ask for one of these in Accept.")
    return min(liked)[2]


def answered(answer: SearchResult | Findings, kind: Format) -> Response:
    """An answer in a format; its rows are one table, whatever verb it is of."""
    if kind == "json":
        return json_response(answer.to_dict())
    return table_response(answer.table, _besides_rows(answer), kind)


def json_response(payload: Any) -> Response:
    """JSON, in which a number that is none is null."""
    content = to_json(payload, inf_nan_mode="null", fallback=_plain)
    return Response(content, media_type=MEDIA_TYPES["json"])


def table_response(table: pa.Table, besides: Mapping[str, Any], kind: Format) -> Response:
    """A table, and in its schema's metadata what was said besides."""
    said = to_json(besides, inf_nan_mode="null", fallback=_plain)
    table = table.replace_schema_metadata({_METADATA_KEY: said})
    sink = io.BytesIO()
    if kind == "arrow":
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
    elif kind == "parquet":
        pyarrow.parquet.write_table(table, sink)
    else:
        pyarrow.csv.write_csv(table, sink)
    return Response(sink.getvalue(), media_type=MEDIA_TYPES[kind])


def _besides_rows(answer: SearchResult | Findings) -> dict[str, Any]:
    if isinstance(answer, SearchResult):
        genes = None if answer.genes is None else {"used": answer.genes.used, "unknown": answer.genes.unknown}
        plan = {"strategy": answer.plan.strategy, "n_allowed": answer.plan.n_allowed, "n_scored": answer.plan.n_scored}
        return {"query": answer.query, "notes": answer.notes, "genes": genes, "plan": plan}
    return {name: value for name, value in answer.to_dict().items() if name != "rows"}


def _named(name: str) -> tuple[Format, ...]:
    if name in ("*/*", "application/*", "application/problem+json"):
        return ("json",)
    if name == "text/*":
        return ("csv",)
    return tuple(kind for kind, media_type in MEDIA_TYPES.items() if media_type == name)


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return min(1.0, max(0.0, float(parameter[2:])))
            except ValueError:
                return 0.0
    return 1.0


def _plain(value: Any) -> Any:
    """Numbers and arrays of numpy as Python's own."""
    return value.tolist()
