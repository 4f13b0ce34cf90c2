"""Answers about one query besides its hits: predicted genes, cell types, nearest cohorts."""

import streamlit as st

from app.screens.answers import cohorts, compositions, panel, prediction
from app.screens.charts import composition_bars, enrichment_bars, gene_bars
from app.screens.notes import show_notes
from app.screens.question import Terms
from encoders.contracts import Modality
from search.groups.cohorts import BY
from search.query import Query

_MOST_GROUPS = 12
_SOURCES = {"counts": "from its own counts", "hits": "from its hits"}


def show_predicted_genes(query: Query, terms: Terms) -> None:
    """Bars of the genes that stand out most, or of those the user names, beside the measured values."""
    genes = st.multiselect(
        "Genes", panel(), key="predicted_genes", placeholder="Those furthest above their mean over the index"
    )
    answer = prediction(query, genes=tuple(genes), where=terms.where, exclude=terms.exclude)
    show_notes(answer.notes)
    st.plotly_chart(
        gene_bars(answer.to_pandas(), x_title="expression, log(1 + counts per 10,000)"),
        key="genes-chart",
        config={"displayModeBar": False},
        alt="Predicted expression of genes with its spread",
    )
    st.caption(
        f"Similarity-weighted mean of {answer.n_neighbours} neighbours with counts, worth "
        f"{answer.n_effective:.1f} equally weighted ones; whiskers: their standard deviation."
    )


def show_cell_types(query: Query, terms: Terms) -> None:
    """Stacked bars of cell-type shares; without a reference, an error says how to give one."""
    answers = compositions(query, where=terms.where, exclude=terms.exclude)
    tables = {_SOURCES[answer.source]: answer.to_pandas().set_index("type") for answer in answers}
    st.plotly_chart(
        composition_bars({source: table["proportion"] for source, table in tables.items()}),
        key="types-chart",
        config={"displayModeBar": False},
        alt="Shares of cell types",
    )
    for answer, (source, table) in zip(answers, tables.items(), strict=True):
        st.caption(
            f"**{source.capitalize()}**: {answer.n_markers} marker genes; the fitted and the observed profile agree "
            f"with r = {answer.fit:.2f}. {' '.join(answer.notes)}"
        )
        with st.expander(f"Shares {source}, as a table"):
            st.dataframe(
                table,
                column_config={
                    "type": "cell type",
                    "proportion": st.column_config.NumberColumn("share", format="percent"),
                    "sd": st.column_config.NumberColumn("sd", format="percent"),
                    "low": st.column_config.NumberColumn("from (90 %)", format="percent"),
                    "high": st.column_config.NumberColumn("to (90 %)", format="percent"),
                    "n_cells": "cells in the reference",
                },
                alt=f"Shares of cell types {source}",
            )


def show_cohorts(query: Query, terms: Terms, *, target: Modality = "expression") -> None:
    """Groups over-represented among the nearest items, counted over patients, with p and FDR."""
    by = st.segmented_control("Group by", BY, default="patient", key="by", required=True)
    answer = cohorts(query, by=by, target=target, where=terms.where, exclude=terms.exclude)
    show_notes(answer.notes)
    table = answer.to_pandas()
    st.plotly_chart(
        enrichment_bars(table.head(_MOST_GROUPS)),
        key="cohorts-chart",
        config={"displayModeBar": False},
        alt=f"Share of each {answer.by} among the nearest items, beside its share of the index",
    )
    st.caption(
        f"{answer.n_hits:,} nearest of {answer.n_eligible:,} items."
        + (f" Test: {answer.test}. Solid bars: false-discovery rate below .05." if answer.test != "none" else "")
    )
    with st.expander("As a table"):
        st.dataframe(table, hide_index=True, alt="Groups among the nearest items")
