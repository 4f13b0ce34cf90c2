"""How fast one caller may ask: a bucket of tokens each, filled at a steady rate."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable

_KEPT = 10_000  # callers remembered; the one not heard of longest goes first, its bucket long full again


class Pace:
    """Token buckets by caller, on the thread of the event loop.

    Parameters
    ----------
    rate : float
        Tokens a second; 0 lets everything pass.
    burst : int
        Tokens a bucket holds.
    clock : callable
        Seconds that only go up.
    """

    def __init__(self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._burst = max(1, burst)
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_of(self, caller: str) -> int:
        """Take a token: 0 if there was one, else the seconds until there is."""
        if self._rate <= 0:
            return 0
        now = self._clock()
        tokens, seen = self._buckets.pop(caller, (float(self._burst), now))
        tokens = min(float(self._burst), tokens + (now - seen) * self._rate)
        passes = tokens >= 1
        self._buckets[caller] = (tokens - 1 if passes else tokens, now)
        if len(self._buckets) > _KEPT:
            self._buckets.popitem(last=False)
        return 0 if passes else max(1, math.ceil((1 - tokens) / self._rate))
