"""One training on towers: from sections to a space with its card and its calibration."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from encoders.alignment import Matrix
from encoders.batches import split
from encoders.contracts import Floats
from encoders.errors import TrainingError
from encoders.expression_basis import ExpressionBasis, fit_basis, rank_curve
from encoders.gene_directions import gene_directions
from encoders.profiles import Profiles
from encoders.sections import ExpressionSection, read_profiles
from encoders.sentence_encoder import SentenceEncoder
from encoders.space import Space
from encoders.trainer.calibration import calibrated
from encoders.trainer.feature_cache import FeatureCache
from encoders.trainer.fitting import Fitting, ImageInputs, Pairs
from encoders.trainer.heads import folded, hidden_start
from encoders.trainer.image_towers import ImageTower
from encoders.trainer.image_views import KeptImages
from encoders.trainer.seen_sections import SeenSection
from encoders.trainer.sentence_views import sentence_features
from encoders.trainer.tower_card import draft_card
from encoders.trainer.tower_recipe import MLP, TowerRecipe
from encoders.trainer.tower_space import TowerSet, assemble_towers
from encoders.trainer.tower_weights import TowerWeights
from encoders.trainer.tuning import TrainableTower, TunedImages, TunedTower
from encoders.trainer.views import SideView, balanced_weights, closed_form, feature_view, gene_view
from encoders.training import STAIN_TARGET


@dataclass(frozen=True, slots=True)
class RunOptions:
    """How a training is run; nothing of it changes the result.

    Attributes
    ----------
    device : str
        Where heads, and a tuned tower, are trained.
    checkpoint : Path or None
        From which training by contrast resumes, and to which its state goes after each epoch.
    on_epoch : callable or None
        Told after each epoch: epochs done, epochs at most.
    cache : FeatureCache
        Where features of sentences are kept.
    """

    device: str = "cpu"
    checkpoint: Path | None = None
    on_epoch: Callable[[int, int], None] | None = None
    cache: FeatureCache = field(default_factory=lambda: FeatureCache(None))


@dataclass(frozen=True, slots=True)
class _Genes:
    """The gene side of all sections: what every space needs, whatever reads its transcriptomes."""

    profiles: list[Profiles]
    basis: ExpressionBasis | None


def align_towers(
    sections: Sequence[SeenSection],
    extra: Sequence[ExpressionSection],
    tower: ImageTower,
    recipe: TowerRecipe,
    *,
    texts: SentenceEncoder | None = None,
    trainable: TrainableTower | None = None,
    options: RunOptions | None = None,
) -> Space:
    """Fit the heads of a space, and the image tower if one to train is given.

    Parameters
    ----------
    sections : sequence of SeenSection
        Pairs, with features of `tower`; with patches where it is tuned.
    extra : sequence of ExpressionSection
        Transcriptomes alone: they help to choose genes and their axes.
    tower : ImageTower
        What made the features; named on the card.
    texts : SentenceEncoder, optional
        The text tower, where the recipe names one.
    trainable : TrainableTower, optional
        The same tower as a module, for `fine_tune`; its weights are changed.

    Raises
    ------
    TrainingError
        If pairs cannot be aligned: too few spots, constant genes or features, nothing to hold out, a loss that is no
        longer finite, a checkpoint of another training.
    """
    recipe.check()
    options = options or RunOptions()
    if not sections:
        raise TrainingError("There are 0 paired sections; give at least one with an image side and counts.")
    profiles = read_profiles([*(section.expression for section in sections), *extra])
    genes = _Genes(profiles, _basis(profiles, recipe) if recipe.reads_genes else None)
    weights = balanced_weights([s.counts.shape[0] for s in sections], [s.patient for s in sections])
    features = [list(view) for view in zip(*(section.views for section in sections), strict=True)]
    images = feature_view(features, weights, n_components=recipe.image_components, centring=recipe.centring)
    expression = _expression_side(sections, genes, weights, recipe, texts, options.cache)
    _check_size(sections, images, expression, recipe)
    source = _image_inputs(images, sections, recipe, trainable, options)
    heads = _fit(images, expression, weights, sections, recipe, source, options)
    if trainable is not None:
        features = [[trainable.features(_kept(section), bf16=False) for section in sections]]
    learned = _learned(sections, genes, images, expression, heads, features[0], recipe, texts)
    used = tower if trainable is None else TunedTower(tower, trainable)
    towers = TowerSet(image=lambda: used, texts=None if texts is None else lambda: texts)
    card = draft_card(sections, extra, recipe, tower, texts, learned, tuned=trainable is not None)
    draft = assemble_towers(card, learned, towers)
    return calibrated(draft, sections, extra, features[0], recipe)


def _basis(profiles: Sequence[Profiles], recipe: TowerRecipe) -> ExpressionBasis:
    return fit_basis(
        profiles,
        n_genes=recipe.n_genes,
        n_components=min(recipe.expression_components, recipe.n_genes),
        min_detected=recipe.min_detected,
    )


def _expression_side(
    sections: Sequence[SeenSection],
    genes: _Genes,
    weights: Sequence[Matrix],
    recipe: TowerRecipe,
    texts: SentenceEncoder | None,
    cache: FeatureCache,
) -> SideView:
    if genes.basis is not None:
        return gene_view(genes.basis, genes.profiles[: len(sections)], centring=recipe.centring)
    if texts is None:
        raise TrainingError(f"The text tower {recipe.expression_encoder!r} is not open; give it with the recipe.")
    found = sentence_features(texts, [section.expression for section in sections], cache=cache)
    return feature_view([found], weights, n_components=recipe.expression_components, centring=recipe.centring)


def _check_size(sections: Sequence[SeenSection], images: SideView, expression: SideView, recipe: TowerRecipe) -> None:
    n_spots = sum(section.counts.shape[0] for section in sections)
    components = {"image": images.axes.shape[1], "expression": expression.axes.shape[1]}
    if n_spots <= max(*components.values(), recipe.dim):
        raise TrainingError(
            f"There are {n_spots} paired spots; {max(*components.values(), recipe.dim)} components need more than "
            f"that. Give more sections or ask for fewer components (dim {recipe.dim})."
        )
    for side, n_components in components.items():
        if recipe.dim > n_components:
            raise TrainingError(
                f"A space of {recipe.dim} dimensions needs as many components of both views; the {side} side has "
                f"{n_components}. Ask for fewer dimensions (--dim)."
            )


def _image_inputs(
    images: SideView,
    sections: Sequence[SeenSection],
    recipe: TowerRecipe,
    trainable: TrainableTower | None,
    options: RunOptions,
) -> ImageInputs:
    if recipe.fine_tune != (trainable is not None):
        raise TrainingError("A tower to train belongs to a recipe with fine_tune, and only to such a one.")
    if trainable is None:
        return KeptImages(images, device=options.device)
    return TunedImages(trainable, [_kept(section) for section in sections], images.scale, recipe)


def _kept(section: SeenSection) -> Any:
    if section.patches is None:
        raise TrainingError(
            f"Section {section.slide} has features but no patches; a tower can only be tuned on pixels. Leave "
            f"fine-tuning out, or give the images."
        )
    return section.patches


def _fit(
    images: SideView,
    expression: SideView,
    weights: Sequence[Matrix],
    sections: Sequence[SeenSection],
    recipe: TowerRecipe,
    source: ImageInputs,
    options: RunOptions,
) -> dict[str, dict[str, Floats]]:
    """Parameters of the `image` and the `expression` head."""
    patients = [section.patient for section in sections]
    everything = list(range(len(sections)))
    closed = recipe.loss == "cca"
    trained, held_out = (everything, list[int]()) if closed else _split(patients, recipe)
    x, y = closed_form(images, expression, weights, trained, dim=recipe.dim, shrinkage=recipe.shrinkage)
    if closed:
        return {"image": {"linear": x}, "expression": {"linear": y}}
    rng = np.random.default_rng(recipe.seed)
    start = {"image.linear": x, "expression.linear": y}
    on_genes = recipe.reads_genes
    deep = {
        "image": recipe.head == "mlp",
        "expression": recipe.expression_encoder == MLP or (not on_genes and recipe.head == "mlp"),
    }
    for side, view in (("image", images), ("expression", expression)):
        if deep[side]:
            hidden = hidden_start(len(view.scale), recipe.hidden, recipe.dim, rng)
            start |= {f"{side}.{name}": values for name, values in hidden.items()}
    pairs = Pairs(expression.inputs[0], images.axes, expression.axes, patients, drops_genes=on_genes)
    fitting = Fitting(source, pairs, start, recipe, trained=trained, held_out=held_out, device=options.device)
    fitting.run(checkpoint=options.checkpoint, on_epoch=options.on_epoch)
    return {side: fitting.head(side) for side in ("image", "expression")}


def _split(patients: Sequence[str], recipe: TowerRecipe) -> tuple[list[int], list[int]]:
    """Numbers of the sections to train on, and of those it is stopped by."""
    wanted = recipe.validate_patients
    if not wanted:
        return split(patients, recipe.stop_on)
    missing = [patient for patient in wanted if patient not in patients]
    if missing:
        raise TrainingError(
            f"Patient {missing[0]!r} has no paired section to stop on; the pairs are of "
            f"{', '.join(sorted(set(patients)))}."
        )
    held_out = [i for i, patient in enumerate(patients) if patient in wanted]
    if len(held_out) == len(patients):
        raise TrainingError(
            f"All pairs are of the patients to stop on ({', '.join(wanted)}), so nothing is left to train on; give "
            f"pairs of another patient, or leave --validate-patient out."
        )
    return [i for i in range(len(patients)) if i not in held_out], held_out


def _learned(
    sections: Sequence[SeenSection],
    genes: _Genes,
    images: SideView,
    expression: SideView,
    heads: dict[str, dict[str, Floats]],
    features: Sequence[Floats],
    recipe: TowerRecipe,
    texts: SentenceEncoder | None,
) -> TowerWeights:
    stains = [section.stain for section in sections if section.stain is not None]
    normalised = recipe.normalise_stain and len(stains) == len(sections)
    found = TowerWeights(
        image_head=folded(heads["image"], images.axes, images.scale),
        expression_head=folded(heads["expression"], expression.axes, expression.scale),
        image_centre=np.asarray(np.mean([f.mean(axis=0, dtype=np.float64) for f in features], axis=0), np.float32),
        expression_centre=expression.centre,
        stain=np.asarray(np.mean(stains, axis=0), dtype=np.float32) if normalised else None,
        stain_target=STAIN_TARGET if normalised else None,
    )
    if texts is not None:
        norms = texts.recipe.gene_norms
        return replace(
            found,
            gene_norms=None if norms is None else np.asarray(list(norms.values()), dtype=np.float32),
            norm_genes=() if norms is None else tuple(norms),
            housekeeping=tuple(sorted(texts.recipe.drop_symbols)),
        )
    return _with_gene_queries(found, genes, recipe)


def _with_gene_queries(found: TowerWeights, genes: _Genes, recipe: TowerRecipe) -> TowerWeights:
    """What reads gene lists and sentences without a text tower."""
    if genes.basis is None:
        raise TrainingError("Gene directions need the genes of a profile encoder.")
    symbols, head = genes.basis.genes, found.expression_head

    def place(profiles: Profiles) -> Matrix:
        columns = {symbol: i for i, symbol in enumerate(profiles.genes)}
        log = profiles.log_normalised()[:, [columns[symbol] for symbol in symbols]]
        centre = np.asarray(log.mean(axis=0)).ravel()
        placed = head.place(log, centre).astype(np.float64)
        return np.asarray(placed - placed.mean(axis=0))

    query_genes, directions = gene_directions(genes.profiles, place, min_detected=recipe.min_listed)
    return replace(
        found,
        rank_curve=np.asarray(rank_curve(genes.profiles, n_ranks=recipe.n_ranks), dtype=np.float32),
        gene_directions=np.asarray(directions, dtype=np.float32),
        genes=symbols,
        query_genes=query_genes,
    )
