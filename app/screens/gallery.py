"""Hits as cards: picture at one physical scale, scale bar, spot circle, score, and where it comes from."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import isfinite
from typing import Any
from urllib.parse import urlencode

import streamlit as st

from app.scale_bar import length_text, round_length_um
from app.table_view import number, p_text


@dataclass(frozen=True, slots=True)
class Card:
    """One item to be shown.

    Attributes
    ----------
    facts : dict
        A row of the hits, or of the items; columns of `ITEM_METADATA`.
    picture : bytes or None
        JPEG of its patch, `side_um` wide.
    genes : str
        Its gene sentence, shown where there is no picture.
    """

    facts: dict[str, Any]
    picture: bytes | None = None
    genes: str = ""


def show_query(card: Card) -> None:
    """Show the item asked with, larger than a hit."""
    st.html(f'<div class="hs-gallery" style="--hs-card: 200px">{_card(card, scale=1.0, role="query")}</div>')


def show_gallery(cards: Sequence[Card], *, card_px: int = 150) -> None:
    """Show hits in order; all pictures are drawn at the same micrometres per screen pixel.

    Parameters
    ----------
    cards : sequence of Card
        Best first.
    card_px : int
        Smallest width of a card on the screen.
    """
    widest = max((_number(card.facts.get("side_um")) or 0.0 for card in cards), default=0.0)
    drawn = []
    for card in cards:
        side = _number(card.facts.get("side_um"))
        drawn.append(_card(card, scale=side / widest if side and widest else 1.0, role="hit"))
    st.html(f'<div class="hs-gallery" style="--hs-card: {card_px}px">{"".join(drawn)}</div>')


def item_link(facts: dict[str, Any]) -> str:
    """Address, on this server, that opens an item on its slide."""
    return "./?" + urlencode({"slide": facts["slide"], "item": facts["id"]})


def _card(card: Card, *, scale: float, role: str) -> str:
    body = f'<div class="hs-picture">{_picture(card, scale)}</div><div class="hs-text">{_text(card.facts, role)}</div>'
    if role == "query":
        return f'<div class="hs-card hs-query">{body}</div>'
    name = escape(f"{card.facts['id']}: open on its slide")
    link = escape(item_link(card.facts))
    return f'<a class="hs-card" href="{link}" target="_self" title="{name}">{body}</a>'


def _picture(card: Card, scale: float) -> str:
    if card.picture is None:
        symbols = escape(" ".join(card.genes.split()[:24])) or "no picture, no counts"
        return f'<div class="hs-genes">{symbols}</div>'
    source = "data:image/jpeg;base64," + base64.b64encode(card.picture).decode("ascii")
    side = _number(card.facts.get("side_um"))
    marks = _marks(side, _number(card.facts.get("spot_um"))) if side else ""
    alt = escape(f"{card.facts['kind']} {card.facts['id']}" + (f", {side:.0f} micrometres wide" if side else ""))
    return f'<div class="hs-frame" style="width: {100 * scale:.1f}%"><img src="{source}" alt="{alt}">{marks}</div>'


def _marks(side_um: float, spot_um: float | None) -> str:
    """Scale bar and outline of the spot, in percent of the picture."""
    length_um = round_length_um(side_um)
    share = 100 * length_um / side_um
    bar = (
        f'<rect x="5" y="92" width="{share:.2f}" height="2.4" fill="#111827" stroke="#fff" stroke-width=".7"/>'
        f'<text x="{5 + share / 2:.2f}" y="89.6" text-anchor="middle" font-size="7.5" font-weight="600" fill="#111827" '
        f'stroke="#fff" stroke-width="1.8" paint-order="stroke">{length_text(length_um)}</text>'
    )
    ring = ""
    if spot_um and spot_um <= side_um:
        radius = 50 * spot_um / side_um
        ring = (
            f'<circle cx="50" cy="50" r="{radius:.2f}" fill="none" stroke="#111827" stroke-opacity=".85" '
            'stroke-width=".9" stroke-dasharray="3 2"/>'
        )
    return f'<svg viewBox="0 0 100 100" aria-hidden="true">{ring}{bar}</svg>'


def _text(facts: dict[str, Any], role: str) -> str:
    lines = []
    if role == "hit":
        score, p_value = _number(facts.get("score")), _number(facts.get("p_value"))
        lines.append(
            f'<div class="hs-head"><span>{facts["rank"]}. {number(score)}</span><span>p {p_text(p_value)}</span></div>'
        )
    else:
        lines.append('<div class="hs-head"><span>Query</span></div>')
    lines.append(f"<div><b>{escape(str(facts['slide']))}</b>, patient {escape(str(facts['patient']))}</div>")
    lines += [f'<div class="hs-dim">{escape(part)}</div>' for part in _provenance(facts) if part]
    return "".join(lines)


def _provenance(facts: dict[str, Any]) -> list[str]:
    x, y = _number(facts.get("x_px")), _number(facts.get("y_px"))
    place = f"x {x:.0f}, y {y:.0f} px" if x is not None and y is not None else ""
    kind = f"{facts['kind']} {str(facts['id']).rsplit('/', 1)[-1]}"
    return [
        kind,
        place,
        str(facts.get("label") or ""),
        str(facts["cohort"]) + (", generated" if facts.get("generated") else ""),
        str(facts["licence"]),
    ]


def _number(value: Any) -> float | None:
    return float(value) if value is not None and isfinite(float(value)) else None
