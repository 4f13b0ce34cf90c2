"""Bodies of requests: bounded in bytes and time while they come in, whatever their headers say."""

import asyncio
import time

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.problems import Refusal, problem
from app.api.settings import Limits

_CLOSE = {"Connection": "close"}
_DIGITS = 18  # of a length; more would be refused anyway


class BoundedBody:
    """Ends a request whose body is too large (413) or comes too slowly (408)."""

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        is_form = headers.get("content-type", "").lower().startswith("multipart/form-data")
        most = self._limits.body_bytes if is_form else self._limits.json_bytes
        declared = headers.get("content-length", "0")
        if declared.isdecimal() and (len(declared) > _DIGITS or int(declared) > most):
            response = problem(413, _too_large(most), request_id=scope["state"]["request_id"])
            await response(scope, receive, send)
            return
        await self._app(scope, self._counting(receive, most), send)

    def _counting(self, receive: Receive, most: int) -> Receive:
        seen, ended, until = 0, False, time.monotonic() + self._limits.body_seconds

        async def counted() -> Message:
            nonlocal seen, ended
            if ended:  # what comes now is the end of the connection
                return await receive()
            try:
                message = await asyncio.wait_for(receive(), max(0.0, until - time.monotonic()))
            except TimeoutError:
                raise Refusal(
                    408, f"The body did not come in within {self._limits.body_seconds:g} s; send it again.", _CLOSE
                ) from None
            if message["type"] == "http.request":
                seen += len(message.get("body", b""))
                ended = not message.get("more_body", False)
                if seen > most:
                    raise Refusal(413, _too_large(most), _CLOSE)
            return message

        return counted


def _too_large(most: int) -> str:
    return f"The body has more than {most:,} bytes; send less, and pictures as a form at /v1/VERB/patch."
