"""What every route uses: the engine, the threads, the log of questions, the figures; and how a question is answered."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from fastapi import Request
from starlette.responses import Response

from app.api.audit import AuditLog
from app.api.engines import EngineHolder
from app.api.formats import answered, wanted_format
from app.api.metrics import Metrics
from app.api.observed import client_of
from app.api.problems import Refusal
from app.api.settings import ApiSettings
from app.api.work import Workers
from search.engine import Engine
from search.result import Findings, SearchResult

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Services:
    """One application's parts."""

    settings: ApiSettings
    holder: EngineHolder
    workers: Workers
    audit: AuditLog
    metrics: Metrics

    async def look_up(self, work: Callable[[Engine], Answer]) -> Answer:
        """Run a small look-up on a thread."""
        return await self.workers.do(lambda: work(self.holder.engine()))

    async def answer(self, request: Request, verb: str, work: Callable[[Engine], SearchResult | Findings]) -> Response:
        """Answer a question in the format that the caller wants, and note it in the log of questions."""
        kind = wanted_format(request.headers.get("accept"))
        told: dict[str, Any] = {"n_hits": None, "status": "failed"}
        asked: dict[str, Any] = {}

        def work_and_write() -> Response:
            found = work(self.holder.engine())
            asked.update(found.query)
            told.update(n_hits=len(found), status="answered")
            return answered(found, kind)

        start = time.perf_counter()
        try:
            return await self.workers.do(work_and_write)
        except Exception as error:
            told["status"] = type(error).__name__
            raise
        finally:
            state = request.scope["state"]
            who = state.get("who") or client_of(request.scope)
            ms = round((time.perf_counter() - start) * 1000, 1)
            self.audit.note(who=who, verb=verb, asked=asked, ms=ms, request_id=state["request_id"], **told)


def json_only(request: Request) -> None:
    """Refuse a body that does not say it is JSON; a page of another site can send any other kind unasked."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise Refusal(415, "Send the question as JSON, with Content-Type: application/json.")
