"""The gene list of a question: typed, added to from the panel, weighed in a table, or taken from a set or a table."""

import hashlib
from typing import Any

import pandas as pd
import streamlit as st

from app.screens.answers import gene_aliases, panel
from app.screens.gene_sources import choose_source
from app.screens.links import keep, restore
from encoders.errors import GeneQueryError
from encoders.gene_lists import WeightedGenes

EXAMPLE = "ERBB2:2 KRT19 -VIM"
_MOST_ALIASES = 4  # of a symbol, in the list


def choose_genes() -> str:
    """The gene list as text; empty without one."""
    restore("genes")
    typed, picked, weighed = st.columns([6, 4, 2], gap="small", vertical_alignment="bottom")
    with typed:
        text = st.text_input(
            "Genes", key="genes", placeholder=EXAMPLE,
            help="SYMBOL or SYMBOL:WEIGHT, separated by spaces or commas; -SYMBOL asks for low expression. Aliases "
            "and old symbols are read as the current ones.",
        )  # fmt: skip
    genes = str(text).strip()
    keep("genes", genes)
    aliases = gene_aliases()
    with picked:
        st.multiselect(
            "Add from the panel",
            panel(),
            format_func=lambda symbol: _with_aliases(symbol, aliases),
            key="genes_picked",
            on_change=_add_picked,
            placeholder="Symbol or alias, such as HER2",
            select_all=False,
        )
    with weighed, st.popover("Weights", icon=":material/balance:", disabled=not genes, width="stretch"):
        _weigh(genes)
    choose_source()
    return genes


def _with_aliases(symbol: str, aliases: dict[str, tuple[str, ...]]) -> str:
    others = aliases.get(symbol)
    return f"{symbol} ({', '.join(others[:_MOST_ALIASES])})" if others else symbol


def _add_picked() -> None:
    added = " ".join(st.session_state["genes_picked"])
    st.session_state["genes"] = f"{st.session_state.get('genes', '')} {added}".strip()
    st.session_state["genes_picked"] = []


def _weigh(text: str) -> None:
    """The list as a table; what is changed in it is changed in the text."""
    try:
        genes = WeightedGenes.parse(text)
    except GeneQueryError as error:
        st.caption(f"{error} Mend the text first." if text else "Type a gene first.")
        return
    table = pd.DataFrame({"gene": genes.symbols, "weight": genes.weights})
    key = f"weights-{hashlib.sha256(text.encode()).hexdigest()[:12]}"  # another text, another table
    st.data_editor(
        table,
        key=key,
        num_rows="dynamic",
        hide_index=True,
        on_change=_take_weights,
        args=(key, table),
        column_config={
            "gene": st.column_config.TextColumn("gene", required=True),
            "weight": st.column_config.NumberColumn("weight", default=1.0, format="%.2f", required=True),
        },
        alt="Genes and their weights",
    )
    st.caption("A negative weight asks for low expression. Rows can be added and deleted.")


def _take_weights(key: str, before: pd.DataFrame) -> None:
    st.session_state["genes"] = edited_text(before, st.session_state[key])


def edited_text(before: pd.DataFrame, edits: dict[str, Any]) -> str:
    """The gene list after an edit of its table: rows changed, added and deleted, as Streamlit tells them."""
    rows: list[dict[str, Any]] = [
        {"gene": gene, "weight": weight, **edits["edited_rows"].get(number, {})}
        for number, (gene, weight) in enumerate(zip(before["gene"], before["weight"], strict=True))
        if number not in edits["deleted_rows"]
    ]
    rows += [{"weight": 1.0, **row} for row in edits["added_rows"]]
    kept = [(str(row.get("gene") or "").strip(), row.get("weight")) for row in rows]
    return " ".join(f"{gene}:{weight:g}" if weight != 1 else gene for gene, weight in kept if gene and weight)
