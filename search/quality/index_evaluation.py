"""How good a space is on the slides of an index: what `histoseek evaluate` runs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from indexer.progress import Progress, Silent
from indexer.safety.leaks import find_leaks
from search.catalogue import Catalogue, Rows
from search.engine import Engine
from search.errors import NothingToMeasureError, QueryError
from search.item_rows import paired_slides
from search.quality.colour_quality import COLOUR, by_colour, colour_space
from search.quality.evaluated_items import Chosen, choose_slides, pairs_of, transcriptome_section
from search.quality.gene_list_quality import gene_list_figures
from search.quality.label_quality import label_quality
from search.quality.prediction_quality import prediction_quality
from search.quality.quality_figures import Figure
from search.quality.retrieval_quality import PairedVectors, as_niches, retrieval_figures

NICHE = "niche "


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Figures of one space on one index.

    Attributes
    ----------
    space, revision : str
        What was measured.
    slides : tuple of str
        Slides asked about.
    figures : tuple of Figure
        Every figure and baseline; rows of patients that were trained on are marked.
    notes : tuple of str
        What was left out, and why.
    generated : bool
        Whether any slide asked about is generated, not measured.
    """

    space: str
    revision: str
    slides: tuple[str, ...]
    figures: tuple[Figure, ...]
    notes: tuple[str, ...]
    generated: bool = False


def evaluate(
    engine: Engine,
    *,
    slides: Sequence[str] | None = None,
    include_trained: bool = False,
    progress: Progress | None = None,
) -> Evaluation:
    """Measure retrieval both ways, niches, gene lists, labels and expression prediction on the slides of an index.

    Parameters
    ----------
    engine : Engine
        The index and its space.
    slides : sequence of str, optional
        Slides whose items are asked with; all by default.
    include_trained : bool
        Whether to ask about patients the space was trained on, too; their rows are marked.
    progress : Progress, optional
        Told after each part.

    Raises
    ------
    ItemMissingError
        If a slide is not in the index.
    QueryError
        If only patients of the training are left, nothing can be measured at all, or a vector is not finite.
    """
    catalogue, card = engine.catalogue, engine.space.card
    chosen = choose_slides(catalogue, card.training_patients, slides=slides, include_trained=include_trained)
    pairs = paired_slides(catalogue)
    asked = {slide: rows for slide, rows in pairs.items() if slide in chosen.asked}
    sections = [pairs_of(catalogue, slide, rows, chosen.trained) for slide, rows in asked.items()]
    parts: dict[str, Callable[[], list[Figure]]] = {
        "retrieval": lambda: _retrieval(sections, card.name),
        "niches": lambda: _niches(sections, card.name),
        "colour": lambda: _colour(catalogue, engine, pairs, sections),
        "gene lists": lambda: _gene_lists(engine, asked, sections),
        "labels, expression": lambda: label_quality(catalogue, chosen, "expression", card.name),
        "labels, image": lambda: label_quality(catalogue, chosen, "image", card.name),
        "prediction": lambda: prediction_quality(catalogue, chosen, pairs),
    }
    figures, reasons = _run(parts, progress or Silent())
    if not figures:
        raise QueryError(f"Nothing can be measured on this index. {' '.join(reasons)}")
    all_slides = catalogue.column("slide").astype(str)
    slides_asked = tuple(slide for slide in dict.fromkeys(all_slides.tolist()) if slide in chosen.asked)
    generated = bool(catalogue.column("generated")[np.isin(all_slides, slides_asked)].any())
    notes = (*_said(chosen), *_leaks(engine, progress or Silent()), *reasons)
    return Evaluation(card.name, card.revision, slides_asked, tuple(figures), notes, generated)


def _leaks(engine: Engine, progress: Progress) -> list[str]:
    """Warnings of slides that are there twice under different patients, which a split by patient does not part."""
    crossing = [leak for leak in find_leaks(engine.index, progress=progress) if leak.crosses]
    return [f"LEAK, figures may be better than they are: {leak.sentence()}" for leak in crossing]


def _run(parts: Mapping[str, Callable[[], list[Figure]]], progress: Progress) -> tuple[list[Figure], list[str]]:
    figures: list[Figure] = []
    reasons: list[str] = []
    for done, (name, measure) in enumerate(parts.items()):
        progress.update("evaluate", done, len(parts), name)
        try:
            figures += measure()
        except NothingToMeasureError as reason:
            reasons.append(str(reason))
    progress.update("evaluate", len(parts), len(parts), "")
    return figures, list(dict.fromkeys(reasons))


def _retrieval(sections: Sequence[PairedVectors], method: str) -> list[Figure]:
    if not sections:
        raise NothingToMeasureError(
            "Retrieval between the sides was not measured: no slide asked about has spots with both a picture and "
            "counts."
        )
    return retrieval_figures(sections, method)


def _niches(sections: Sequence[PairedVectors], method: str) -> list[Figure]:
    placed = _placed(sections)
    return retrieval_figures([as_niches(section) for section in placed], method, prefix=NICHE) if placed else []


def _colour(
    catalogue: Catalogue, engine: Engine, pairs: Mapping[str, Rows], sections: Sequence[PairedVectors]
) -> list[Figure]:
    if not sections:
        return []
    baseline = colour_space(catalogue, engine.space.card, pairs)
    seen = [by_colour(catalogue, baseline, section, pairs[section.slide]) for section in sections]
    niches = [as_niches(section) for section in seen if section.xy_px is not None]
    figures = retrieval_figures(seen, COLOUR, chance=False)
    return figures + (retrieval_figures(niches, COLOUR, prefix=NICHE, chance=False) if niches else [])


def _gene_lists(engine: Engine, asked: Mapping[str, Rows], sections: Sequence[PairedVectors]) -> list[Figure]:
    if not sections:
        return []
    measured = [transcriptome_section(engine.catalogue, s.slide, asked[s.slide]) for s in sections]
    pairs = list(zip(sections, measured, strict=True))
    return gene_list_figures(pairs, engine.space.expression, engine.space.card.name)


def _placed(sections: Sequence[PairedVectors]) -> list[PairedVectors]:
    placed = [section for section in sections if section.xy_px is not None]
    if sections and not placed:
        raise NothingToMeasureError("Niches were not measured: no spot asked about has a position.")
    return placed


def _said(chosen: Chosen) -> tuple[str, ...]:
    if not chosen.refused:
        return ()
    named = ", ".join(chosen.refused[:6]) + (f" and {len(chosen.refused) - 6} more" if len(chosen.refused) > 6 else "")
    sentence = (
        f"Left out, since the space was trained on their patients: {named}. --include-trained measures them too, and "
        "marks their rows."
    )
    return (sentence,)
