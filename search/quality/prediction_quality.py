"""Expression prediction over an index: each patient's sections predicted from the other patients'."""

from collections.abc import Mapping

import numpy as np

from search.catalogue import Catalogue, Rows
from search.errors import NothingToMeasureError
from search.expression.weighting import NEIGHBOURS
from search.item_rows import vectors_of
from search.profiles import has_counts
from search.quality.evaluated_items import Chosen
from search.quality.expression_quality import (
    Target,
    hest_ridge,
    most_variable,
    prediction_figures,
    retrieved,
    stacked,
)
from search.quality.quality_figures import Doubles, Figure, SectionFigures, summed_up

QUESTION = "image->expression values"
RIDGE, MEAN = "HEST ridge on image vectors", "mean expression"


def prediction_quality(catalogue: Catalogue, chosen: Chosen, pairs: Mapping[str, Rows]) -> list[Figure]:
    """Mean Pearson over the 50 most variable genes, by ridge on image vectors, by retrieval, and by the mean.

    Genes are chosen, and the ridge is fitted, on the paired spots of all other patients; retrieval averages all spots
    of other patients that have counts.

    Raises
    ------
    NothingToMeasureError
        If no asked slide has paired spots, or no other patient has.
    """
    patient_of = {slide: str(catalogue.column("patient")[rows[0]]) for slide, rows in pairs.items()}
    asked = [slide for slide in pairs if slide in chosen.asked]
    if not asked:
        raise NothingToMeasureError("Prediction was not measured: no slide asked about has paired spots.")
    collected: dict[str, list[SectionFigures]] = {}
    for patient in dict.fromkeys(patient_of[slide] for slide in asked):
        training = [rows for slide, rows in pairs.items() if patient_of[slide] != patient]
        if not training:
            raise NothingToMeasureError(
                f"Prediction was not measured: patient {patient} is the only one with paired spots, and it is to be "
                "predicted from others. Ingest pairs of another patient."
            )
        predictors = _Predictors(catalogue, patient, np.concatenate(training))
        for slide in asked:
            if patient_of[slide] == patient:
                for method, own in predictors.of(slide, pairs[slide], trained_on=patient in chosen.trained).items():
                    collected.setdefault(method, []).append(own)
    return [f for method, own in collected.items() for f in summed_up(own, question=QUESTION, method=method)]


class _Predictors:
    """Ways to predict one patient from the others."""

    def __init__(self, catalogue: Catalogue, patient: str, training: Rows) -> None:
        self._catalogue, self._patient, self._n_training = catalogue, patient, len(training)
        log_counts = stacked([catalogue.index.expression(training)])
        self._columns = most_variable(log_counts)
        images = vectors_of(catalogue, training, "image").astype(np.float64)
        self._ridge = hest_ridge(images, np.asarray(log_counts[:, self._columns].todense()))
        kinds = np.unique(catalogue.column("kind")[training].astype(str))
        others = (catalogue.column("patient") != patient) & np.isin(catalogue.column("kind").astype(str), kinds)
        self._gallery = np.flatnonzero(others & has_counts(catalogue) & catalogue.has("expression"))
        self._profiles = self._log_counts(self._gallery)

    def of(self, slide: str, rows: Rows, *, trained_on: bool) -> dict[str, SectionFigures]:
        """Figures of each method on one section."""
        target = Target(slide, self._patient, self._log_counts(rows), trained_on)
        images = vectors_of(self._catalogue, rows, "image")
        scores = images @ vectors_of(self._catalogue, self._gallery, "expression").T
        found = {RIDGE: prediction_figures(self._ridge(images.astype(np.float64)), target, self._n_training)}
        for mode in NEIGHBOURS:
            predicted = retrieved(scores, self._profiles, mode)
            found[f"retrieval, {mode}"] = prediction_figures(predicted, target, len(self._gallery))
        mean = np.repeat(self._profiles.mean(axis=0, keepdims=True), len(rows), axis=0)
        found[MEAN] = prediction_figures(mean, target, len(self._gallery))
        return found

    def _log_counts(self, rows: Rows) -> Doubles:
        return np.asarray(stacked([self._catalogue.index.expression(rows)])[:, self._columns].todense())
