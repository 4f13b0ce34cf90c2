"""Routes of the server besides the screens: tiles of slides, and whatever else is served from the same port.

`app/serving/web.py` mounts them in the one Starlette application of Streamlit (`st.App`). To add some, write a
function that returns a list of Starlette routes and add its name to `_PARTS`. They go before Streamlit's own, must not
begin with `/_stcore/`, `/media/`, `/component/` or `/static/`, and a `Mount` of another ASGI application is one too.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.routing import Mount

from app.api.handover import PATH, VARIABLE, mounted
from app.deferred import Deferred
from app.screens.session import engine, options, slide_row, slides
from app.viewer.routes import viewer_routes
from app.viewer.tiles import IndexedSlide, Tiles
from encoders.errors import HistoSeekError
from indexer.settings import Settings

if TYPE_CHECKING:
    from starlette.routing import BaseRoute


def _of_the_viewer() -> "list[BaseRoute]":
    return [*viewer_routes(Tiles(_indexed_slide, Settings().cache_dir / "viewer" / "pyramids"))]


def _indexed_slide(name: str) -> IndexedSlide | None:
    """What the index of this server says of a slide; `None` also where the index cannot be opened."""
    try:
        if name not in slides().index:
            return None
        row = slide_row(name)
    except HistoSeekError:
        return None
    path, picture = row["image_path"], row["thumbnail"]
    has_size = row["width_px"] > 0 and row["height_px"] > 0  # False for NaN
    return IndexedSlide(
        name,
        Path(path) if isinstance(path, str) and path else None,
        (int(row["width_px"]), int(row["height_px"])) if has_size else None,
        picture if isinstance(picture, bytes) else None,
    )


#: The API, whose models take longer to import than the rest of the server does to listen.
API = Deferred(lambda: mounted(engine, options().reference)[0].app)


def _of_the_api() -> "list[BaseRoute]":
    return [Mount(PATH, API)] if _has_api() else []


def prepare_api() -> None:
    """Make the API, if there is one, so that the first caller does not wait for it."""
    if _has_api():
        API.made()


def _has_api() -> bool:
    return bool(os.environ.get(VARIABLE))


_PARTS: "tuple[Callable[[], list[BaseRoute]], ...]" = (_of_the_viewer, _of_the_api)


def routes() -> "list[BaseRoute]":
    """All routes besides the screens', in the order of `_PARTS`."""
    return [route for part in _PARTS for route in part()]
