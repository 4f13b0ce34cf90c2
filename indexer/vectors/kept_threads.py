"""Threads kept for the parts of single searches: to start one and end it takes as long as a small part.

What no kept thread has begun when the caller is done with its own part, the caller does too. So a search never waits
for the threads that other searches use, nor for those that a forked process does not have.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

_Part = TypeVar("_Part")
_Found = TypeVar("_Found")


def each(task: Callable[[_Part], _Found], parts: Sequence[_Part]) -> list[_Found]:
    """What a task gives for each of some parts, in their order; the first is done by this thread."""
    others = [_kept().submit(task, part) for part in parts[1:]]
    try:
        found = [task(part) for part in parts[:1]]
        for other, part in zip(others, parts[1:], strict=True):
            found.append(task(part) if other.cancel() else other.result())
    finally:
        for other in others:  # where a part failed no more are begun
            other.cancel()
    return found


@cache
def _kept() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max(1, (os.cpu_count() or 1) - 1), thread_name_prefix="part-of-search")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_kept.cache_clear)
