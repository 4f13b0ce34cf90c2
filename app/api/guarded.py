"""Who is let in: by the name the server is called, the page that asks, the key, and how often."""

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.observed import client_of
from app.api.pace import Pace
from app.api.problems import problem
from app.api.settings import ApiSettings

#: Open to all: whether the server lives, and what may be asked of it.
_OPEN = frozenset({"/", "/healthz", "/readyz", "/openapi.json"})


class Guarded:
    """Refuses a request before anything of its body is read."""

    def __init__(self, app: ASGIApp, settings: ApiSettings) -> None:
        self._app = app
        self._settings = settings
        self._pace = Pace(settings.limits.rate, settings.limits.burst)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or say why not."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refused = self._refused(scope)
        if refused is None:
            await self._app(scope, receive, send)
            return
        status, detail, more = refused
        response = problem(status, detail, request_id=scope["state"]["request_id"], headers=more)
        await response(scope, receive, send)

    def _refused(self, scope: Scope) -> tuple[int, str, dict[str, str]] | None:
        headers = Headers(scope=scope)
        if self._settings.hosts and _name_of(headers.get("host", "")) not in self._settings.hosts:
            return 400, f"This server answers to {', '.join(self._settings.hosts)} only; call it by that name.", {}
        if _comes_from_elsewhere(headers, self._settings.allow_origins):
            return 403, "Another web page may not ask this server; start it with --allow-origin to let it.", {}
        who = self._who(headers)
        scope["state"]["who"] = who
        wait = self._pace.wait_of(f"key {who}" if who else client_of(scope))
        if wait:
            return 429, f"Too many requests from one caller; wait {wait} s.", {"Retry-After": str(wait)}
        if self._settings.keys and who is None and _path_of(scope) not in _OPEN:
            return 401, "Give a key of this server as Authorization: Bearer KEY.", {"WWW-Authenticate": "Bearer"}
        return None

    def _who(self, headers: Headers) -> str | None:
        scheme, _, key = headers.get("authorization", "").partition(" ")
        key = key.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")
        return self._settings.keys.owner_of(key) if key and self._settings.keys else None


def _path_of(scope: Scope) -> str:
    return str(scope["path"]).removeprefix(scope.get("root_path", "")) or "/"


def _name_of(host: str) -> str:
    """The name in a Host header, without its port and the brackets of IPv6."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower()


def _comes_from_elsewhere(headers: Headers, allowed: tuple[str, ...]) -> bool:
    """Whether a browser says that another site's page asks; programs say nothing of it."""
    origin = headers.get("origin")
    if origin is None:
        return headers.get("sec-fetch-site") == "cross-site"
    try:
        name = urlsplit(origin).netloc
    except ValueError:
        return True
    return origin not in allowed and name != headers.get("host")
