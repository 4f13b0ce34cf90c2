"""What the index was made with and kept of, and what was asked of it, on the Index page."""

import json
from typing import Any

import pandas as pd
import streamlit as st

from app.api.audit import handed_log, last_questions
from app.exposure import login_of
from app.screens.asked_log import visitor
from indexer.index import Index
from indexer.store.versions import history, read_tags

_N_QUESTIONS = 50
_LONGEST = 160  # letters of a question in the table


def show_encoders(index: Index) -> None:
    """Who encoded the items, and under which licence."""
    rows = [
        {"side": side, "encoder": info.name, "revision": info.revision, "dim": info.dim, "licence": info.licence}
        for side, info in index.card.encoders.items()
    ]
    st.table(pd.DataFrame(rows).set_index("side"))  # unlike a data frame it wraps its sentences


def show_versions(index: Index) -> None:
    """Versions of the data that can be opened, the newest first, with their tags."""
    named: dict[int, list[str]] = {}
    for tag, number in read_tags(index.location).items():
        named.setdefault(number, []).append(tag)
    rows = [
        {
            "version": card.version,
            "tags": ", ".join(named.get(card.version, ())),
            "committed": str(card.committed_at),
            "change": card.change,
            "slides": card.n_slides,
        }
        for card in reversed(history(index.location))
    ]
    frame = pd.DataFrame(rows)
    st.dataframe(
        frame if named else frame.drop(columns="tags"), hide_index=True, alt="Versions of the index with their tags"
    )
    st.caption(f"Open an earlier one with `histoseek serve --db INDEX@{rows[-1]['version']}` or `INDEX@TAG`.")


def show_questions() -> None:
    """The last questions, of the visitor alone where people log in."""
    path = handed_log()
    if path is None:
        st.caption("This server notes no questions.")
        return
    found = last_questions(path, _N_QUESTIONS)
    if login_of() is not None:
        me = visitor()
        found = [entry for entry in found if entry.get("who") == me]
    if not found:
        st.caption("Nothing has been asked yet.")
        return
    st.dataframe(
        pd.DataFrame([_row(entry) for entry in found]),
        hide_index=True,
        column_config={"ms": st.column_config.NumberColumn("ms", format="%.0f")},
        alt="The last questions, the newest first",
    )
    st.caption("Questions of the screens and of the API; one that was answered before is answered from memory.")


def _row(entry: dict[str, Any]) -> dict[str, object]:
    asked = entry.get("asked")
    told = {key: value for key, value in asked.items() if value is not None} if isinstance(asked, dict) else asked
    text = json.dumps(told, default=str)
    return {
        "time": entry.get("time"),
        "who": entry.get("who"),
        "verb": entry.get("verb"),
        "asked": text if len(text) <= _LONGEST else f"{text[:_LONGEST]}...",
        "hits": entry.get("n_hits"),
        "ms": entry.get("ms"),
        "status": entry.get("status"),
    }
