"""Figures of the server for Prometheus."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)


class Metrics:
    """Counts of one application, in a registry of its own."""

    def __init__(self, n_admitted: Callable[[], int], n_items: Callable[[], int]) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._requests = Counter(
            "histoseek_requests", "Requests answered.", ("route", "method", "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "histoseek_request_seconds", "Time to an answer.", ("route",), buckets=_SECONDS, registry=self._registry
        )
        questions = Gauge("histoseek_questions", "Questions worked on or waiting.", registry=self._registry)
        questions.set_function(n_admitted)
        items = Gauge("histoseek_items", "Items of the index; 0 until it is open.", registry=self._registry)
        items.set_function(n_items)

    def count(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count a request; `route` is the pattern, never what the caller wrote."""
        self._requests.labels(route, method, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def text(self) -> bytes:
        """All figures in the text format."""
        return generate_latest(self._registry)
