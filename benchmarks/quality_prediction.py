"""Expression of a held-out patient's spots from their pictures: the HEST recipe, retrieval, and the mean."""

from collections.abc import Sequence

import numpy as np

from benchmarks.her2st_sections import Section, on_genes, paired_vectors, shared_genes
from benchmarks.quality_retrieval import Run
from encoders.contracts import Floats
from encoders.sections import ExpressionSection
from encoders.space import Space
from search.expression.weighting import NEIGHBOURS
from search.quality.expression_quality import (
    Target,
    hest_ridge,
    most_variable,
    prediction_figures,
    retrieved,
    stacked,
)
from search.quality.prediction_quality import MEAN, QUESTION, RIDGE
from search.quality.quality_figures import Doubles, Figure, SectionFigures, summed_up

RIDGE_ON_FEATURES = "HEST ridge on image features"


def prediction_figures_of(run: Run, sections: Sequence[Section]) -> list[Figure]:
    """Mean Pearson of each method; retrieval by the default mode bears the space's name."""
    others = [s for s in sections if s.expression.patient != run.patient]
    genes = shared_genes([s.expression for s in [*others, *run.held_out]])
    paired = [s for s in others if s.pairs is not None]
    log_counts = stacked([on_genes(s.expression, genes) for s in paired])
    columns = most_variable(log_counts)
    chosen = [genes[column] for column in columns]
    training = np.asarray(log_counts[:, columns].todense())
    ridges = {
        RIDGE_ON_FEATURES: (hest_ridge(_joined([_features(run.space, s) for s in paired]), training), _features),
        RIDGE: (hest_ridge(_joined([_images(run.space, s) for s in paired]), training), _images),
    }
    gallery = np.concatenate([_expression(run.space, s.expression) for s in others])
    profiles = _values([s.expression for s in others], chosen)
    collected: dict[str, list[SectionFigures]] = {}
    for section in run.held_out:
        target = Target(section.expression.slide, run.patient, _values([section.expression], chosen))
        predicted = {
            name: (ridge(_joined([seen(run.space, section)])), len(training)) for name, (ridge, seen) in ridges.items()
        }
        scores = _images(run.space, section) @ gallery.T
        for mode in NEIGHBOURS:
            name = run.space.card.name if mode == "softmax" else f"retrieval, {mode}"
            predicted[name] = (retrieved(scores, profiles, mode), len(gallery))
        predicted[MEAN] = (np.repeat(profiles.mean(axis=0)[None], len(scores), axis=0), len(gallery))
        for name, (values, n_gallery) in predicted.items():
            collected.setdefault(name, []).append(prediction_figures(values, target, n_gallery))
    return [f for name, own in collected.items() for f in summed_up(own, question=QUESTION, method=name)]


def _images(space: Space, section: Section) -> Floats:
    return paired_vectors(space, section).images


def _features(space: Space, section: Section) -> Floats:
    if section.pairs is None:
        raise ValueError(f"Section {section.expression.slide} has no image.")
    return space.image.features(section.pairs.patches, stain=space.image.stain_of(section.pairs.patches))


def _expression(space: Space, section: ExpressionSection) -> Floats:
    return space.expression.encode_counts(section.counts, section.genes, by_section=True).vectors


def _values(sections: Sequence[ExpressionSection], genes: list[str]) -> Doubles:
    return np.asarray(stacked([on_genes(section, genes) for section in sections]).todense())


def _joined(blocks: Sequence[Floats]) -> Doubles:
    return np.concatenate(blocks).astype(np.float64)
