"""A client of the HTTP API over an index, without a network."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from app.api.application import create_api
from app.api.settings import ApiSettings, Limits
from search.engine import Engine

BASE = "http://127.0.0.1"


def client_of(
    db: Path, open_engine: Callable[[], Engine] | None = None, *, limits: Limits | None = None, **settings: Any
) -> TestClient:
    """A client that calls the server as a program on the same machine does; unhurried unless limits are given."""
    api = create_api(ApiSettings(str(db), limits=limits or Limits(rate=0), **settings), open_engine)
    return TestClient(api, base_url=BASE)
