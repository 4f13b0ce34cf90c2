"""Slides to train on, whether they come from a data set or from an index; nothing is read before it is asked for."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from encoders.contracts import PatchSpec
from encoders.errors import TrainingError
from encoders.sections import ExpressionSection, FeatureSection, PairedSection
from indexer.features.tile_files import tile_files
from indexer.index import Index
from indexer.indexed_pairs import (
    IndexedSlide,
    indexed_slides,
    read_indexed_features,
    read_indexed_pairs,
    read_indexed_transcriptomes,
)
from indexer.pairs import read_pairs, read_transcriptomes
from indexer.slides import SlideSource


@dataclass(frozen=True, slots=True)
class TrainingSlide:
    """One slide a space may be trained on or measured on.

    Attributes
    ----------
    slide, patient, cohort, licence, citation : str
        Its facts.
    has_image : bool
        Whether it gives pairs; without, its counts help to shape the expression side.
    read_pairs : callable
        Gives its pairs, of patches of the side asked for or of features made elsewhere.
    read_counts : callable
        Gives its counts alone.
    """

    slide: str
    patient: str
    cohort: str
    licence: str
    citation: str
    has_image: bool
    read_pairs: Callable[[PatchSpec], PairedSection | FeatureSection]
    read_counts: Callable[[], ExpressionSection]


@dataclass(frozen=True, slots=True)
class IndexPairs:
    """Where the image side of an index's slides is read from.

    Attributes
    ----------
    images : Path or None
        Folder that holds the pictures now; where they were at ingest by default.
    features : Path or None
        File or folder of features made elsewhere, read instead of pictures.
    features_encoder : str or None
        What made them, where the files do not say.
    slides : sequence of str or None
        Only these slides.
    """

    images: Path | None = None
    features: Path | None = None
    features_encoder: str | None = None
    slides: Sequence[str] | None = None


def slides_of_sources(sources: Iterable[SlideSource]) -> list[TrainingSlide]:
    """Slides of a data set."""
    return [
        TrainingSlide(
            slide=source.facts.slide,
            patient=source.facts.patient,
            cohort=source.facts.cohort,
            licence=source.facts.licence,
            citation=source.facts.citation,
            has_image=source.image_path is not None,
            read_pairs=partial(read_pairs, source),
            read_counts=partial(read_transcriptomes, source),
        )
        for source in sources
    ]


def slides_of_index(index: Index, pairs: IndexPairs | None = None) -> list[TrainingSlide]:
    """Slides of an index that hold counts.

    Raises
    ------
    SlideError, FeaturesError
        If a slide that is named is not there, or no feature files are found.
    TrainingError
        If the feature files are of none of the slides.
    """
    pairs = pairs or IndexPairs()
    slides = indexed_slides(index, slides=pairs.slides)
    if pairs.features is None:
        return [
            _indexed(index, slide, slide.has_picture, partial(_patches, index, slide, pairs.images)) for slide in slides
        ]
    files = {file.slide: file for file in tile_files(pairs.features, encoder=pairs.features_encoder)}
    if not set(files) & {slide.slide for slide in slides}:
        raise TrainingError(
            f"None of the {len(files)} feature files of {pairs.features} ({', '.join(list(files)[:3])}) has the name "
            f"of a slide of the index ({', '.join(slide.slide for slide in slides[:3])}). Rename the files."
        )
    return [
        _indexed(index, slide, slide.slide in files, partial(_features, index, slide, files.get(slide.slide)))
        for slide in slides
    ]


def check_held_out(
    slides: Sequence[TrainingSlide], held_out: Collection[str], *, validate: Collection[str] = ()
) -> None:
    """Before hours of encoding: whether anything is left to train on, and to measure the space on.

    Raises
    ------
    TrainingError
        If a patient named is not there, or is named for two things; if none of the held-out patients has an image, or
        no other patient has.
    """
    everyone = sorted({slide.patient for slide in slides})
    with_images = sorted({slide.patient for slide in slides if slide.has_image})
    named = f"{', '.join(with_images) or 'there is none'}"
    unknown = [patient for patient in (*held_out, *validate) if patient not in everyone]
    if unknown:
        raise TrainingError(f"There is no patient {unknown[0]!r}; those with images are {named}.")
    both = sorted(set(held_out) & set(validate))
    if both:
        raise TrainingError(
            f"Patient {both[0]!r} is named to stop on and to test on; a test needs a patient that decided nothing."
        )
    if not set(held_out) & set(with_images):
        raise TrainingError(
            f"No slide of the held-out patients ({', '.join(sorted(held_out)) or 'none named'}) has an image, so the "
            f"space cannot be measured; hold out a patient with one ({named})."
        )
    if not set(with_images) - set(held_out):
        raise TrainingError(
            f"All slides with images are of the held-out patients ({', '.join(sorted(held_out))}), so nothing is left "
            f"to train on; give slides of another patient."
        )


def described(slides: Sequence[TrainingSlide], *, paired: Sequence[str], held_out: Collection[str]) -> str:
    """What was trained on, in words, for the card."""
    cohorts = {slide.cohort: slide.citation for slide in slides}
    named = "; ".join(f"{cohort} ({citation})" for cohort, citation in cohorts.items())
    alone = [s for s in slides if not s.has_image and s.patient not in held_out]
    patients = ", ".join(sorted({slide.patient for slide in alone}))
    return (
        f"{named}. Pairs: {', '.join(paired)}. Expression alone: {len(alone)} sections of patients {patients}. "
        f"Held out: patients {', '.join(sorted(held_out))}"
    )


def licence_of(slides: Iterable[TrainingSlide]) -> str:
    """Licence of weights trained on these slides, for the card."""
    terms = {slide.cohort: slide.licence for slide in slides}
    return "Apache-2.0 (weights); trained on " + "; ".join(f"{cohort}: {licence}" for cohort, licence in terms.items())


def _indexed(
    index: Index,
    slide: IndexedSlide,
    has_image: bool,  # noqa: FBT001 (private, told by its callers in one place)
    read: Callable[[PatchSpec], PairedSection | FeatureSection],
) -> TrainingSlide:
    return TrainingSlide(
        slide=slide.slide,
        patient=slide.patient,
        cohort=slide.cohort,
        licence=slide.licence,
        citation=slide.citation,
        has_image=has_image,
        read_pairs=read,
        read_counts=partial(read_indexed_transcriptomes, index, slide),
    )


def _patches(index: Index, slide: IndexedSlide, images: Path | None, patch: PatchSpec) -> PairedSection:
    return read_indexed_pairs(index, slide, patch, images=images)


def _features(index: Index, slide: IndexedSlide, file: object, patch: PatchSpec) -> FeatureSection:  # noqa: ARG001
    from indexer.features.tile_files import TileFile

    if not isinstance(file, TileFile):
        raise TrainingError(f"Slide {slide.slide} has no feature file.")
    return read_indexed_features(index, slide, file)
