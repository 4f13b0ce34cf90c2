"""Where questions are worked on: a few threads, a short queue, and an end to the waiting."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import TypeVar

from app.api.problems import Refusal
from app.api.settings import Limits

Answer = TypeVar("Answer")
_RETRY = {"Retry-After": "2"}


class Workers:
    """A bounded pool. Who comes when all are busy and the queue is full is told at once to come back."""

    def __init__(self, limits: Limits) -> None:
        self._pool = ThreadPoolExecutor(limits.workers, thread_name_prefix="question")
        self._most = limits.workers + limits.waiting
        self._seconds = limits.answer_seconds
        self._lock = Lock()
        self.n_admitted = 0

    async def do(self, work: Callable[[], Answer]) -> Answer:
        """Run `work` on a thread.

        Raises
        ------
        Refusal
            503 if the queue is full, or if the answer takes too long; the thread then ends its work unheard.
        """
        with self._lock:
            if self.n_admitted >= self._most:
                raise Refusal(503, "The server is busy with other questions; ask again in a moment.", _RETRY)
            self.n_admitted += 1
        future = self._pool.submit(work)
        future.add_done_callback(self._leave)
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), self._seconds)
        except TimeoutError:
            raise Refusal(
                503, f"The answer took longer than {self._seconds:g} s; narrow the question or ask later.", _RETRY
            ) from None

    def _leave(self, _: "Future[Answer]") -> None:
        with self._lock:
            self.n_admitted -= 1
