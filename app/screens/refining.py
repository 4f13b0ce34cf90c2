"""Thumbs up and down under the hits: what is marked moves the question, and the hits are ranked anew."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import streamlit as st

from app.screens.gallery import Card, hit_card, query_card
from encoders.contracts import Modality
from search.query import ExamplesQuery, ItemQuery, Query

_MARKS = "marks"  # in the session: what was marked, by question
_CARD_PX = 156


def refined(query: Query, target: Modality) -> Query:
    """The query moved by what was marked under its hits; the query itself if nothing was.

    Examples are taken by the side that was compared, since that is what the reader saw ranked.
    """
    marks = _marks(query)
    like, unlike = (
        tuple(ItemQuery(item, target) for item, mark in marks.items() if mark == wanted) for wanted in (1, 0)
    )
    return ExamplesQuery(query, like, unlike) if marks else query


def choose_refining(query: Query) -> bool:
    """The switch that puts thumbs under the hits, what is marked, and the button that forgets it."""
    with st.container(horizontal=True, vertical_alignment="center"):
        on = st.toggle(
            "Refine", key="refine", help="Mark hits as right or wrong; the question moves towards the right."
        )
        marks = _marks(query)
        if marks:
            right = sum(marks.values())
            st.badge(f"{right} right, {len(marks) - right} wrong", icon=":material/thumbs_up_down:", color="blue")
            if st.button("Forget marks", icon=":material/restart_alt:", type="tertiary"):
                marks.clear()
                st.rerun()
    return bool(on)


def show_markable(hits: Sequence[Card], *, query: Card | None, asked: Query) -> None:
    """The gallery with a thumb up and a thumb down under each hit."""
    marks = _marks(asked)
    widest = max((card.side_um or 0.0 for card in (*hits, *([query] if query else []))), default=0.0)
    with st.container(horizontal=True, gap="small", vertical_alignment="top"):
        if query is not None:
            with st.container(width=_CARD_PX, key="refine-query"):
                st.html(query_card(query, widest))
        for card in hits:
            item = str(card.facts["id"])
            with st.container(width=_CARD_PX, gap=None):
                st.html(hit_card(card, widest))
                key = f"mark-{_name(asked)}-{item}"
                st.session_state.setdefault(key, marks.get(item))
                st.feedback("thumbs", key=key, on_change=_mark, args=(asked, item, key))


def _mark(asked: Query, item: str, key: str) -> None:
    mark = st.session_state[key]
    if mark is None:
        _marks(asked).pop(item, None)
    else:
        _marks(asked)[item] = int(mark)


def _marks(query: Query) -> dict[str, int]:
    """Item -> 1 for right, 0 for wrong, of one question; changing it changes the session."""
    by_question: dict[str, dict[str, int]] = st.session_state.setdefault(_MARKS, {})
    return by_question.setdefault(_name(query), {})


def _name(query: Query) -> str:
    form: dict[str, Any] = query.describe()
    return hashlib.sha256(json.dumps(form, sort_keys=True, default=str).encode()).hexdigest()[:12]
