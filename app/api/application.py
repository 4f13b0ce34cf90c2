"""The application: routes behind their guards. It runs alone, or mounted in another one."""

from collections.abc import Callable
from importlib.metadata import version

from fastapi import FastAPI, Request
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from app.api import problems
from app.api.audit import log_at
from app.api.bodies import BoundedBody
from app.api.engines import EngineHolder, warm
from app.api.guarded import Guarded
from app.api.held_routes import held_routes
from app.api.metrics import Metrics
from app.api.observed import Observed
from app.api.problems import Problem
from app.api.service_routes import service_routes
from app.api.services import Services
from app.api.settings import ApiSettings
from app.api.uploads import InvalidFormError
from app.api.verb_routes import verb_routes
from app.api.work import Workers
from search.engine import Engine

_SUMMARY = "A search engine for tissue: slides, tiles, spots, cells and transcriptomes in one embedding space."
_ABOUT = """The verbs of `histoseek` over HTTP; read-only.

Answers come as JSON, or as their table by `Accept`: `application/vnd.apache.arrow.stream`, `text/csv` or
`application/vnd.apache.parquet`. Problems come as `application/problem+json` (RFC 9457). Every answer has an
`X-Request-ID`, the caller's own where it sent one. Scores are cosines; p-values are against mismatched pairs.
Hits of generated data say so in `generated`; `licence` and `cohort` say whose data a hit is."""


def create_api(settings: ApiSettings, open_engine: Callable[[], Engine] | None = None) -> FastAPI:
    """Make the application.

    Parameters
    ----------
    settings : ApiSettings
        What it may do.
    open_engine : callable, optional
        Gives the engine at the first question; by default the index of `settings.db` is opened then.

    Raises
    ------
    ShowError
        If the log of questions cannot be written.
    """
    holder = EngineHolder(open_engine or (lambda: opened(settings.db)), settings.reference)
    workers = Workers(settings.limits)
    metrics = Metrics(lambda: workers.n_admitted, lambda: len(holder.opened.index) if holder.opened else 0)
    services = Services(settings, holder, workers, log_at(settings.audit_log), metrics)
    api = FastAPI(
        title="HistoSeek",
        version=version("histoseek"),
        summary=_SUMMARY,
        description=_ABOUT,
        docs_url=None,  # the page would be drawn by scripts from elsewhere
        redoc_url=None,
        middleware=_layers(settings, metrics),
    )
    problems.install(api)
    api.add_exception_handler(InvalidFormError, _invalid_form)
    for router in (verb_routes(services), held_routes(services), service_routes(services)):
        api.include_router(router)
    _publish(api, settings)
    return api


def opened(db: str) -> Engine:
    """The engine of an index, made warm."""
    engine = Engine.open(db)
    warm(engine)
    return engine


def _layers(settings: ApiSettings, metrics: Metrics) -> list[Middleware]:
    """Outermost first."""
    origins = list(settings.allow_origins)
    cors = Middleware(
        CORSMiddleware,
        allow_origins=origins,
        allow_methods=["GET", "POST"],
        allow_headers=["Authorization", "Content-Type", "X-API-Key", "X-Request-ID"],
        expose_headers=["X-Request-ID"],
    )
    return [
        Middleware(Observed, metrics=metrics),
        *([cors] if origins else []),
        Middleware(Guarded, settings=settings),
        Middleware(BoundedBody, limits=settings.limits),
    ]


def _invalid_form(request: Request, error: Exception) -> Response:
    if not isinstance(error, InvalidFormError):
        raise error
    return problems.invalid(error.errors, problems.id_of(request))


def _publish(api: FastAPI, settings: ApiSettings) -> None:
    """Add to the published schema what routes do not say: the shape of problems, and keys."""
    plain = api.openapi

    def openapi() -> dict[str, object]:
        if api.openapi_schema is None:
            schema = plain()
            parts = schema.setdefault("components", {})
            shapes = parts.setdefault("schemas", {})
            problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
            shapes.update(problem.pop("$defs", {}))
            shapes["Problem"] = problem
            if settings.keys:
                parts["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
                schema["security"] = [{"key": []}]
        return api.openapi_schema or {}

    api.openapi = openapi  # type: ignore[method-assign]  # the way FastAPI's own docs extend the schema
