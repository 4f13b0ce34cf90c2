"""What each verb may be asked besides the question; names and defaults are those of the command line."""

from typing import Annotated, Literal

from pydantic import Field

from app.api.conditions import Where
from app.api.questions import Asked, Name, Question, Text
from app.api.settings import MAX_K, MAX_OFFSET
from encoders.contracts import Modality
from search.annotation.annotate import Mode as AnnotateMode
from search.annotation.items import Using
from search.cells.decomposition import ShareOf
from search.cells.manner import Method, Source
from search.expression.weighting import Mode
from search.groups.cohorts import By
from search.groups.mixing import Label, Site
from search.retrieval.filters import Exclude
from search.retrieval.hits import GroupBy
from search.retrieval.slide_matching import Match
from search.sections.alignment import Model

Kind = Literal["slide", "tile", "spot", "cell", "transcriptome"]

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


class AnnotateRequest(Asked):
    """Classes to tell apart on a slide, or among some items."""

    slide: Name | None = Field(None, description="All tiles or spots of this slide.", examples=["C2"])
    items: list[Name] | None = Field(None, min_length=1, max_length=10_000, description="Or these items.")
    markers: dict[Name, Text] | None = Field(
        None,
        min_length=2,
        max_length=200,
        description="Genes of each class.",
        examples=[{"epithelium": "EPCAM:2 KRT8 KRT19", "stroma": "COL1A1 VIM", "lymphocytes": "CD3D CD3E PTPRC"}],
    )
    set: Name | None = Field(None, description="Or genes that come with HistoSeek.", examples=["breast"])
    bulk_items: list[Name] | None = Field(None, min_length=2, max_length=200, description="Or items as the classes.")
    using: Using | None = Field(None, description="What is compared; counts first if not given.")
    kind: Kind | None = None
    mode: AnnotateMode = "calibrated"
    temperature: float = Field(1.0, gt=0, le=1_000, allow_inf_nan=False)
    rate: float = Field(0.5, gt=0, le=1, description="Share of other patients' items that would be given a class.")
    smooth: bool = Field(default=False, description="Average scores over neighbours.")


class ExplainOptions(Asked):
    """Options of `explain`."""

    item: Name = Field(description="Id of the hit.", examples=["C3/spot/21x10"])
    target: Modality | None = Field(None, description="Its side that is compared; by default the other one.")
    pictures: bool = Field(default=True, description="Whether to encode pictures again with each square painted over.")


class ExplainRequest(ExplainOptions):
    """Why an item is a hit."""

    query: Question


class DecomposeSlideRequest(DecomposeOptions):
    """Cell types of every place of a slide, or of some of its items."""

    slide: Name = Field(examples=["C2"])
    items: list[Name] | None = Field(None, min_length=1, max_length=10_000, description="By default all.")


class PredictSlideRequest(Asked):
    """Expression of every place of a slide."""

    slide: Name = Field(examples=["C2"])
    genes: list[Name] | None = Field(None, min_length=1, max_length=500, description="By default the most expressed.")
    n_genes: int = Field(20, ge=1, le=500, description="Genes when none is named.")
    using: Modality | None = Field(None, description="Side of the places asked with; by default their image.")
    mode: Mode = "softmax"
    k: Annotated[int, Field(ge=1, le=10_000)] | None = Field(None, description="Neighbours averaged.")
    where: Where | None = None
    exclude: Exclude = Field("patient", description="Leave out the slide or its patient.")
    predictability: bool = Field(default=True, description="Measure how well each gene is told on other patients.")


class MixingRequest(Asked):
    """Whether neighbours share a site rather than a biology."""

    site: Site = Field("cohort", description="What should not matter.")
    label: Label | None = Field(None, description="What may matter; by default the first column that varies.")
    target: Modality = "expression"
    kind: list[Kind] | None = Field(None, min_length=1, max_length=5)
    k: int = Field(10, ge=1, le=1_000, description="Neighbours of each item.")
    where: Where | None = None
