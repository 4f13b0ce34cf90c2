"""Routes of what is in the index: `GET /v1/slides`, `/v1/items`, `/v1/genes`, `/v1/index`, `/v1/encoders`."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from app.api import held
from app.api.answers import EncodersAnswer, GenesAnswer, IndexAnswer, Item, ItemsAnswer, Slide, SlidesAnswer
from app.api.conditions import Where
from app.api.formats import json_response
from app.api.problems import documented
from app.api.services import Services
from app.api.settings import MAX_OFFSET, MAX_PAGE
from search.engine import Engine

_STATUSES = (400, 401, 403, 404, 422, 429, 503)
_JPEG: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}}
}

Limit = Annotated[int, Query(ge=1, le=MAX_PAGE)]
Offset = Annotated[int, Query(ge=0, le=MAX_OFFSET * MAX_PAGE)]
Name = Annotated[str, Path(min_length=1, max_length=500)]


def held_routes(services: Services) -> APIRouter:
    """All that is looked up."""
    router = APIRouter(prefix="/v1", tags=["index"], responses=documented(*_STATUSES))
    _add_whole(router, services)
    _add_slides(router, services)
    _add_items(router, services)
    return router


def _add_whole(router: APIRouter, services: Services) -> None:
    @router.get("/index", response_model=IndexAnswer)
    async def index() -> Response:
        """What is in the index, and in which space."""
        return await _told(services, held.index)

    @router.get("/encoders", response_model=EncodersAnswer)
    async def encoders() -> Response:
        """Spaces and published encoders, with their state on this server."""
        return await _told(services, held.encoders)

    @router.get("/genes", response_model=GenesAnswer)
    async def genes(
        contains: Annotated[str | None, Query(max_length=100, examples=["ERB"])] = None,
        limit: Limit = 100,
        offset: Offset = 0,
    ) -> Response:
        """Genes of the panel."""
        return await _told(services, lambda engine: held.genes(engine, contains, limit, offset))


def _add_slides(router: APIRouter, services: Services) -> None:
    @router.get("/slides", response_model=SlidesAnswer)
    async def slides(limit: Limit = 100, offset: Offset = 0) -> Response:
        """The slides."""
        return await _told(services, lambda engine: held.slides(engine, limit, offset))

    @router.get("/slides/{slide:path}/thumbnail", response_class=Response, responses=_JPEG)
    async def slide_thumbnail(slide: Name) -> Response:
        """Picture of a whole slide, JPEG."""
        return await _pictured(services, lambda engine: held.slide_picture(engine, slide))

    @router.get("/slides/{slide:path}", response_model=Slide)
    async def one_slide(slide: Name) -> Response:
        """One slide."""
        return await _told(services, lambda engine: held.slide(engine, slide))


def _add_items(router: APIRouter, services: Services) -> None:
    @router.get("/items", response_model=ItemsAnswer)
    async def items(where: Annotated[Where | None, Query()] = None, limit: Limit = 100, offset: Offset = 0) -> Response:
        """The items that a condition allows."""
        return await _told(services, lambda engine: held.items(engine, where, limit, offset))

    @router.get("/items/{item:path}/thumbnail", response_class=Response, responses=_JPEG)
    async def item_thumbnail(item: Name) -> Response:
        """Picture of an item's patch, JPEG."""
        return await _pictured(services, lambda engine: held.item_picture(engine, item))

    @router.get("/items/{item:path}", response_model=Item)
    async def one_item(item: Name) -> Response:
        """One item."""
        return await _told(services, lambda engine: held.item(engine, item))


async def _told(services: Services, look: Callable[[Engine], Any]) -> Response:
    return await services.look_up(lambda engine: json_response(look(engine)))


async def _pictured(services: Services, look: Callable[[Engine], bytes]) -> Response:
    picture = await services.look_up(look)
    return Response(picture, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=300"})
