"""What comes back, for OpenAPI and for those who read answers by a schema."""

from typing import Any, Literal

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field, create_model

from indexer.schema import ITEM_METADATA
from search.result import HITS_SCHEMA

_TYPES: dict[pa.DataType, type] = {
    pa.int32(): int,
    pa.float32(): float,
    pa.float64(): float,
    pa.string(): str,
    pa.bool_(): bool,
}


def _of_schema(name: str, fields: tuple[pa.Field, ...], doc: str) -> type[BaseModel]:
    typed: dict[str, Any] = {
        field.name: (_TYPES[field.type] | None if field.nullable else _TYPES[field.type], ...) for field in fields
    }
    return create_model(name, __doc__=doc, __config__=ConfigDict(extra="forbid"), **typed)


Hit = _of_schema("Hit", tuple(HITS_SCHEMA), "A hit: cosine score, chance, and all that is known of the item.")
Item = _of_schema("Item", ITEM_METADATA, "An item: positions are centres in level-0 pixels, lengths in micrometres.")


class Genes(BaseModel):
    """Genes of a gene query."""

    used: list[str]
    unknown: list[str]
    truncated: list[str]


class PlanTold(BaseModel):
    """How a search ran."""

    strategy: str = Field(examples=["exact"])
    n_allowed: int = Field(description="Items the filters allow.")
    n_scored: int = Field(description="Items compared.")
    stage_ms: dict[str, float] = Field(description="Milliseconds by stage.")
    explained: dict[str, Any] | None = None


class SearchAnswer(BaseModel):
    """Hits, best first, with what the reader should know."""

    query: dict[str, Any] = Field(description="What was asked, defaults resolved.")
    notes: list[str]
    genes: Genes | None
    plan: PlanTold
    hits: list[Hit]  # type: ignore[valid-type]  # made from the schema


class Finding(BaseModel):
    """Base of the answers of analyses: the question, what should be read, and a row each."""

    query: dict[str, Any]
    notes: list[str]


class PredictedGene(BaseModel):
    """Predicted expression of a gene, log(1 + counts per 10,000)."""

    gene: str
    predicted: float
    sd: float | None
    low: float | None
    high: float | None
    r: float | None
    index_mean: float | None
    measured: float | None


class PredictAnswer(Finding):
    """Predicted expression."""

    mode: str
    n_neighbours: int
    n_effective: float
    coverage: float | None
    rows: list[PredictedGene]


class GeneOfSlide(BaseModel):
    """Mean prediction of a gene over a slide, and its correlation with counts: on other patients, and here."""

    gene: str
    mean_predicted: float | None
    r: float | None
    r_here: float | None


class PredictSlideAnswer(Finding):
    """Predicted expression of the places of a slide; a row has a column `predicted_GENE` for each gene."""

    slide: str
    modality: str
    mode: str
    temperature: float | None
    r_chance: float | None
    n_neighbours: int
    excluded_patients: list[str]
    genes: list[GeneOfSlide]
    rows: list[dict[str, Any]]


class MixingRow(BaseModel):
    """How often neighbours are of the own site, over all items, at one site or of one label."""

    stratum: str
    group: str
    n_items: int
    n_units: int
    same_site: float
    expected: float
    enrichment: float | None
    p_value: float | None
    fdr: float | None
    effective_sites: float
    expected_effective: float


class MixingAnswer(Finding):
    """Whether neighbours share a site."""

    site: str
    label: str | None
    unit: str
    modality: str
    k: int
    rows: list[MixingRow]


class CellType(BaseModel):
    """Share of a cell type, with its 90 % interval."""

    type: str
    proportion: float
    sd: float | None
    low: float | None
    high: float | None
    n_cells: int


class DecomposeAnswer(Finding):
    """Cell types of the question."""

    source: Literal["counts", "hits"]
    method: str
    of: str
    n_markers: int
    fit: float | None
    rows: list[CellType]


class PlaceComposition(BaseModel):
    """The most common cell type of a place with its share, and the shares of all types with their spread."""

    id: str
    kind: str
    x_px: float | None
    y_px: float | None
    dominant: str | None
    proportion: float | None
    sd: float | None
    proportions: dict[str, float | None]
    sds: dict[str, float | None]


class DecomposeSlideAnswer(Finding):
    """Cell types of the places of a slide."""

    slide: str
    source: str
    method: str
    of: str
    n_markers: int
    overall: Any = Field(description="Shares over all places.")
    rows: list[PlaceComposition]


class DrivingGene(BaseModel):
    """A gene that makes the score, and how it is counted in both."""

    gene: str
    loss: float | None
    query_per_10k: float | None
    hit_per_10k: float | None
    expected_per_10k: float | None
    shared: bool | None


class ExplainAnswer(Finding):
    """Why an item is a hit."""

    item: str
    score: float
    using: str
    target: str
    driven_by: str | None
    hit: dict[str, Any]
    standouts: list[dict[str, Any]]
    labelled: list[dict[str, Any]]
    query_items: list[dict[str, Any]]
    occlusion: list[dict[str, Any]]
    parts: list[dict[str, Any]]
    rows: list[DrivingGene]


class CohortRow(BaseModel):
    """A group among the hits, tested over patients."""

    group: str
    n_hits: int
    hit_fraction: float
    base_fraction: float
    enrichment: float | None
    patients_hit: int
    patients_in_index: int
    p_value: float | None
    fdr: float | None
    patients: str


class CohortsAnswer(Finding):
    """Groups the question sits nearest to, the most enriched first."""

    by: str
    test: str
    n_hits: int
    n_eligible: int
    rows: list[CohortRow]


class MapPoint(BaseModel):
    """A place of a slide: its centre in level-0 pixels, and its cosine with the question."""

    x_px: float
    y_px: float
    score: float
    kind: str
    id: str


class MapAnswer(Finding):
    """Similarity of every tile and spot of a slide."""

    slide: str
    modality: str
    rows: list[MapPoint]


class MovedPlace(BaseModel):
    """A place of the moved slide, and where it lies on the other."""

    id: str
    x_px: float
    y_px: float
    moved_x_px: float
    moved_y_px: float
    residual_um: float
    matched: float


class AlignAnswer(Finding):
    """A slide laid over another."""

    slide: str
    other: str
    using: list[str]
    model: str
    matrix_px: list[list[float]] = Field(description="From level-0 pixels of the one to those of the other.")
    turned_degrees: float
    scale: float
    mirrored: bool
    residual_um: float
    rows: list[MovedPlace]


class AnnotateAnswer(Finding):
    """A class for each item; a row has a column `prob_CLASS` for each class."""

    classes: list[str]
    using: str
    kind: str
    mode: str
    rows: list[dict[str, Any]]


class Slide(BaseModel):
    """A slide of the index."""

    slide: str
    patient: str
    cohort: str
    organ: str
    diagnosis: str
    technology: str
    species: str
    licence: str
    citation: str
    generated: bool
    mpp: float | None
    width_px: int | None
    height_px: int | None
    n_spots: int
    n_cells: int
    n_tiles: int
    has_picture: bool


class SlidesAnswer(BaseModel):
    """A page of the slides."""

    n: int = Field(description="Slides in all.")
    slides: list[Slide]


class ItemsAnswer(BaseModel):
    """A page of the items."""

    n: int = Field(description="Items that fit.")
    items: list[Item]  # type: ignore[valid-type]  # made from the schema


class GenesAnswer(BaseModel):
    """Genes of the index's panel."""

    n: int = Field(description="Genes that fit.")
    genes: list[dict[str, str | None]] = Field(examples=[[{"symbol": "ERBB2", "ensembl_id": "ENSG00000141736"}]])


class IndexAnswer(BaseModel):
    """What is in the index."""

    version: int | None
    n_slides: int
    counts: dict[str, int]
    n_genes: int
    n_failed: int
    space: dict[str, Any]
    licences: list[str]
    generated: bool = Field(description="Whether any of it was made by a program.")


class EncodersAnswer(BaseModel):
    """Spaces and published encoders, with their state on the server."""

    spaces: list[dict[str, Any]]
    encoders: list[dict[str, Any]]


class Health(BaseModel):
    """Whether the server answers."""

    status: Literal["ok"]


class Readiness(BaseModel):
    """Whether questions can be answered."""

    status: Literal["ready"]
    items: int
    version: int | None
