"""Learn a space from slides and measure it on patients it has not seen: what `histoseek train` runs."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from encoders.errors import TrainingError
from encoders.recipe import Recipe
from encoders.saving import save_space
from encoders.sections import ExpressionSection, PairedSection
from encoders.space import Space
from encoders.training import align, with_quality
from indexer.datasets.manifest import Manifest, load_manifest
from indexer.progress import Progress, Silent
from indexer.slides import SlideSource
from indexer.sources import open_sources
from search.quality.evaluation import colour_baseline, measure_quality
from search.training.slides import TrainingSlide, check_held_out, described, licence_of, slides_of_sources

MINI_DATA = "her2st"
MINI_HELD_OUT = frozenset({"B"})
_MINI_CHOICE = (
    "Chosen among the settings of docs/tried.md by R@10% in leave-one-section-out within patient C and from B4 to C. "
    "C to B4 was printed for all of them and B4 was looked at in an earlier exploration too, so its figures here are "
    "those of a patient that is new to the weights but not to the choice of settings."
)


@dataclass(slots=True)
class _Sections:
    """Sections sorted by what they are for."""

    paired: list[PairedSection] = field(default_factory=list)
    expression_only: list[ExpressionSection] = field(default_factory=list)
    held_out: list[PairedSection] = field(default_factory=list)


def train_dataset(
    dataset: str,
    held_out: Collection[str],
    recipe: Recipe,
    out: Path,
    *,
    manifest: Manifest | None = None,
    device: str = "cpu",
    checkpoint: Path | None = None,
    progress: Progress | None = None,
) -> Space:
    """Train a space on a data set of the manifest, measure it on the held-out patients, and save it.

    Parameters
    ----------
    dataset : str
        Name in the manifest.
    held_out : collection of str
        Patients of whom nothing is trained on; one of them needs a slide with an image.
    recipe : Recipe
        Settings.
    out : Path
        Folder for `card.json` and `weights.safetensors`; a saved space there is replaced.
    manifest : Manifest, optional
        The repository's if not given.
    checkpoint : Path, optional
        Where `infonce` and `bleep` keep their state; removed once the space is saved.

    Raises
    ------
    FetchError, DataError
        If the data cannot be had or read.
    TrainingError
        If it cannot be aligned.
    """
    recipe.check()
    sources = open_sources(dataset, manifest=manifest or load_manifest())
    if recipe == Recipe(name=recipe.name) and (dataset, frozenset(held_out)) == (MINI_DATA, MINI_HELD_OUT):
        recipe = replace(recipe, choice=_MINI_CHOICE)
    space = train_space(
        sources, held_out=held_out, recipe=recipe, device=device, checkpoint=checkpoint, progress=progress
    )
    save_space(space, out)
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)
    return space


def train_space(
    sources: Iterable[SlideSource],
    *,
    held_out: Collection[str],
    recipe: Recipe,
    device: str = "cpu",
    checkpoint: Path | None = None,
    progress: Progress | None = None,
) -> Space:
    """`train_slides` on the slides of a data set."""
    return train_slides(
        slides_of_sources(sources),
        held_out=held_out,
        recipe=recipe,
        device=device,
        checkpoint=checkpoint,
        progress=progress,
    )


def train_slides(
    slides: Sequence[TrainingSlide],
    *,
    held_out: Collection[str],
    recipe: Recipe,
    device: str = "cpu",
    checkpoint: Path | None = None,
    progress: Progress | None = None,
) -> Space:
    """Align the slides of all patients but the held-out ones, and measure the result on those.

    Slides with an image become pairs, slides without one help to shape the expression side. Expression of held-out
    patients is used for nothing. `checkpoint` is where `infonce` and `bleep` keep their state.

    Raises
    ------
    DataError
        If a slide cannot be read.
    TrainingError
        If no slide has an image, no held-out patient has one, or the pairs cannot be aligned.
    """
    progress = progress or Silent()
    check_held_out(slides, held_out)
    sections = _read(slides, held_out, recipe, progress)
    said = replace(
        recipe,
        training_data=described(slides, paired=[s.slide for s in sections.paired], held_out=held_out),
        licence=licence_of(slides),
    )
    space = align(
        sections.paired,
        sections.expression_only,
        recipe=said,
        device=device,
        on_section=lambda done, total, slide: progress.update("encode", done, total, slide),
        checkpoint=checkpoint,
        on_epoch=lambda done, total: progress.update("train", done, total, ""),
    )
    progress.update("measure", 0, 2, "")
    baseline = colour_baseline(sections.paired, sections.expression_only, said)
    progress.update("measure", 1, 2, "")
    rows = measure_quality(space, baseline, sections.held_out)
    progress.update("measure", 2, 2, "")
    return with_quality(space, rows)


def _read(slides: Sequence[TrainingSlide], held_out: Collection[str], recipe: Recipe, progress: Progress) -> _Sections:
    sections = _Sections()
    for done, slide in enumerate(slides, start=1):
        if slide.patient in held_out:
            if slide.has_image:
                sections.held_out.append(_pairs(slide, recipe))
        elif slide.has_image:
            sections.paired.append(_pairs(slide, recipe))
        else:
            sections.expression_only.append(slide.read_counts())
        progress.update("read", done, len(slides), slide.slide)
    return sections


def _pairs(slide: TrainingSlide, recipe: Recipe) -> PairedSection:
    section = slide.read_pairs(recipe.patch)
    if not isinstance(section, PairedSection):
        raise TrainingError(f"Slide {slide.slide} gives features made elsewhere; spaces of mini's family read pixels.")
    return section
