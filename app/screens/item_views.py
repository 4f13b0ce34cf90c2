"""Answers about one query besides its hits: predicted genes, cell types, nearest cohorts."""

import streamlit as st

from app.screens.question import Terms
from search.query import Query

_GROUPS = ("patient", "cohort", "organ", "diagnosis", "label")
_DEFAULT_GENES = 20


def show_predicted_genes(query: Query, terms: Terms) -> None:
    """Bars of the genes that stand out, or of those the user names."""
    st.info("to come")


def show_cell_types(query: Query) -> None:
    """Stacked bars of cell-type shares; without a reference, how to give one."""
    st.info("to come")


def show_cohorts(query: Query, terms: Terms) -> None:
    """Groups over-represented among the hits, with p and FDR."""
    st.info("to come")
