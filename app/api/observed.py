"""Around every request: its id, headers that keep browsers careful, one line of log, one count, and a last resort."""

import logging
import re
import secrets
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.metrics import Metrics
from app.api.problems import problem

_LOG = logging.getLogger("histoseek.api")
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class Observed:
    """Outermost layer; nothing passes it as an exception, so that no server shows a traceback."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        request_id = state["request_id"] = _id_of(Headers(scope=scope).get("x-request-id"))
        start, status = time.perf_counter(), 0

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = request_id
                headers.setdefault("Cache-Control", "no-store")
                for name, value in _HEADERS.items():
                    headers[name] = value
            await send(message)

        try:
            await self._app(scope, receive, observed)
        except Exception:  # noqa: BLE001  # the last one to hear of it; nothing beyond would log or tell it
            _LOG.exception("An error that nobody foresaw", extra={"request_id": request_id})
            if not status:
                sentence = "The server made a mistake; its log says which under this request's id."
                await problem(500, sentence, request_id=request_id)(scope, receive, observed)
        finally:
            self._tell(scope, status, time.perf_counter() - start)

    def _tell(self, scope: Scope, status: int, seconds: float) -> None:
        route = scope.get("route")
        pattern = str(getattr(route, "path", "none"))
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._metrics.count(pattern, method, status, seconds)
        state = scope["state"]
        told = {
            "request_id": state["request_id"],
            "who": state.get("who"),
            "client": client_of(scope),
            "method": method,
            "path": scope["path"][:500],
            "status": status,
            "ms": round(seconds * 1000, 1),
        }
        _LOG.info("answered", extra={"request": told})


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"})


def client_of(scope: Scope) -> str:
    """Address of the other end of the connection; what a header says of it is not believed."""
    client = scope.get("client")
    return str(client[0]) if client else "unknown"


def _id_of(given: str | None) -> str:
    return given if given and _ID.fullmatch(given) else secrets.token_hex(8)
