"""The pathologist's region of a spot from its expression, every patient in a space that was trained without it."""

from collections.abc import Callable, Sequence

import numpy as np
import scipy.sparse as sp

from benchmarks.her2st_sections import Section, on_genes, shared_genes, train, without_null
from encoders.backbones import Backbone
from encoders.profiles import Profiles
from encoders.recipe import Recipe
from search.quality.evaluated_items import NO_LABEL
from search.quality.label_neighbours import Labels, Rows, joined, nearest_labels
from search.quality.label_quality import blind_figures
from search.quality.label_retrieval import label_figures
from search.quality.log_count_neighbours import count_similarities
from search.quality.quality_figures import Figure

QUESTION = "label from expression"


def region_figures(
    sections: Sequence[Section], recipe: Recipe, backbone: Backbone, *, tell: Callable[[str], None]
) -> list[Figure]:
    """Figures of label retrieval by the space, and by what knows nothing of it."""
    labelled = [section for section in sections if _named(section).any()]
    slides, patients = (_of_each(labelled, name) for name in ("slide", "patient"))
    names = np.concatenate([section.labels[_named(section)] for section in labelled]).astype(str)
    classes, codes = np.unique(names, return_inverse=True)
    folds = []
    for patient in np.unique(patients).tolist():
        tell(f"train without patient {patient}, for its regions")
        space = train(sections, patient, without_null(recipe), backbone)
        vectors = np.concatenate(
            [
                space.expression.encode_counts(s.expression.counts, s.expression.genes, by_section=True).vectors[
                    _named(s)
                ]
                for s in labelled
            ]
        )
        folds.append(nearest_labels(_cosines(vectors), codes, patients, patients == patient))
    figures = label_figures(joined(folds), list(classes), question=QUESTION, method=recipe.name)
    asked = np.ones(len(codes), dtype=np.bool_)
    for name, similarity in count_similarities(_log_counts(labelled), slides).items():
        found = nearest_labels(similarity, codes, patients, asked)
        figures += label_figures(found, list(classes), question=QUESTION, method=name)
    return figures + blind_figures(codes, patients, asked, list(classes), question=QUESTION)


def _cosines(vectors: np.ndarray) -> Callable[[Rows, Rows], np.ndarray]:
    return lambda first, second: vectors[first] @ vectors[second].T


def _named(section: Section) -> np.ndarray:
    return np.array([label is not None and str(label).lower() not in NO_LABEL for label in section.labels])


def _of_each(sections: Sequence[Section], name: str) -> Labels:
    values = [[getattr(section.expression, name)] * int(_named(section).sum()) for section in sections]
    return np.array([value for own in values for value in own])


def _log_counts(sections: Sequence[Section]) -> sp.csr_matrix:
    genes = shared_genes([section.expression for section in sections])
    blocks = [
        Profiles.read(on_genes(section.expression, genes), genes).log_normalised()[_named(section)]
        for section in sections
    ]
    return sp.csr_matrix(sp.vstack(blocks), dtype=np.float32)
