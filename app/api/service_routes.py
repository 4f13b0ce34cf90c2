"""Routes of the server itself: whether it lives, whether it can answer, its figures."""

from importlib.metadata import version
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from app.api.answers import Health, Readiness
from app.api.metrics import MEDIA_TYPE
from app.api.problems import documented
from app.api.services import Services

_VERBS = ("search", "predict", "decompose", "cohorts", "similarity-map", "annotate", "explain", "align")


def service_routes(services: Services) -> APIRouter:
    """Health, readiness, metrics, and where to begin."""
    router = APIRouter(tags=["service"], responses=documented(400, 401, 403, 429, 503))

    @router.get("/")
    async def root() -> dict[str, str]:
        """Where to begin."""
        return {
            "service": "HistoSeek",
            "version": version("histoseek"),
            "openapi": "openapi.json",
            "verbs": ", ".join(f"v1/{verb}" for verb in _VERBS),
        }

    @router.get("/healthz")
    async def healthz() -> Health:
        """Whether the server answers at all."""
        return Health(status="ok")

    @router.get("/readyz")
    async def readyz() -> Readiness:
        """Whether the index is open; opens it if not."""
        found: dict[str, Any] = await services.look_up(
            lambda engine: {"items": len(engine.index), "version": engine.index.card.version}
        )
        return Readiness(status="ready", **found)

    @router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    async def metrics() -> Response:
        """Figures for Prometheus."""
        return Response(services.metrics.text(), media_type=MEDIA_TYPE)

    return router
