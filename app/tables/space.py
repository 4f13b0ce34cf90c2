"""Spaces, their measured quality, and published encoders as tables."""

from collections.abc import Sequence
from typing import Any

from app.tables.view import NONE, Column, TableView, number
from encoders.catalogue import CLIP_MEAN, IMAGENET_MEAN, EncoderFacts
from encoders.image_registry import EncoderStatus
from encoders.registry import SpaceStatus
from encoders.space import SpaceCard
from encoders.weights import ENVIRONMENT, weights_folder

_NOT_STATED = "not stated"


def space_row(status: SpaceStatus) -> dict[str, Any]:
    """What `histoseek encoders --json` says of one space."""
    card = None if status.card is None else status.card.model_dump(mode="json", exclude={"calibration"})
    return {"name": status.name, "state": status.state, "hint": status.hint, "card": card}


def spaces_table(statuses: Sequence[SpaceStatus]) -> TableView:
    """Every registered space on a line."""
    return TableView(
        title="Spaces",
        columns=(
            Column("space"),
            Column("state"),
            Column("revision"),
            Column("dim", "right"),
            Column("patch"),
            Column("trained on", wrap=True),
            Column("licence", wrap=True),
        ),
        rows=[(status.name, status.state, *_card_cells(status.card)) for status in statuses],
        caption=" ".join(status.hint for status in statuses if status.hint),
    )


def encoder_row(status: EncoderStatus) -> dict[str, Any]:
    """What `histoseek encoders --json` says of one published encoder; null where nothing is stated."""
    facts = status.facts
    return {
        "name": facts.name,
        "modality": facts.modality,
        "dim": facts.dim,
        "side_px": facts.side_px,
        "side_um": facts.side_um,
        "mpp": facts.mpp,
        "mean": facts.mean,
        "std": facts.std,
        "licence": facts.licence,
        "gated": facts.gated,
        "source": facts.source,
        "package": facts.family,
        "state": status.state,
        "hint": status.hint,
    }


def encoders_table(statuses: Sequence[EncoderStatus]) -> TableView:
    """Every published encoder on a line."""
    return TableView(
        title="Published encoders",
        columns=(
            Column("encoder"),
            Column("state"),
            Column("modality"),
            Column("dim", "right"),
            Column("patch"),
            Column("normalisation"),
            Column("licence", wrap=True),
            Column("access"),
            Column("weights from", wrap=True),
        ),
        rows=[
            (status.facts.name, status.state, *_facts_cells(status.facts), status.facts.source) for status in statuses
        ],
        caption=f"Weights go to {weights_folder()}/ENCODER/ ({ENVIRONMENT} sets another folder); gated ones need "
        "access first. Where the state is `features only`, features made by the authors' code are read instead. "
        "`histoseek encoders check NAME` says what is missing, or loads the encoder and embeds a test patch; "
        "timm/NAME and open_clip/NAME with --weights FILE open any model of these packages.",
    )


def quality_table(card: SpaceCard) -> TableView:
    """Each measured figure of a space beside its random row, colour baseline and gallery size."""
    return TableView(
        title=f"Measured quality of {card.name} {card.revision}",
        columns=(
            Column("metric"),
            Column("direction"),
            Column("test", wrap=True),
            Column("value", "right"),
            Column("random", "right"),
            Column("colour baseline", "right"),
            Column("gallery", "right"),
        ),
        rows=[
            (
                row.metric,
                row.direction,
                row.test,
                number(row.value),
                number(row.random),
                number(row.colour_baseline),
                f"{row.n_gallery:,}",
            )
            for row in card.quality
        ],
        caption=f"Trained on {card.training_data}. Licence: {card.licence}.",
    )


def _facts_cells(facts: EncoderFacts) -> tuple[str, ...]:
    side = _NOT_STATED if facts.side_um is None else f"{facts.side_um:g} µm"
    named = {IMAGENET_MEAN: "ImageNet", CLIP_MEAN: "CLIP", None: _NOT_STATED}
    access = _NOT_STATED if facts.gated is None else "gated" if facts.gated else "open"
    return (
        facts.modality,
        str(facts.dim),
        f"{facts.side_px} px, {side}",
        named.get(facts.mean, "its own"),
        facts.licence or _NOT_STATED,
        access,
    )


def _card_cells(card: SpaceCard | None) -> tuple[str, ...]:
    if card is None:
        return (NONE,) * 5
    patch = f"{card.patch_side_um:g} µm, {card.patch_side_px} px"
    return card.revision, str(card.dim), patch, card.training_data, card.licence
