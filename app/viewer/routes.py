"""Routes of the viewer: its scripts, the tiles and pictures of slides, and the numbers it draws.

All lie below an address that only the screens know, since a login protects those and not the routes. A slide is named
in the query string and looked up in the index; nothing that the browser sends becomes a path.
"""

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from app.viewer.arrays import Arrays
from app.viewer.assets import library
from app.viewer.tiles import Tiles
from app.viewer.tiling import TILE_PX
from indexer.errors import SlideError

if TYPE_CHECKING:
    from starlette.requests import Request

#: Where the routes lie; another one after every start.
BASE = f"/viewer/{secrets.token_urlsafe(18)}"
#: What the screens put there for the browsers of this process.
ARRAYS = Arrays()

_FRONTEND = Path(__file__).parent / "frontend"
_SCRIPTS = {path.name: path for path in _FRONTEND.iterdir() if path.suffix in {".js", ".css"}}
_FOREVER = "private, max-age=31536000, immutable"  # what changes has another address
_EACH_TIME = "private, no-cache"


def viewer_routes(tiles: Tiles) -> list[Route]:
    """Routes over the slides of `tiles`."""

    # Plain functions: Starlette runs them in threads, since they read files.
    def slide(request: "Request") -> Response:
        shown = tiles.show(request.query_params.get("slide", ""))
        if shown is None:
            return _none()
        tiling = shown.tiling
        facts = {"state": shown.state, "sentence": shown.sentence, "stamp": shown.stamp, "tile_px": TILE_PX}
        if tiling is not None:
            facts |= {"width": tiling.width_px, "height": tiling.height_px, "top": tiling.top}
        return JSONResponse(facts, headers={"Cache-Control": _EACH_TIME})

    def tile(request: "Request") -> Response:
        asked = request.query_params
        name, stamp = asked.get("slide", ""), asked.get("stamp", "")
        place = _numbers(asked, ("level", "x", "y"))
        if place is None:
            return _none()
        etag = f'"{stamp}-{"-".join(map(str, place))}"' if stamp.replace("-", "").isalnum() else '""'
        if request.headers.get("if-none-match") == etag:
            return Response(status_code=304, headers={"ETag": etag, "Cache-Control": _FOREVER})
        try:
            content = tiles.tile(name, stamp, *place)
        except SlideError:
            content = None  # damaged here; the rest of the slide is shown
        return _none() if content is None else _jpeg(content, {"ETag": etag, "Cache-Control": _FOREVER})

    def picture(request: "Request") -> Response:
        content = tiles.picture(request.query_params.get("slide", ""))
        return _none() if content is None else _jpeg(content, {"Cache-Control": _EACH_TIME})

    handlers = {"slide": slide, "tile": tile, "picture": picture, "numbers": _numbers_of, "script": _script}
    return [Route(f"{BASE}/{name}", handler, methods=["GET"]) for name, handler in handlers.items()]


def _numbers_of(request: "Request") -> Response:
    content = ARRAYS.get(request.query_params.get("id", ""))
    if content is None:
        return _none()
    return Response(content, media_type="application/octet-stream", headers={"Cache-Control": _FOREVER})


def _script(request: "Request") -> Response:
    name = request.query_params.get("name", "")
    path = library() if name == "openseadragon.min.js" else _SCRIPTS.get(name)
    return _none() if path is None else FileResponse(path, headers={"Cache-Control": _FOREVER})


def _jpeg(content: bytes, headers: Mapping[str, str]) -> Response:
    return Response(content, media_type="image/jpeg", headers=dict(headers))


def _numbers(asked: Mapping[str, str], names: tuple[str, ...]) -> tuple[int, int, int] | None:
    texts = [asked.get(name, "") for name in names]
    # Short ASCII digits only: `int` also takes spaces, signs and the digits of other scripts.
    if not all(text.isascii() and text.isdigit() and len(text) < 8 for text in texts):
        return None
    level, column, row = map(int, texts)
    return level, column, row


def _none() -> Response:
    return Response("There is no such thing here.", 404, media_type="text/plain")
