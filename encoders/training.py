"""Learns a space of the `mini` family from paired sections: deterministic, closed form, minutes on a CPU."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from encoders.alignment import Matrix
from encoders.backbones import Backbone, DefaultBackbone
from encoders.contracts import Floats
from encoders.errors import TrainingError
from encoders.expression_basis import fit_basis, rank_curve
from encoders.gene_directions import gene_directions
from encoders.mini import MiniWeights
from encoders.null_pairs import calibrate, gene_list_pool, pool, sentence_vectors
from encoders.profiles import Profiles
from encoders.projections import PairedViews, oriented, projections
from encoders.recipe import Recipe
from encoders.saving import assemble
from encoders.sections import ExpressionSection, PairedSection, check_paired, read_profiles
from encoders.space import Calibration, QualityRow, Space, SpaceCard
from encoders.stain import measure_stain, move_stain

#: Mean and standard deviation of L, a, b of a well-stained section; a convention, not learned.
STAIN_TARGET = np.array([[70.0, 20.0, -12.0], [12.0, 10.0, 7.0]], dtype=np.float32)


def align(
    sections: Sequence[PairedSection],
    extra: Sequence[ExpressionSection] = (),
    *,
    recipe: Recipe | None = None,
    backbone: Backbone | None = None,
    device: str = "cpu",
    on_section: Callable[[int, int, str], None] | None = None,
    checkpoint: Path | None = None,
    on_epoch: Callable[[int, int], None] | None = None,
) -> Space:
    """Learn a space: principal components of both views, then the alignment that the recipe's `loss` names.

    Parameters
    ----------
    sections : sequence of PairedSection
        Patches with counts; the alignment is learned from these alone.
    extra : sequence of ExpressionSection
        Sections without pictures; they help to choose genes and the principal axes of expression.
    recipe : Recipe, optional
        Settings.
    backbone : Backbone, optional
        Image features; the middle of MobileNetV2 at three scales on `device` if not given.
    on_section : callable, optional
        Told after each paired section: sections encoded, sections in all, slide.
    checkpoint : Path, optional
        File from which `infonce` and `bleep` resume and to which they write their state after each epoch.
    on_epoch : callable, optional
        Told after each of their epochs: epochs done, epochs at most.

    Raises
    ------
    TrainingError
        If pairs do not join, counts are not usable or constant, or there are fewer spots than components.
    """
    recipe = recipe or Recipe()
    recipe.check()
    backbone = backbone or DefaultBackbone(device=device)
    check_paired(sections)
    profiles = read_profiles([*(section.expression for section in sections), *extra])
    basis = fit_basis(
        profiles,
        n_genes=recipe.n_genes,
        n_components=recipe.expression_components,
        min_detected=recipe.min_detected,
    )
    paired = profiles[: len(sections)]
    _check_size(paired, recipe, backbone)
    stains = [measure_stain(section.patches) for section in sections]
    seen = []
    for section, stain in zip(sections, stains, strict=True):
        seen.append(_see(section, stain, recipe, backbone))
        if on_section is not None:
            on_section(len(seen), len(sections), section.slide)
    views = PairedViews(
        features=[list(orientation) for orientation in zip(*seen, strict=True)],
        expression=[basis.standardise(p) for p in paired],
        patients=[section.patient for section in sections],
    )
    learned = projections(views, basis, recipe, checkpoint=checkpoint, on_epoch=on_epoch)
    features = views.features[0]
    query_genes, directions = gene_directions(
        profiles,
        lambda section: basis.standardise(section) @ learned["expression_projection"],
        min_detected=recipe.min_listed,
    )
    weights = MiniWeights(
        **learned,
        image_centre=_float32(np.mean([f.mean(axis=0, dtype=np.float64) for f in features], axis=0)),
        stain=_float32(np.mean(stains, axis=0, dtype=np.float64)),
        stain_target=STAIN_TARGET if recipe.normalise_stain else None,
        gene_mean=_float32(basis.mean),
        gene_sd=_float32(basis.sd),
        rank_curve=_float32(rank_curve(profiles, n_ranks=recipe.n_ranks)),
        gene_directions=_float32(directions),
        genes=basis.genes,
        query_genes=query_genes,
    )
    draft = assemble(_draft_card(sections, extra, recipe, backbone, weights), weights, backbone)
    return _calibrated(draft, sections, extra, features, recipe)


def with_quality(space: Space, rows: Sequence[QualityRow]) -> Space:
    """The same space with measured figures on its card."""
    return replace(space, card=space.card.model_copy(update={"quality": tuple(rows)}))


def _check_size(paired: Sequence[Profiles], recipe: Recipe, backbone: Backbone) -> None:
    n_spots = sum(p.counts.shape[0] for p in paired)
    needed = max(recipe.image_components, recipe.expression_components, recipe.dim)
    if n_spots <= needed:
        raise TrainingError(
            f"There are {n_spots} paired spots; {needed} components need more than {needed}. Give more sections or ask "
            f"for fewer components."
        )
    if recipe.image_components > backbone.feature_dim:
        raise TrainingError(
            f"{recipe.image_components} image components were asked for, but {backbone.name} has "
            f"{backbone.feature_dim} features."
        )
    if recipe.dim > min(recipe.image_components, recipe.expression_components):
        raise TrainingError(
            f"A space of {recipe.dim} dimensions needs as many components of both views; the recipe has "
            f"{recipe.image_components} and {recipe.expression_components}."
        )


def _see(section: PairedSection, stain: Floats, recipe: Recipe, backbone: Backbone) -> list[Floats]:
    """Features of a section's patches, one array an orientation."""
    recipe.patch.check(section.patches)
    patches = section.patches
    if recipe.normalise_stain:
        patches = move_stain(patches, stain=stain, target=STAIN_TARGET)
    return [backbone.features(oriented(patches, number)) for number in range(recipe.orientations)]


def _draft_card(
    sections: Sequence[PairedSection],
    extra: Sequence[ExpressionSection],
    recipe: Recipe,
    backbone: Backbone,
    weights: MiniWeights,
) -> SpaceCard:
    """The card without its calibration. The revision names the weights, so no two trainings share one."""
    digest = weights.sha256()
    settings = {k: v for k, v in asdict(recipe).items() if k not in {"name", "licence", "training_data"}}
    return SpaceCard(
        name=recipe.name,
        revision=f"{recipe.version}-{digest[:8]}",
        dim=recipe.dim,
        licence=recipe.licence,
        weights_sha256=digest,
        patch_side_um=recipe.side_um,
        patch_side_px=recipe.side_px,
        training_data=recipe.training_data,
        training_slides=(*(s.slide for s in sections), *(s.slide for s in extra)),
        training_patients=tuple(sorted({s.patient for s in sections} | {s.patient for s in extra})),
        recipe={
            **settings,
            "backbone": backbone.name,
            "backbone_sha256": backbone.weights_sha256,
            "paired_slides": " ".join(s.slide for s in sections),
            "paired_spots": sum(s.counts.shape[0] for s in sections),
            "expression_only_spots": sum(s.counts.shape[0] for s in extra),
        },
        calibration=Calibration(n_pairs=0, probabilities=(), quantiles={}),
    )


def _calibrated(
    space: Space,
    sections: Sequence[PairedSection],
    extra: Sequence[ExpressionSection],
    features: Sequence[Floats],
    recipe: Recipe,
) -> Space:
    """The space with its null, measured on the vectors an index of the training sections would hold."""
    every = [*(s.expression for s in sections), *extra]
    patients = [s.patient for s in every]
    images = [space.image.project(f, centre=f.mean(axis=0)) for f in features]
    spots = [space.expression.encode_counts(s.counts, s.genes, by_section=True).vectors for s in every]
    sentences = [sentence_vectors(space.expression, s) for s in every]
    targets = {
        "image": pool(images, range(len(images)), patients),
        "expression": pool(spots, range(len(spots)), patients),
    }
    queries = {
        **targets,
        "genes": gene_list_pool(space.expression, seed=recipe.seed),
        "sentence": pool(sentences, range(len(sentences)), patients),
    }
    calibration, drawn = calibrate(queries, targets, n_pairs=recipe.n_null_pairs, seed=recipe.seed)
    notes = {f"null {direction}": kind for direction, kind in drawn.items()}
    card = space.card.model_copy(update={"calibration": calibration, "recipe": {**space.card.recipe, **notes}})
    return replace(space, card=card)


def _float32(values: Matrix) -> Floats:
    return np.asarray(values, dtype=np.float32)
