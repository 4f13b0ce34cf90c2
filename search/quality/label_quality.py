"""Label retrieval over an index: by each side of the space, beside what counts alone, chance and habit give."""

import numpy as np

from encoders.contracts import Modality
from search.catalogue import Catalogue, Mask, Rows
from search.errors import NothingToMeasureError
from search.item_rows import vectors_of
from search.profiles import log_per_10k
from search.quality.evaluated_items import Chosen, labelled
from search.quality.label_neighbours import Labels, Similarity, commonest_label, nearest_labels, random_labels
from search.quality.label_retrieval import MOST_COMMON, label_figures
from search.quality.log_count_neighbours import count_similarities
from search.quality.quality_figures import RANDOM, Figure

_NOT_USED_NOTE = "labels were not used in training, the expression of these patients may have been"


def label_quality(catalogue: Catalogue, chosen: Chosen, modality: Modality, method: str) -> list[Figure]:
    """Figures of label retrieval, every patient's items answered by the other patients' of the same kind.

    Beside vectors of `modality`: for expression, nearest neighbours on log-counts (the floor); always the most common
    label, and random neighbours.

    Raises
    ------
    NothingToMeasureError
        If no asked item is labelled, or labels come from one patient.
    """
    rows = np.flatnonzero(labelled(catalogue, modality))
    slides, patients = (catalogue.column(name)[rows].astype(str) for name in ("slide", "patient"))
    asked = np.isin(slides, list(chosen.asked))
    _check(asked, patients, modality)
    classes, codes = np.unique(catalogue.column("label")[rows].astype(str), return_inverse=True)
    vectors = vectors_of(catalogue, rows, modality)
    methods: dict[str, Similarity] = {method: lambda a, b: vectors[a] @ vectors[b].T}
    if modality == "expression":
        methods |= count_similarities(log_per_10k(catalogue, rows), slides)
    trained = bool(np.isin(patients[asked], list(chosen.trained)).any())
    question, figures = f"label from {modality}", []
    for name, similarity in methods.items():
        found = nearest_labels(similarity, codes, patients, asked)
        own = trained and name == method
        note = _NOT_USED_NOTE if own else ""
        figures += label_figures(found, list(classes), question=question, method=name, trained_on=own, note=note)
    return figures + blind_figures(codes, patients, asked, list(classes), question=question)


def blind_figures(codes: Rows, patients: Labels, asked: Mask, classes: list[str], *, question: str) -> list[Figure]:
    """The rows that look at no vector: the most common label of the other patients, and random neighbours."""
    commonest, chance = commonest_label(codes, patients, asked), random_labels(codes, patients, asked)
    return [
        *label_figures(commonest, classes, question=question, method=MOST_COMMON),
        *label_figures(chance, classes, question=question, method=RANDOM),
    ]


def _check(asked: Mask, patients: Labels, modality: Modality) -> None:
    if not asked.any():
        raise NothingToMeasureError(
            f"Labels from {modality} were not measured: no slide asked about has items with a label and that side."
        )
    if len(np.unique(patients)) < 2:
        raise NothingToMeasureError(
            f"Labels from {modality} were not measured: they come from patient {patients[0]} only, and leaving one "
            "patient out needs a second."
        )
