"""Runs the HTTP interface alone, on one port, without the screens."""

import logging
import socket
import sys
from collections.abc import Callable

from app.api.application import create_api
from app.api.audit import JsonLines
from app.api.settings import ApiSettings
from app.errors import ShowError
from search.engine import Engine

_KEEP_ALIVE_S = 5
_GRACE_S = 5
_CONNECTIONS = 500
_HEADER_BYTES = 32 * 1024


def serve_api(settings: ApiSettings, port: int, address: str, open_engine: Callable[[], Engine]) -> None:
    """Serve until interrupted; log lines go to stderr as JSON.

    Parameters
    ----------
    settings : ApiSettings
        What the server may do.
    port : int
        TCP port.
    address : str
        Interface to listen on; `app.exposure.check_exposure` says whether it may be that one.
    open_engine : callable
        Gives the engine.

    Raises
    ------
    ShowError
        If the port is taken, or the log of questions cannot be written.
    """
    import uvicorn

    _require_free(address, port)
    _log_as_json()
    uvicorn.run(
        create_api(settings, open_engine),
        host=address,  # it listens itself: asyncio sends small answers at once only from sockets it made
        port=port,
        log_config=None,
        access_log=False,  # a line of our own says more
        server_header=False,
        proxy_headers=False,  # what a caller says of its address is not believed
        limit_concurrency=_CONNECTIONS,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_GRACE_S,
        h11_max_incomplete_event_size=_HEADER_BYTES,
        http="h11",
        ws="none",
    )


def _require_free(address: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        socket.create_server((address, port), family=family).close()
    except OSError as error:
        reason = error.strerror or error
        raise ShowError(f"Cannot listen on {address}:{port}: {reason}. Choose another port with --port.") from error


def _log_as_json() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    for name, level in (("histoseek", logging.INFO), ("uvicorn", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(level)
        logger.propagate = False
