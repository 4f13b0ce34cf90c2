"""Learn a space from slides and measure it on patients it has not seen: what `histoseek train` runs."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from encoders.errors import TrainingError
from encoders.saving import save_space
from encoders.sections import ExpressionSection, PairedSection
from encoders.space import Space
from encoders.training import Recipe, align, with_quality
from indexer.manifest import Manifest, load_manifest
from indexer.pairs import read_pairs, read_transcriptomes
from indexer.progress import Progress, Silent
from indexer.slides import SlideSource
from indexer.sources import open_sources
from search.evaluation import colour_baseline, measure_quality

MINI_DATA = "her2st"
MINI_HELD_OUT = frozenset({"B"})
_MINI_CHOICE = (
    "Found in an exploration that also looked at B4; in leave-one-section-out within patient C they come within .03 of "
    "the best R@10% of 81 settings (genes, components, shrinkage, dim), so nothing was tuned further."
)


@dataclass(slots=True)
class _Sections:
    """Sections sorted by what they are for."""

    paired: list[PairedSection] = field(default_factory=list)
    expression_only: list[ExpressionSection] = field(default_factory=list)
    held_out: list[PairedSection] = field(default_factory=list)


def train_mini(
    out: Path,
    *,
    name: str = "mini",
    manifest: Manifest | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
) -> Space:
    """Train the space `mini` on her2st and save it: pairs of patient C, counts of all patients but B, tested on B.

    The settings are `Recipe`'s; the same data and settings give the same weights.

    Parameters
    ----------
    out : Path
        Folder for `card.json` and `weights.safetensors`; a saved space there is replaced.
    name : str
        Name on the card.
    manifest : Manifest, optional
        The repository's if not given.

    Raises
    ------
    FetchError, DataError
        If the data cannot be had or read.
    TrainingError
        If it cannot be aligned.
    """
    sources = open_sources(MINI_DATA, manifest=manifest or load_manifest())
    recipe = Recipe(name=name, choice=_MINI_CHOICE)
    space = train_space(sources, held_out=MINI_HELD_OUT, recipe=recipe, device=device, progress=progress)
    save_space(space, out)
    return space


def train_space(
    sources: Iterable[SlideSource],
    *,
    held_out: Collection[str],
    recipe: Recipe,
    device: str = "cpu",
    progress: Progress | None = None,
) -> Space:
    """Align the slides of all patients but the held-out ones, and measure the result on those.

    Slides with an image become pairs, slides without one help to shape the expression side. Expression of held-out
    patients is used for nothing.

    Raises
    ------
    DataError
        If a slide cannot be read.
    TrainingError
        If no slide has an image, no held-out patient has one, or the pairs cannot be aligned.
    """
    progress = progress or Silent()
    opened = list(sources)
    sections = _read(opened, held_out, recipe, progress)
    if not sections.held_out:
        raise TrainingError(
            f"No slide of the held-out patients ({', '.join(sorted(held_out)) or 'none named'}) has an image, so the "
            "space cannot be measured; hold out a patient with one."
        )
    described = replace(recipe, training_data=_training_data(opened, sections, held_out), licence=_licence(opened))
    space = align(
        sections.paired,
        sections.expression_only,
        recipe=described,
        device=device,
        on_section=lambda done, total, slide: progress.update("encode", done, total, slide),
    )
    progress.update("measure", 0, 2, "")
    baseline = colour_baseline(sections.paired, sections.expression_only, described)
    progress.update("measure", 1, 2, "")
    rows = measure_quality(space, baseline, sections.held_out)
    progress.update("measure", 2, 2, "")
    return with_quality(space, rows)


def _read(sources: Iterable[SlideSource], held_out: Collection[str], recipe: Recipe, progress: Progress) -> _Sections:
    sections, opened = _Sections(), list(sources)
    for done, source in enumerate(opened, start=1):
        has_image = source.image_path is not None
        if source.facts.patient in held_out:
            if has_image:
                sections.held_out.append(read_pairs(source, recipe.patch))
        elif has_image:
            sections.paired.append(read_pairs(source, recipe.patch))
        else:
            sections.expression_only.append(read_transcriptomes(source))
        progress.update("read", done, len(opened), source.facts.slide)
    return sections


def _training_data(sources: Iterable[SlideSource], sections: _Sections, held_out: Collection[str]) -> str:
    """What was trained on, in words, for the card."""
    cohorts = {source.facts.cohort: source.facts.citation for source in sources}
    named = "; ".join(f"{cohort} ({citation})" for cohort, citation in cohorts.items())
    pairs = ", ".join(section.slide for section in sections.paired)
    patients = ", ".join(sorted({section.patient for section in sections.expression_only}))
    return (
        f"{named}. Pairs: {pairs}. Expression alone: {len(sections.expression_only)} sections of patients {patients}. "
        f"Held out: patients {', '.join(sorted(held_out))}"
    )


def _licence(sources: Iterable[SlideSource]) -> str:
    terms = {source.facts.cohort: source.facts.licence for source in sources}
    return "Apache-2.0 (weights); trained on " + "; ".join(f"{cohort}: {licence}" for cohort, licence in terms.items())
