"""What each verb may be asked besides the question; names and defaults are those of the command line."""

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from app.api.questions import Asked, Name, Question
from app.api.settings import MAX_K, MAX_OFFSET, MAX_WHERE
from encoders.contracts import Modality
from search.cells.composition import Source
from search.cells.decomposition import Method, ShareOf
from search.expression.prediction import Mode
from search.groups.cohorts import By
from search.retrieval.filters import Exclude
from search.retrieval.hits import GroupBy
from search.retrieval.slide_matching import Match
from search.sections.alignment import Model

Kind = Literal["slide", "tile", "spot", "cell", "transcriptome"]

_CALL = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)\s*\(")
_LITERAL = re.compile(r"'(?:[^']|'')*'")
_MAX_DEPTH = 32
#: Words that may stand before a bracket. Functions are few here, since some, such as repeat, take any memory they like.
_OPERATORS = "and|or|not|in|like|is|between|when|then|else|case|as"
_FUNCTIONS = "cast|lower|upper|length|abs|round|coalesce|starts_with|contains|regexp_like|isnan"
_OFFERED = re.compile(f"{_OPERATORS}|{_FUNCTIONS}", re.IGNORECASE)


def _bounded_condition(where: str) -> str:
    rest = _LITERAL.sub("''", where)
    for call in _CALL.finditer(rest):
        if not _OFFERED.fullmatch(call.group(1)):
            raise ValueError(
                f"the function {call.group(1)!r} is not offered over HTTP; use lower, upper, length, abs, round, "
                "coalesce, starts_with, contains or regexp_like"
            )
    depth = 0
    for letter in rest:
        depth += (letter == "(") - (letter == ")")
        if depth > _MAX_DEPTH:
            raise ValueError(f"its brackets are nested more than {_MAX_DEPTH} deep; write a simpler condition")
    return where


Where = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MAX_WHERE),
    AfterValidator(_bounded_condition),
    Field(
        description="SQL condition over the columns of an item.", examples=["organ = 'breast' AND total_counts > 500"]
    ),
]
Hits = Annotated[int, Field(ge=1, le=MAX_K, description="How many hits.")]


class Scoped(Asked):
    """Which items may answer."""

    where: Where | None = None
    exclude: Exclude = Field("auto", description="Leave out the query's own slide or patient.")


class SearchOptions(Scoped):
    """Options of `search`."""

    target: Modality | None = Field(
        None, description="Side of the items compared; by default image for genes and sentences, else expression."
    )
    kind: list[Kind] | None = Field(None, min_length=1, max_length=5, description="Only items of these kinds.")
    k: Hits = 10
    offset: int = Field(0, ge=0, le=MAX_OFFSET, description="Hits passed over, for the next page.")
    group_by: GroupBy | None = Field(None, description="Only the best hits of each; k then counts groups.")
    per_group: int = Field(1, ge=1, le=100)
    min_score: float | None = Field(None, ge=-1, le=1, allow_inf_nan=False)
    max_score: float | None = Field(None, ge=-1, le=1, allow_inf_nan=False)
    exact: bool = Field(default=False, description="Leave out no item that could be a hit, whatever it takes.")
    explain: bool = Field(default=False, description="Say in the plan why it was chosen and what was scanned.")
    match: Match = Field("transport", description="For slides: how their parts meet.")


class PredictOptions(Scoped):
    """Options of `predict`."""

    genes: list[Name] | None = Field(None, min_length=1, max_length=5_000, description="By default the most telling.")
    n_genes: int = Field(20, ge=1, le=5_000, description="Genes shown when none is named.")
    k: Annotated[int, Field(ge=1, le=10_000)] | None = Field(None, description="Neighbours averaged.")
    mode: Mode = "softmax"
    coverage: float | None = Field(None, gt=0, lt=1, description="Give intervals that hold this share of values.")


class DecomposeOptions(Scoped):
    """Options of `decompose`; cell types are those the server was started with, or of the labelled cells it holds."""

    source: Source = Field("auto", description="Own counts, or those of the hits.")
    method: Method = "reweighted"
    of: ShareOf = Field("cells", description="Shares of the cells, or of the RNA.")
    k: Annotated[int, Field(ge=1, le=10_000)] | None = Field(None, description="Hits averaged.")


class CohortsOptions(Scoped):
    """Options of `cohorts`."""

    by: By = Field("cohort", description="Column to group by.")
    target: Modality = "expression"
    kind: list[Kind] | None = Field(None, min_length=1, max_length=5)
    k: Annotated[int, Field(ge=1, le=10_000)] | None = Field(None, description="Hits counted.")


class MapOptions(Asked):
    """Options of `similarity-map`."""

    slide: Name = Field(description="The slide whose tiles and spots are scored.", examples=["C2"])
    target: Modality | None = Field(None, description="Side compared; by default the image where the slide has one.")


class SearchRequest(SearchOptions):
    """A search."""

    query: Question


class PredictRequest(PredictOptions):
    """A prediction."""

    query: Question


class DecomposeRequest(DecomposeOptions):
    """A decomposition."""

    query: Question


class CohortsRequest(CohortsOptions):
    """Nearest cohorts."""

    query: Question


class MapRequest(MapOptions):
    """A similarity map."""

    query: Question


class AlignRequest(Asked):
    """A slide to lay over another one of the same tissue."""

    slide: Name = Field(description="The slide to move.", examples=["C2"])
    other: Name = Field(description="The slide that stays.", examples=["C1"])
    using: tuple[Modality, Modality] | None = Field(None, description="Sides compared, of the one and the other.")
    model: Model = "warp"
    mirror: bool = Field(default=False, description="Whether it may lie with its other side up.")
