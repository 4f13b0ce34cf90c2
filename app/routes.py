"""Routes of the server besides the screens: tiles of slides, and whatever else is served from the same port.

`app/serving/web.py` mounts them in the one Starlette application that Streamlit runs (`st.App`). To add some, write a
function that returns a list of Starlette routes and add its name to `_PARTS`. They go before Streamlit's own, must not
begin with `/_stcore/`, `/media/`, `/component/` or `/static/`, and a `Mount` of another ASGI application is one too.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

_PARTS: tuple["Callable[[], list[BaseRoute]]", ...] = ()


def routes() -> "list[BaseRoute]":
    """All routes besides the screens', in the order of `_PARTS`."""
    return [route for part in _PARTS for route in part()]
