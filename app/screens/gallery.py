"""Hits as cards: picture at one physical scale, scale bar, spot circle, score, and where it comes from."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from math import isfinite
from typing import Any
from urllib.parse import urlencode

import streamlit as st

from app.figures.scale_bar import length_text, round_length_um
from app.tables.view import number, p_text
from search.expression.standouts import StandoutGene


@dataclass(frozen=True, slots=True)
class Card:
    """One item to be shown.

    Attributes
    ----------
    facts : dict
        A row of the hits, or of the items; columns of `ITEM_METADATA`.
    picture : bytes or None
        JPEG of its patch, `side_um` wide.
    genes : tuple of StandoutGene
        Those that stand out in it, shown where there is no picture.
    """

    facts: dict[str, Any]
    picture: bytes | None = None
    genes: tuple[StandoutGene, ...] = ()

    @property
    def side_um(self) -> float | None:
        """Width of the picture in micrometres, if it is known."""
        return _number(self.facts.get("side_um"))


def show_gallery(hits: Sequence[Card], *, query: Card | None = None) -> None:
    """Show hits in order, after what was asked with; all pictures have the same micrometres per screen pixel.

    Parameters
    ----------
    hits : sequence of Card
        Best first.
    query : Card, optional
        Shown first, with a frame.
    """
    shown = [card for card in (query, *hits) if card is not None]
    widest = max((card.side_um or 0.0 for card in shown), default=0.0)
    asked = query_card(query, widest) if query is not None else ""
    found = "".join(hit_card(card, widest) for card in hits)
    st.html(f'<div class="hs-answer">{asked}<div class="hs-gallery">{found}</div></div>')


def _share(card: Card, widest_um: float) -> float:
    """Part of a card's width that its picture takes up."""
    return card.side_um / widest_um if card.side_um and widest_um else 1.0


def item_link(facts: dict[str, Any]) -> str:
    """Address, on this server, that opens an item on its slide."""
    return "./?" + urlencode({"slide": facts["slide"], "item": facts["id"]})


def query_card(card: Card, widest_um: float) -> str:
    """HTML of what was asked with; a picture `widest_um` wide fills the card."""
    side = card.facts.get("modality")
    head = _head("Query", f"by its {side}" if side else "")
    return f'<div class="hs-card hs-query">{_body(card, _share(card, widest_um), head)}</div>'


def hit_card(card: Card, widest_um: float) -> str:
    """HTML of a hit, a link to its place on its slide."""
    facts = card.facts
    p_value = _number(facts.get("p_value"))
    head = _head(
        f"{facts['rank']}. {number(_number(facts['score']))}", "" if p_value is None else f"p {p_text(p_value)}"
    )
    name = escape(f"{facts['id']}: open on its slide")
    link = escape(item_link(facts))
    body = _body(card, _share(card, widest_um), head)
    return f'<a class="hs-card" href="{link}" target="_self" title="{name}">{body}</a>'


def _body(card: Card, scale: float, head: str) -> str:
    text = head + _provenance(card.facts)
    return f'<div class="hs-picture">{_picture(card, scale)}</div><div class="hs-text">{text}</div>'


def _head(left: str, right: str) -> str:
    return f'<div class="hs-head"><span>{escape(left)}</span><span>{escape(right)}</span></div>'


def _picture(card: Card, scale: float) -> str:
    if card.picture is None and card.facts["kind"] == "tile":
        return '<div class="hs-genes"><b>No picture here, features only</b></div>'
    if card.picture is None:
        return _genes(card.genes)
    source = "data:image/jpeg;base64," + base64.b64encode(card.picture).decode("ascii")
    side = card.side_um
    marks = _marks(side, _number(card.facts.get("spot_um"))) if side else ""
    alt = escape(f"{card.facts['kind']} {card.facts['id']}" + (f", {side:.0f} micrometres wide" if side else ""))
    return f'<div class="hs-frame" style="width: {100 * scale:.1f}%"><img src="{source}" alt="{alt}">{marks}</div>'


def _genes(genes: Sequence[StandoutGene]) -> str:
    """Genes as bars as long as they stand out, each with how many times its mean of the index is counted."""
    if not genes:
        return '<div class="hs-genes"><b>Not imaged, no gene stands out</b></div>'
    longest = max(gene.excess for gene in genes)
    rows = "".join(
        f'<div class="hs-gene"><span class="hs-gene-bar" style="width: {100 * gene.excess / longest:.0f}%"></span>'
        f"<span>{escape(gene.symbol)}</span><span>{_times(gene.fold)}</span></div>"
        for gene in genes
    )
    about = "Not imaged. Counts of these genes, as multiples of their mean over the slides of the index"
    return f'<div class="hs-genes" title="{about}"><b>Not imaged; genes, x mean</b>{rows}</div>'


def _times(fold: float) -> str:
    """`3.4x`, `34x`."""
    return f"{fold:.1f}x" if fold < 10 else f"{fold:,.0f}x"


def _marks(side_um: float, spot_um: float | None) -> str:
    """Scale bar and outline of the spot, in percent of the picture; plain boxes, for drawings are not let through."""
    length_um = round_length_um(side_um)
    bar = (
        f'<span class="hs-bar" style="width: {100 * length_um / side_um:.2f}%"></span>'
        f'<span class="hs-length">{length_text(length_um)}</span>'
    )
    if not spot_um or spot_um > side_um:
        return bar
    share = 100 * spot_um / side_um
    ring = f"width: {share:.2f}%; height: {share:.2f}%; left: {50 - share / 2:.2f}%; top: {50 - share / 2:.2f}%"
    return f'{bar}<span class="hs-ring" style="{ring}"></span>'


def _provenance(facts: dict[str, Any]) -> str:
    x, y = _number(facts.get("x_px")), _number(facts.get("y_px"))
    name = f"{facts['kind']} {str(facts['id']).rsplit('/', 1)[-1]}"
    cohort = str(facts["cohort"])
    source = f"{cohort} (generated)" if facts.get("generated") and cohort != "generated" else cohort
    lines = [
        name,
        f"at {x:.0f}, {y:.0f} px" if x is not None and y is not None else "",
        str(facts.get("label") or ""),
        f"{source}; {facts['licence']}",
    ]
    first = f"<div><b>{escape(str(facts['slide']))}</b>, patient {escape(str(facts['patient']))}</div>"
    rest = [f'<div class="hs-dim" title="{escape(line)}">{escape(line)}</div>' for line in lines if line]
    return first + "".join(rest)


def _number(value: Any) -> float | None:
    return float(value) if value is not None and isfinite(float(value)) else None
