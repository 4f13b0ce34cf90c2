"""Spaces and their measured quality as tables."""

from collections.abc import Sequence
from typing import Any

from app.table_view import NONE, Column, TableView, number
from encoders.registry import SpaceStatus
from encoders.space import SpaceCard


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


def _card_cells(card: SpaceCard | None) -> tuple[str, ...]:
    if card is None:
        return (NONE,) * 5
    patch = f"{card.patch_side_um:g} µm, {card.patch_side_px} px"
    return card.revision, str(card.dim), patch, card.training_data, card.licence
