"""Train a space on any towers and measure it on patients it has not seen: `histoseek train` beyond mini's family."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from encoders.catalogue import CATALOGUE
from encoders.contracts import PatchSpec, Vectors
from encoders.errors import PatchError, TrainingError
from encoders.sections import ExpressionSection, FeatureSection, PairedSection, read_profiles
from encoders.sentence_encoder import SentenceEncoder
from encoders.sentence_recipes import NORMALISED_RANK, gene_norms_of, recipe_named
from encoders.space import QualityRow, Space
from encoders.trainer.feature_cache import FeatureCache
from encoders.trainer.image_towers import DEFAULT, FeaturesElsewhere, ImageTower, open_image_tower
from encoders.trainer.run import RunOptions, align_towers
from encoders.trainer.seen_sections import SeenSection, see, see_features
from encoders.trainer.text_towers import open_sentences
from encoders.trainer.tower_encoders import TowerImageEncoder
from encoders.trainer.tower_recipe import PROFILE, TowerRecipe
from encoders.trainer.tunable_towers import check_tunable_name, open_tunable
from encoders.training import with_quality
from indexer.progress import Progress, Silent
from search.quality.evaluation import ColourStatistics, quality_rows
from search.training.slides import TrainingSlide, check_held_out, described, licence_of

_COLOUR_NULL_PAIRS = 1_000  # the baseline is measured by ranks; its null is not used
_FEATURE_SIDE_PX = 224  # of a patch whose pixels are never seen


@dataclass(frozen=True, slots=True)
class TowerChoice:
    """Which towers, and where their weights are.

    Attributes
    ----------
    image_encoder : str
        A name of `encoders.trainer.image_towers.open_image_tower`; not read where features are made elsewhere.
    image_weights, text_weights : Path or None
        Files of their weights, if not in the weights folder.
    side_um : float or None
        Side of a patch, for towers that state none.
    housekeeping : frozenset of str
        Genes that sentences leave out.
    """

    image_encoder: str = DEFAULT
    image_weights: Path | None = None
    text_weights: Path | None = None
    side_um: float | None = None
    housekeeping: frozenset[str] = frozenset()

    def places(self) -> dict[str, Path]:
        """Weights that do not lie in the weights folder, for `save_towers`."""
        given = {"image": self.image_weights, "text": self.text_weights}
        return {side: path for side, path in given.items() if path is not None}


@dataclass(slots=True)
class _Seen:
    """Sections sorted by what they are for, each with the six colour numbers of its patches where it has any."""

    paired: list[SeenSection] = field(default_factory=list)
    held_out: list[SeenSection] = field(default_factory=list)
    expression_only: list[ExpressionSection] = field(default_factory=list)
    colour: dict[str, SeenSection] = field(default_factory=dict)


def train_towers(
    slides: Sequence[TrainingSlide],
    *,
    held_out: Collection[str],
    recipe: TowerRecipe,
    choice: TowerChoice | None = None,
    device: str = "cpu",
    checkpoint: Path | None = None,
    cache: FeatureCache | None = None,
    progress: Progress | None = None,
) -> Space:
    """Align the slides of all patients but the held-out ones through towers, and measure the result on those.

    Slides are read and encoded one after the other; only features are kept, and patches where the tower is tuned.

    Parameters
    ----------
    held_out : collection of str
        Patients of whom nothing is trained on.
    checkpoint : Path, optional
        Where training by contrast keeps its state.
    cache : FeatureCache, optional
        Where features are kept from run to run.

    Raises
    ------
    DataError
        If a slide cannot be read.
    EncoderError
        If a tower cannot be opened; `TrainingError` if the pairs cannot be aligned.
    """
    recipe.check()
    choice, progress, cache = choice or TowerChoice(), progress or Silent(), cache or FeatureCache(None)
    check_held_out(slides, held_out, validate=recipe.validate_patients)
    if recipe.fine_tune:
        check_tunable_name(choice.image_encoder)
    if not recipe.reads_genes:
        # Before hours of encoding: the recipe is known and the text tower is there.
        written = recipe_named(recipe.sentence_recipe, gene_norms={"any": 1.0})
        open_sentences(recipe.expression_encoder, written, weights=choice.text_weights, device=device)
    tower, seen = _see_all(slides, held_out, recipe, choice, device, cache, progress)
    paired = [section.slide for section in seen.paired]
    terms = f"{licence_of(slides)}; on {tower.name} ({tower.licence})"
    said = replace(recipe, training_data=described(slides, paired=paired, held_out=held_out), licence=terms)
    texts = None if recipe.reads_genes else _texts(recipe, choice, seen, device)
    space = align_towers(
        seen.paired,
        seen.expression_only,
        tower,
        said,
        texts=texts,
        trainable=open_tunable(choice.image_encoder, choice.image_weights, device=device) if recipe.fine_tune else None,
        options=RunOptions(
            device=device,
            checkpoint=checkpoint,
            on_epoch=lambda done, total: progress.update("train", done, total, ""),
            cache=cache,
        ),
    )
    progress.update("measure", 0, 1, "")
    rows = _measure(space, seen, recipe)
    progress.update("measure", 1, 1, "")
    return with_quality(space, rows)


def _see_all(
    slides: Sequence[TrainingSlide],
    held_out: Collection[str],
    recipe: TowerRecipe,
    choice: TowerChoice,
    device: str,
    cache: FeatureCache,
    progress: Progress,
) -> tuple[ImageTower, _Seen]:
    tower: ImageTower | None = None
    seen, made_elsewhere = _Seen(), list[FeatureSection]()
    for done, slide in enumerate(slides, start=1):
        tested = slide.patient in held_out
        if slide.has_image:
            tower = tower or _tower(choice, device)
            section = slide.read_pairs(tower.patch)
            if isinstance(section, FeatureSection):
                made_elsewhere.append(section)
            else:
                (seen.held_out if tested else seen.paired).append(see(section, tower, recipe, cache=cache))
                seen.colour[section.slide] = _by_colour(section)
        elif not tested:
            seen.expression_only.append(slide.read_counts())
        progress.update("encode", done, len(slides), slide.slide)
    if made_elsewhere:
        tower = _elsewhere(made_elsewhere, choice)
        for features in see_features(made_elsewhere):
            (seen.held_out if features.patient in held_out else seen.paired).append(features)
    if tower is None:
        raise TrainingError("No slide has an image side; give slides with pictures or features.")
    return tower, seen


def _tower(choice: TowerChoice, device: str) -> ImageTower:
    return open_image_tower(choice.image_encoder, weights=choice.image_weights, side_um=choice.side_um, device=device)


def _elsewhere(sections: Sequence[FeatureSection], choice: TowerChoice) -> FeaturesElsewhere:
    name, dim = sections[0].encoder, sections[0].features.shape[1]
    facts = CATALOGUE.get(name)
    if facts is not None:
        facts.check_dim(dim)
        patch = facts.patch(side_um=choice.side_um)
    elif choice.side_um is not None:
        patch = PatchSpec(side_um=choice.side_um, side_px=_FEATURE_SIDE_PX)
    else:
        raise PatchError(f"How large a tile of {name!r} is, is not known; give its side in micrometres (--side-um).")
    return FeaturesElsewhere(name, dim, patch, licence=(facts and facts.licence) or "not stated")


def _texts(recipe: TowerRecipe, choice: TowerChoice, seen: _Seen, device: str) -> SentenceEncoder:
    norms = None
    if recipe.sentence_recipe == NORMALISED_RANK:
        every = [*(section.expression for section in seen.paired), *seen.expression_only]
        norms = gene_norms_of(read_profiles(every))
    written = recipe_named(recipe.sentence_recipe, housekeeping=choice.housekeeping, gene_norms=norms)
    return open_sentences(recipe.expression_encoder, written, weights=choice.text_weights, device=device)


def _by_colour(section: PairedSection) -> SeenSection:
    features = ColourStatistics().features(section.patches)
    return SeenSection(section.slide, section.patient, [features], section.counts, section.genes)


def _measure(space: Space, seen: _Seen, recipe: TowerRecipe) -> list[QualityRow]:
    """Rows of each held-out section, beside chance and colour where there are pixels."""
    baseline = _colour_space(seen, recipe, space) if seen.colour else None
    rows = []
    for section in seen.held_out:
        coloured = seen.colour.get(section.slide)
        by_colour = None if baseline is None or coloured is None else _as_indexed(baseline, coloured)
        own = section
        if section.patches is not None and isinstance(space.image, TowerImageEncoder):
            # The tower has changed since the section was encoded; its patches are kept on the common stain.
            own = replace(section, views=[space.image.tower.features(section.patches)])
        rows += quality_rows(section.slide, section.patient, _as_indexed(space, own), by_colour)
    return rows


def _colour_space(seen: _Seen, recipe: TowerRecipe, space: Space) -> Space:
    """A space of the same pairs whose image side sees six colour numbers: the closed form, on genes."""
    dim = min(ColourStatistics.feature_dim, recipe.dim)
    plain = replace(
        recipe,
        loss="cca",
        head="linear",
        expression_encoder=PROFILE,
        dim=dim,
        fine_tune=False,
        validate_patients=(),
        n_null_pairs=_COLOUR_NULL_PAIRS,
    )
    patch = space.image.patch
    tower = FeaturesElsewhere(ColourStatistics.name, ColourStatistics.feature_dim, patch)
    trained = [seen.colour[section.slide] for section in seen.paired if section.slide in seen.colour]
    return align_towers(trained, seen.expression_only, tower, plain)


def _as_indexed(space: Space, section: SeenSection) -> tuple[Vectors, Vectors]:
    """Image and expression vectors of a section as an index holds them."""
    features = section.views[0]
    images = space.image.project(features, centre=features.mean(axis=0))
    return images, space.expression.encode_counts(section.counts, section.genes, by_section=True).vectors
