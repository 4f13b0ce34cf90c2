"""An application that is made when it is first asked."""

from collections.abc import Callable
from threading import Lock
from typing import TYPE_CHECKING

from anyio.to_thread import run_sync

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send


class Deferred:
    """Stands for an ASGI application that takes long to import, so that the server listens before it is made.

    Parameters
    ----------
    make : callable
        Gives the application; called once, by the first who asks or by `made`.
    """

    def __init__(self, make: "Callable[[], ASGIApp]") -> None:
        self._make = make
        self._made: ASGIApp | None = None
        self._lock = Lock()

    def made(self) -> "ASGIApp":
        """The application."""
        with self._lock:
            if self._made is None:
                self._made = self._make()
            return self._made

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Answer as the application does."""
        application = self._made
        if application is None:
            application = await run_sync(self.made)
        await application(scope, receive, send)
