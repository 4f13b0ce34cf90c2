"""The null of a space trained on towers, measured on the vectors an index of its training sections would hold."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from encoders.contracts import Floats, Vectors
from encoders.null_pairs import calibrate, gene_list_pool, pool, sentence_vectors
from encoders.sections import ExpressionSection
from encoders.space import Space
from encoders.trainer.seen_sections import SeenSection
from encoders.trainer.tower_encoders import SentenceTowerEncoder
from encoders.trainer.tower_recipe import TowerRecipe

_SENTENCES_A_SECTION = 100
_N_LISTS = 5_000
_N_LISTS_OF_TEXT = 500  # a text tower reads them one by one
_COMMONEST = 2_000


def calibrated(
    space: Space,
    sections: Sequence[SeenSection],
    extra: Sequence[ExpressionSection],
    features: Sequence[Floats],
    recipe: TowerRecipe,
) -> Space:
    """The space with quantiles of mismatched pairs for every direction of search; raises as `null_pairs.calibrate`."""
    paired = [section.expression for section in sections]
    # A text tower is slow: what it would add from sections without images is not worth hours.
    reads_texts = isinstance(space.expression, SentenceTowerEncoder)
    every = paired if reads_texts else [*paired, *extra]
    patients = [section.patient for section in every]
    images = [space.image.project(f, centre=f.mean(axis=0)) for f in features]
    spots = [space.expression.encode_counts(s.counts, s.genes, by_section=True).vectors for s in every]
    targets = {
        "image": pool(images, range(len(images)), patients),
        "expression": pool(spots, range(len(spots)), patients),
    }
    queries = {
        **targets,
        "genes": gene_list_pool(
            space.expression, seed=recipe.seed, symbols=_common(space, every), n_lists=_n_lists(recipe)
        ),
        "sentence": pool([_sentences(space, section) for section in every], range(len(every)), patients),
    }
    calibration, drawn = calibrate(queries, targets, n_pairs=recipe.n_null_pairs, seed=recipe.seed)
    notes = {f"null {direction}": kind for direction, kind in drawn.items()}
    card = space.card.model_copy(update={"calibration": calibration, "recipe": {**space.card.recipe, **notes}})
    return replace(space, card=card)


def _n_lists(recipe: TowerRecipe) -> int:
    return min(_N_LISTS if recipe.reads_genes else _N_LISTS_OF_TEXT, recipe.n_null_pairs)


def _sentences(space: Space, section: ExpressionSection) -> Vectors:
    if not isinstance(space.expression, SentenceTowerEncoder):
        return sentence_vectors(space.expression, section)
    n_spots = section.counts.shape[0]
    rows = np.unique(np.linspace(0, n_spots - 1, min(n_spots, _SENTENCES_A_SECTION)).astype(np.int64))
    return space.expression.encode_counts(section.counts[rows], section.genes).vectors


def _common(space: Space, sections: Sequence[ExpressionSection]) -> list[str]:
    """Genes that random lists for a text tower are drawn from: the commonest that its recipe keeps."""
    if not isinstance(space.expression, SentenceTowerEncoder):
        return []
    totals: dict[str, float] = {}
    for section in sections:
        for symbol, total in zip(section.genes, np.asarray(section.counts.sum(axis=0)).ravel(), strict=True):
            totals[symbol] = totals.get(symbol, 0.0) + float(total)
    recipe = space.expression.sentences.recipe
    kept = [symbol for symbol in totals if recipe.keeps(symbol)]
    return sorted(kept, key=lambda symbol: (-totals[symbol], symbol))[:_COMMONEST]
