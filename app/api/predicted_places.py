"""Predicted expression of a slide as an answer: a row a place, a column a gene."""

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from search.expression.slide_prediction import SlidePrediction
from search.result import Findings

COLUMN = "predicted_"


@dataclass(frozen=True, slots=True)
class PredictedPlaces(Findings):
    """Places with their predicted values, natural log of 1 + counts per 10,000.

    Columns: `id`, `kind`, `x_px`, `y_px` (centre, level-0 pixels), `n_effective`, and `predicted_GENE` of each gene.

    Attributes
    ----------
    slide, modality, mode, temperature, r_chance, n_neighbours, excluded_patients
        As of `SlidePrediction`.
    genes : list of dict
        Mean over the places of each gene, and how well it is predicted on other patients and here.
    """

    slide: str
    modality: str
    mode: str
    temperature: float | None
    r_chance: float
    n_neighbours: int
    excluded_patients: tuple[str, ...]
    genes: list[dict[str, Any]]

    @classmethod
    def of(cls, found: SlidePrediction) -> "PredictedPlaces":
        """The same, its values as columns."""
        table = found.table
        for gene, values in zip(found.genes, found.predicted.T, strict=True):
            table = table.append_column(COLUMN + gene, pa.array(values, pa.float32(), from_pandas=True))
        return cls(
            table=table,
            query=found.query,
            notes=found.notes,
            slide=found.slide,
            modality=found.modality,
            mode=found.mode,
            temperature=found.temperature,
            r_chance=found.r_chance,
            n_neighbours=found.n_neighbours,
            excluded_patients=found.excluded_patients,
            genes=found.to_dict()["rows"],
        )
