"""What goes wrong, told as RFC 9457 problem details: one sentence, the request's id, and nothing of the server."""

import json
import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from app.errors import ShowError
from encoders.errors import GeneQueryError, HistoSeekError, PatchError
from search.errors import ItemMissingError, QueryError

MEDIA_TYPE = "application/problem+json"
_LOG = logging.getLogger("histoseek.api")
#: Errors whose sentence is about what the caller asked, and may go out as it is.
_CALLERS = (QueryError, GeneQueryError, PatchError, ShowError)
_WORDS_SHOWN = 500


class InvalidField(BaseModel):
    """A part of a request that cannot be used."""

    pointer: str = Field(description="Where it is, as a JSON pointer.", examples=["#/k"])
    detail: str = Field(examples=["Input should be greater than or equal to 1"])


class Problem(BaseModel):
    """Problem details (RFC 9457)."""

    type: str = "about:blank"
    title: str = Field(examples=["Unprocessable Content"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["k is 0; expected at least 1 hit."])
    instance: str | None = Field(None, description="Id of the request.", examples=["0d1f6c1e2b7a4c0f"])
    errors: list[InvalidField] | None = None


class Refusal(HTTPException):
    """A request that is not answered: its status, a sentence, and headers."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, detail, headers)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Responses of a route for OpenAPI."""
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        status: {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: {"schema": schema}}}
        for status in statuses
    }


def problem(
    status: int,
    detail: str,
    *,
    request_id: str | None = None,
    errors: Sequence[Mapping[str, str]] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The answer that tells of a problem."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": " ".join(detail.split()),
        "instance": request_id,
    }
    if errors:
        body["errors"] = list(errors)
    # What cannot be encoded, such as half a surrogate pair of a caller's, is told escaped.
    content = json.dumps(body, ensure_ascii=False).encode("utf-8", errors="backslashreplace")
    return Response(content, status, dict(headers or {}), media_type=MEDIA_TYPE)


def install(api: FastAPI) -> None:
    """Let every error of a route leave as a problem."""
    api.add_exception_handler(RequestValidationError, _invalid)
    api.add_exception_handler(HTTPException, _refused)
    api.add_exception_handler(HistoSeekError, _told)


def of_error(error: HistoSeekError, request_id: str | None) -> Response:
    """A caller's error with its sentence; what is wrong with the server is logged, and only said to be so."""
    if isinstance(error, ItemMissingError):
        return problem(404, str(error), request_id=request_id)
    if isinstance(error, _CALLERS):
        return problem(422, str(error), request_id=request_id)
    _LOG.error("%s: %s", type(error).__name__, error, extra={"request_id": request_id})
    return problem(
        503,
        f"The index or an encoder of this server cannot be used now ({type(error).__name__}); its log says why under "
        "this request's id.",
        request_id=request_id,
        headers={"Retry-After": "30"},
    )


def invalid(errors: Sequence[Mapping[str, Any]], request_id: str | None) -> Response:
    """What pydantic found wrong with a request."""
    if any(error["type"] == "json_invalid" for error in errors):
        return problem(400, "The body is no JSON; send one JSON object.", request_id=request_id)
    found = [{"pointer": _pointer(error["loc"]), "detail": _shortened(str(error["msg"]))} for error in errors[:20]]
    first = found[0]
    more = f" ({len(errors) - 1} more in `errors`)" if len(errors) > 1 else ""
    detail = f"The request cannot be used: {first['pointer']}: {first['detail']}{more}."
    return problem(422, detail, request_id=request_id, errors=found)


def _invalid(request: Request, error: Exception) -> Response:
    if not isinstance(error, RequestValidationError):
        raise error
    return invalid(error.errors(), id_of(request))


def _refused(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    detail = str(error.detail)
    if error.status_code == HTTPStatus.NOT_FOUND and detail == HTTPStatus.NOT_FOUND.phrase:
        detail = "There is nothing at this address; /openapi.json lists what there is."
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        detail = f"This address is not answered to {request.method}; /openapi.json says how it is asked."
    return problem(error.status_code, detail, request_id=id_of(request), headers=error.headers)


def _told(request: Request, error: Exception) -> Response:
    if not isinstance(error, HistoSeekError):
        raise error
    return of_error(error, id_of(request))


def id_of(request: Request) -> str | None:
    """Id that the request was given."""
    found = request.scope.get("state", {}).get("request_id")
    return None if found is None else str(found)


def _pointer(place: Sequence[Any]) -> str:
    of_request = bool(place) and place[0] in ("body", "query", "path", "header")
    parts = [str(part) for part in place[of_request:]]
    return "#/" + "/".join(part.replace("~", "~0").replace("/", "~1") for part in parts)


def _shortened(text: str) -> str:
    return text if len(text) <= _WORDS_SHOWN else text[:_WORDS_SHOWN] + "..."
