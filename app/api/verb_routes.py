"""Routes of the verbs: `POST /v1/VERB` with JSON, and `POST /v1/VERB/patch` with a picture."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Request
from pydantic import BaseModel
from starlette.responses import Response

from app.api import verbs
from app.api.answers import (
    AlignAnswer,
    AnnotateAnswer,
    CohortsAnswer,
    DecomposeAnswer,
    DecomposeSlideAnswer,
    ExplainAnswer,
    MapAnswer,
    MixingAnswer,
    PredictAnswer,
    PredictSlideAnswer,
    SearchAnswer,
)
from app.api.formats import MEDIA_TYPES
from app.api.problems import documented
from app.api.questions import EXAMPLES
from app.api.requests import (
    AlignRequest,
    AnnotateRequest,
    CohortsRequest,
    DecomposeRequest,
    DecomposeSlideRequest,
    ExplainRequest,
    MapRequest,
    MixingRequest,
    PredictRequest,
    PredictSlideRequest,
    SearchRequest,
)
from app.api.services import Services, json_only
from app.api.uploads import (
    CohortsForm,
    DecomposeForm,
    ExplainForm,
    MapForm,
    PatchFields,
    PredictForm,
    SearchForm,
    form_of,
    form_schema,
)
from search.engine import Engine
from search.query import Query
from search.result import Findings, SearchResult

#: Of a verb: engine, query and options to an answer.
Work = Callable[[Engine, Query, Any], SearchResult | Findings]

_BINARY = {"schema": {"type": "string", "format": "binary"}}
_FORMATS = {media_type: _BINARY for name, media_type in MEDIA_TYPES.items() if name != "json"}
_STATUSES = (400, 401, 403, 404, 406, 408, 413, 415, 422, 429, 503)


def verb_routes(services: Services) -> APIRouter:
    """All verbs that take a question."""
    router = APIRouter(prefix="/v1", tags=["verbs"])

    def decompose(_: Engine, query: Query, options: Any) -> Findings:
        return verbs.decompose(services.holder, query, options)

    @router.post("/search", **_of(SearchAnswer))
    async def search(request: Request, asked: Annotated[SearchRequest, _examples(k=3)]) -> Response:
        """Find the items most like a question: an item, a slide, genes, a sentence, a profile or a vector."""
        return await services.answer(request, "search", lambda e: verbs.search(e, asked.query.query(), asked))

    @router.post("/predict", **_of(PredictAnswer))
    async def predict(request: Request, asked: Annotated[PredictRequest, _examples(n_genes=5)]) -> Response:
        """Predict expression from the measured profiles of the most similar spots, cells and transcriptomes."""
        return await services.answer(request, "predict", lambda e: verbs.predict(e, asked.query.query(), asked))

    @router.post("/decompose", **_of(DecomposeAnswer))
    async def decompose_(request: Request, asked: Annotated[DecomposeRequest, _examples()]) -> Response:
        """Tell the cell types of a question, from its own counts or from those of its hits."""
        return await services.answer(request, "decompose", lambda e: decompose(e, asked.query.query(), asked))

    @router.post("/cohorts", **_of(CohortsAnswer))
    async def cohorts(request: Request, asked: Annotated[CohortsRequest, _examples(by="patient")]) -> Response:
        """Tell which cohorts, diagnoses, patients or labels a question sits nearest to, tested over patients."""
        return await services.answer(request, "cohorts", lambda e: verbs.cohorts(e, asked.query.query(), asked))

    @router.post("/similarity-map", **_of(MapAnswer))
    async def similarity_map(request: Request, asked: Annotated[MapRequest, _examples(slide="C2")]) -> Response:
        """Score every tile and spot of a slide against a question."""
        return await services.answer(
            request, "similarity-map", lambda e: verbs.similarity_map(e, asked.query.query(), asked)
        )

    @router.post("/explain", **_of(ExplainAnswer))
    async def explain(request: Request, asked: Annotated[ExplainRequest, _examples(item="C3/spot/21x10")]) -> Response:
        """Tell why an item is a hit: genes that make the score, squares of the pictures, labelled examples."""
        return await services.answer(request, "explain", lambda e: verbs.explain(e, asked.query.query(), asked))

    _add_slide_verbs(router, services)
    _add_forms(router, services, decompose)
    return router


def _add_slide_verbs(router: APIRouter, services: Services) -> None:
    @router.post("/decompose/slide", **_of(DecomposeSlideAnswer))
    async def decompose_slide(request: Request, asked: DecomposeSlideRequest) -> Response:
        """Tell the cell types of every place of a slide."""
        return await services.answer(request, "decompose", lambda _: verbs.decompose_slide(services.holder, asked))

    @router.post("/predict/slide", **_of(PredictSlideAnswer))
    async def predict_slide(request: Request, asked: PredictSlideRequest) -> Response:
        """Predict expression at every place of a slide."""
        return await services.answer(request, "predict", lambda e: verbs.predict_slide(e, asked))

    @router.post("/mixing", **_of(MixingAnswer))
    async def mixing(request: Request, asked: MixingRequest) -> Response:
        """Tell whether neighbours share a site (cohort, technology, patient) beyond what their labels explain."""
        return await services.answer(request, "mixing", lambda e: verbs.mixing(e, asked))

    @router.post("/align", **_of(AlignAnswer))
    async def align(request: Request, asked: AlignRequest) -> Response:
        """Lay a slide over another one of the same tissue."""
        return await services.answer(request, "align", lambda e: verbs.align(e, asked))

    @router.post("/annotate", **_of(AnnotateAnswer))
    async def annotate(request: Request, asked: AnnotateRequest) -> Response:
        """Give each tile or spot of a slide a class, by marker genes or profiles, or none."""
        return await services.answer(request, "annotate", lambda e: verbs.annotate(e, asked))


def _add_forms(router: APIRouter, services: Services, decompose: Work) -> None:
    _add_form(router, services, "search", SearchForm, SearchAnswer, verbs.search)
    _add_form(router, services, "predict", PredictForm, PredictAnswer, verbs.predict)
    _add_form(router, services, "decompose", DecomposeForm, DecomposeAnswer, decompose)
    _add_form(router, services, "cohorts", CohortsForm, CohortsAnswer, verbs.cohorts)
    _add_form(router, services, "explain", ExplainForm, ExplainAnswer, verbs.explain)
    _add_form(router, services, "similarity-map", MapForm, MapAnswer, verbs.similarity_map)


def _add_form(
    router: APIRouter, services: Services, verb: str, form: type[PatchFields], answer: type[BaseModel], work: Work
) -> None:
    @router.post(
        f"/{verb}/patch",
        name=f"{verb}_patch",
        description=f"The same as `/v1/{verb}`, asked with an uploaded patch; every option is a field of the form.",
        openapi_extra=form_schema(form),
        response_model=answer,
        responses={200: {"content": _FORMATS}, **documented(*_STATUSES)},
    )
    async def by_patch(request: Request, asked: Annotated[Any, Depends(form_of(form))]) -> Response:
        return await services.answer(request, verb, lambda engine: work(engine, asked.patch(), asked))


def _of(answer: type[BaseModel]) -> dict[str, Any]:
    """What the routes with JSON have in common."""
    return {
        "response_model": answer,
        "responses": {200: {"content": _FORMATS}, **documented(*_STATUSES)},
        "dependencies": [Depends(json_only)],
    }


def _examples(**options: Any) -> Any:
    return Body(openapi_examples={name: {"value": {"query": query, **options}} for name, query in EXAMPLES.items()})
