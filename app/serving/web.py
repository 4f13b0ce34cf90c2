"""The screens and the routes of `app.routes` as one application on one port, in the process that calls `run`.

`python -m app.serving.web ADDRESS PORT ARGUMENTS` does so in a process of its own.
"""

import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from app.serving.arenas import share_heaps
from app.serving.components import own_components_alone
from app.serving.connections import send_at_once
from app.serving.flags import flags

_SCREENS = Path(__file__).parents[1] / "screens" / "main.py"


def run(address: str, port: int, arguments: Sequence[str]) -> None:
    """Serve until interrupted.

    Parameters
    ----------
    address : str
        Interface to listen on.
    port : int
        TCP port.
    arguments : sequence of str
        What the screens read (`app.screens.session.Options`).
    """
    sys.argv = [__file__, *arguments]
    share_heaps()
    from streamlit.starlette import App

    from app.routes import routes

    send_at_once()
    own_components_alone()
    App(_SCREENS, routes=routes(), lifespan=_warmed).run(config=flags(address, port))


@asynccontextmanager
async def _warmed(_: object) -> AsyncIterator[None]:
    # Not before: until the server listens, a browser waits for whatever else is done.
    from app.serving.warming import warm_up

    warm_up()
    yield


if __name__ == "__main__":
    run(sys.argv[1], int(sys.argv[2]), sys.argv[3:])
