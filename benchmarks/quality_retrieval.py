"""One training of `mini`'s recipe with a patient held out, and how its two sides find each other there."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.her2st_sections import Section, paired_vectors, train, train_colour
from encoders.backbones import Backbone
from encoders.recipe import Recipe
from encoders.space import Space
from search.quality.colour_quality import COLOUR
from search.quality.gene_list_quality import gene_list_figures
from search.quality.index_evaluation import NICHE
from search.quality.quality_figures import Figure
from search.quality.retrieval_quality import as_niches, retrieval_figures


@dataclass(frozen=True, slots=True)
class Run:
    """A space and its colour baseline, both trained without one patient, and that patient's paired sections."""

    space: Space
    colour: Space
    patient: str
    held_out: tuple[Section, ...]


def train_run(sections: Sequence[Section], patient: str, recipe: Recipe, backbone: Backbone) -> Run:
    """Train the recipe, and its colour baseline, on all other patients."""
    held_out = tuple(s for s in sections if s.expression.patient == patient and s.pairs is not None)
    space = train(sections, patient, recipe, backbone)
    return Run(space, train_colour(sections, patient, recipe), patient, held_out)


def retrieval_figures_of(run: Run) -> list[Figure]:
    """Both directions for single spots and niches beside colour and chance, and short gene lists."""
    name = run.space.card.name
    seen = [paired_vectors(run.space, section) for section in run.held_out]
    coloured = [paired_vectors(run.colour, section) for section in run.held_out]
    figures = [
        *retrieval_figures(seen, name),
        *retrieval_figures(coloured, COLOUR, chance=False),
        *retrieval_figures([as_niches(s) for s in seen], name, prefix=NICHE),
        *retrieval_figures([as_niches(s) for s in coloured], COLOUR, prefix=NICHE, chance=False),
    ]
    measured = [section.expression for section in run.held_out]
    own, other = list(zip(seen, measured, strict=True)), list(zip(coloured, measured, strict=True))
    figures += gene_list_figures(own, run.space.expression, name)
    figures += gene_list_figures(other, run.colour.expression, COLOUR, chance=False)
    return figures
