"""How many neighbours to average, and how sharply: fitted on patients whose counts are known, each asked of others.

A temperature is never fitted on the patient that is asked about: neither is this one among those that ask, nor among
those that answer.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from encoders.contracts import Floats, Modality
from search.catalogue import Catalogue, Rows
from search.expression.averaging import averaged, gallery_of, profiles_of
from search.expression.weighting import PREDICTION_K, TEMPERATURE, Weighting
from search.item_rows import vectors_of
from search.profiles import Doubles, has_counts
from search.retrieval.filters import DEFAULT_KINDS

TEMPERATURES = (0.02, 0.05, 0.1, 0.2, 0.4)
NEIGHBOURS_TRIED = (50, 500, 2_000)
MIN_SPOTS = 30
_N_GENES = 100
_MOST_SPOTS, _MOST_GALLERY = 240, 20_000


@dataclass(frozen=True, slots=True)
class Fit:
    """The weighting that predicts patients from each other best.

    Attributes
    ----------
    k : int
        Neighbours.
    temperature : float
        Of the softmax over their cosines.
    modality : {"image", "expression"}
        The side that was asked with.
    n_spots, n_patients : int
        What it was fitted on; 0 where there was too little, and the numbers are not fitted.
    r : float
        Mean Pearson correlation over genes and sections that it reached there, NaN where not fitted.
    k_given : bool
        Whether the user chose k.
    """

    k: int
    temperature: float
    modality: Modality
    n_spots: int
    n_patients: int
    r: float
    k_given: bool = False

    def with_k(self, k: int | None) -> "Fit":
        """The same with the number of neighbours that the user gave, if one."""
        return self if k is None else replace(self, k=k, k_given=True)

    def said(self) -> str:
        """Where the numbers come from."""
        if not self.n_spots:
            return (
                f"Temperature {self.temperature:g} is not fitted: fewer than {MIN_SPOTS} spots of known counts could "
                f"be asked for with their {self.modality} and answered by another patient."
            )
        return (
            f"Temperature {self.temperature:g}{'' if self.k_given else f' and k {self.k}'}, fitted on {self.n_spots} "
            f"spots of {self.n_patients} other patient{'' if self.n_patients == 1 else 's'}, each predicted from the "
            f"rest (mean r {self.r:.2f})."
        )


def unfitted(modality: Modality) -> Fit:
    """The numbers taken where none can be fitted."""
    return Fit(PREDICTION_K, TEMPERATURE, modality, 0, 0, float("nan"))


def fit_weighting(catalogue: Catalogue, modality: Modality, *, without: tuple[str, ...]) -> Fit:
    """Choose number of neighbours and temperature by the mean correlation over the most expressed genes.

    Parameters
    ----------
    catalogue : Catalogue
        Items of the index.
    modality : {"image", "expression"}
        The side that spots ask with; they are answered by expression.
    without : tuple of str
        Patients who are asked about, and take no part.
    """
    patient = catalogue.column("patient").astype(str)
    counted = has_counts(catalogue) & catalogue.has("expression") & ~np.isin(patient, without)
    counted &= catalogue.is_one_of("kind", DEFAULT_KINDS["expression"])
    asked = counted & catalogue.is_one_of("kind", ("spot",)) & catalogue.has(modality)
    names = [str(name) for name in np.unique(patient[asked]) if (counted & (patient != name)).any()]
    if int((asked & np.isin(patient, names)).sum()) < MIN_SPOTS:
        return unfitted(modality)
    rows = evenly(np.flatnonzero(counted), _MOST_GALLERY)
    columns = _most_expressed(catalogue, rows)
    gallery = gallery_of(catalogue, rows, columns)
    spots = {name: evenly(np.flatnonzero(asked & (patient == name)), _MOST_SPOTS // len(names) + 1) for name in names}
    measured = {name: profiles_of(catalogue, own, columns) for name, own in spots.items()}
    slides = catalogue.column("slide").astype(str)
    best = unfitted(modality)
    reached = -np.inf
    others = {name: gallery.but(patient[rows] != name) for name in names}
    largest = max(len(other.rows) for other in others.values())
    for k in dict.fromkeys(min(k, largest) for k in NEIGHBOURS_TRIED):
        for temperature in TEMPERATURES:
            weighting = Weighting("softmax", k, temperature)
            found = [
                within_sections(
                    averaged(vectors_of(catalogue, own, modality), others[name], weighting).mean,
                    measured[name],
                    slides[own],
                )
                for name, own in spots.items()
            ]
            r = float(np.nanmean(np.concatenate(found))) if np.isfinite(np.concatenate(found)).any() else -np.inf
            if r > reached:
                reached = r
                best = Fit(k, temperature, modality, sum(map(len, spots.values())), len(names), r)
    return best


def within_sections(
    predicted: npt.NDArray[np.floating], measured: npt.NDArray[np.floating], section: npt.NDArray[np.str_]
) -> Doubles:
    """Mean over sections of the correlation within each, float64 `(n_genes,)`; NaN where nothing varies in any."""
    found = [columnwise_r(predicted[section == one], measured[section == one]) for one in np.unique(section)]
    known = np.isfinite(found)
    total = np.where(known, found, 0.0).sum(axis=0)
    return np.asarray(np.divide(total, known.sum(axis=0), out=np.full(total.shape, np.nan), where=known.any(axis=0)))


def columnwise_r(a: npt.NDArray[np.floating], b: npt.NDArray[np.floating]) -> Doubles:
    """Pearson's r of each column, float64 `(n_genes,)`; NaN where a side is constant."""
    a, b = (side - side.mean(axis=0, dtype=np.float64) for side in (a, b))
    scale = np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))
    return np.asarray(np.divide((a * b).sum(axis=0), scale, out=np.full(a.shape[1], np.nan), where=scale > 1e-9))


def evenly(rows: Rows, most: int) -> Rows:
    """At most so many rows, spread evenly."""
    return rows if len(rows) <= most else rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]


def _most_expressed(catalogue: Catalogue, rows: Rows) -> Rows:
    """Genes of the panel most expressed in some of the items, ascending."""
    some = evenly(rows, 1_000)
    counts: Floats = np.asarray(catalogue.index.expression(some).sum(axis=0)).ravel()
    return np.sort(np.argsort(-counts, kind="stable")[:_N_GENES])
