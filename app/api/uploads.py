"""Uploaded patches: form fields and one picture, all of it kept in memory and bounded before it is decoded."""

from collections.abc import Callable
from typing import Annotated, Any, get_args, get_origin

from fastapi import Request
from pydantic import BaseModel, Field, ValidationError
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from app.api.problems import Refusal
from app.api.questions import Asked, Mpp, Name
from app.api.requests import CohortsOptions, DecomposeOptions, ExplainOptions, MapOptions, PredictOptions, SearchOptions
from app.uploads import decode_patch
from search.query import PatchQuery

_FIELDS = 64
_FIELD_BYTES = 64 * 1024


class InvalidFormError(ValueError):
    """Fields of a form that cannot be used; holds what pydantic found."""

    def __init__(self, errors: list[Any]) -> None:
        super().__init__("invalid form")
        self.errors = errors


class PatchFields(Asked):
    """The picture of one tile, and how large it is."""

    image: Annotated[bytes, Field(description="PNG, JPEG or TIFF of the tile.", json_schema_extra={"format": "binary"})]
    mpp: Mpp
    from_slide: Name | None = Field(None, description="Slide of the index the pixels were cut from, left out.")

    def patch(self) -> PatchQuery:
        """The query; decodes the picture. Raises `ShowError` for what is no picture, or too large."""
        return PatchQuery(decode_patch(self.image), self.mpp, self.from_slide)


class SearchForm(PatchFields, SearchOptions):
    """A search with a patch."""


class PredictForm(PatchFields, PredictOptions):
    """A prediction for a patch."""


class DecomposeForm(PatchFields, DecomposeOptions):
    """A decomposition of a patch."""


class CohortsForm(PatchFields, CohortsOptions):
    """Nearest cohorts of a patch."""


class ExplainForm(PatchFields, ExplainOptions):
    """Why an item is a hit of a patch."""


class MapForm(PatchFields, MapOptions):
    """A similarity map of a patch."""


class _InMemory(MultiPartParser):
    """Never writes a part to a file: the whole body is bounded already."""

    spool_max_size = 0  # of a SpooledTemporaryFile: no bound


def form_of(model: type[BaseModel]) -> Callable[[Request], Any]:
    """A dependency that reads a form as `model`."""
    lists = {name for name, field in model.model_fields.items() if _takes_list(field.annotation)}

    async def read(request: Request) -> BaseModel:
        given = await _fields(request)
        values = {name: found if name in lists else found[-1] for name, found in given.items()}
        try:
            return model.model_validate(values)
        except ValidationError as error:
            raise InvalidFormError(error.errors(include_input=False, include_url=False)) from error

    return read


def form_schema(model: type[BaseModel]) -> dict[str, Any]:
    """What OpenAPI says of the form."""
    schema = model.model_json_schema(mode="validation")
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


async def _fields(request: Request) -> dict[str, list[Any]]:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "multipart/form-data":
        raise Refusal(415, "Send the patch as multipart/form-data, such as curl -F image=@tile.png -F mpp=0.5.")
    parser = _InMemory(request.headers, request.stream(), max_files=1, max_fields=_FIELDS, max_part_size=_FIELD_BYTES)
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise Refusal(400, f"The form does not parse: {error.message} Send one file and plain fields.") from error
    found: dict[str, list[Any]] = {}
    for name, value in form.multi_items():
        found.setdefault(name, []).append(await value.read() if isinstance(value, UploadFile) else value)
    await form.close()
    return found


def _takes_list(annotation: Any) -> bool:
    return get_origin(annotation) is list or any(_takes_list(part) for part in get_args(annotation))
