"""Answers about one query besides its hits: predicted genes, cell types, nearest cohorts."""

import streamlit as st

from app.screens.answers import cohorts, compositions, panel, prediction
from app.screens.chart_view import ink, show_chart
from app.screens.charts import composition_bars, enrichment_bars, gene_bars
from app.screens.links import keep, restore, several
from app.screens.notes import show_notes
from app.screens.overlay import SHARED, type_colours
from app.screens.question import Terms
from app.screens.slide_views import show_gene_over_slide, show_types_over_slide
from app.tables.analyses import prediction_said, unpredictable_said
from encoders.contracts import Modality
from search.groups.cohorts import BY
from search.query import Query

_MOST_GROUPS = 12
_SOURCES = {"counts": "from its own counts", "hits": "from its hits"}


def show_predicted_genes(query: Query, terms: Terms) -> None:
    """Bars of the genes that stand out most, or of those the user names, beside the measured values."""
    restore("predicted_genes", read=several)
    known = frozenset(panel())
    if asked := st.session_state.get("predicted_genes"):
        st.session_state["predicted_genes"] = [gene for gene in asked if gene in known]
    genes = st.multiselect(
        "Genes", panel(), key="predicted_genes", placeholder="Those furthest above their mean over the index"
    )
    keep("predicted_genes", genes)
    answer = prediction(query, genes=tuple(genes), where=terms.where, exclude=terms.exclude)
    show_notes(answer.notes)
    predictable = answer.predictable()
    show_chart(
        gene_bars(answer.to_pandas(), predictable, x_title="expression, log(1 + counts per 10,000)", ink=ink()),
        key="genes-chart",
        alt="Predicted expression of genes with its spread",
    )
    said = [*prediction_said(answer), "Whiskers: the standard deviation of the neighbours."]
    if answer.r_chance is not None:
        said.append(f"Chance reaches r = {answer.r_chance:.2f} one time in twenty.")
    st.caption(" ".join([*said, *unpredictable_said(len(predictable) - sum(predictable))]))
    with st.expander("Values, intervals and r, as a table"):
        st.dataframe(
            answer.to_pandas(),
            hide_index=True,
            column_config={
                name: st.column_config.NumberColumn(label, format="%.2f")
                for name, label in {
                    "predicted": "predicted", "sd": "sd", "low": "from (90 %)", "high": "to (90 %)",
                    "r": "r on others", "index_mean": "index mean", "measured": "measured",
                }.items()
            },
            alt="Predicted expression as a table",
        )  # fmt: skip
    show_gene_over_slide(str(st.session_state["slide"]), answer.table.column("gene").to_pylist())


def show_cell_types(query: Query, terms: Terms) -> None:
    """Stacked bars of cell-type shares; without a reference, an error says how to give one."""
    answers = compositions(query, where=terms.where, exclude=terms.exclude)
    tables = {_SOURCES[answer.source]: answer.to_pandas().set_index("type") for answer in answers}
    types = tuple(dict.fromkeys(name for table in tables.values() for name in table.index))
    show_chart(
        composition_bars(
            {source: table["proportion"] for source, table in tables.items()},
            type_colours(types),
            of=SHARED[answers[0].of],
        ),
        key="types-chart",
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
    show_types_over_slide(str(st.session_state["slide"]))


def show_cohorts(query: Query, terms: Terms, *, target: Modality = "expression") -> None:
    """Groups over-represented among the nearest items, counted over patients, with p and FDR."""
    restore("by", BY, first="patient")
    by = st.segmented_control("Group by", BY, key="by", required=True) or BY[0]
    keep("by", by, first="patient")
    answer = cohorts(query, by=by, target=target, where=terms.where, exclude=terms.exclude)
    show_notes(answer.notes)
    table = answer.to_pandas()
    show_chart(
        enrichment_bars(table.head(_MOST_GROUPS)),
        key="cohorts-chart",
        alt=f"Share of each {answer.by} among the nearest items, beside its share of the index",
    )
    more = f" The other {len(table) - _MOST_GROUPS:,} are in the table." if len(table) > _MOST_GROUPS else ""
    st.caption(
        f"{answer.n_hits:,} nearest of {answer.n_eligible:,} items."
        + (f" Test: {answer.test}. Solid bars: false-discovery rate below .05." if answer.test != "none" else "")
        + more
    )
    with st.expander("As a table, with the patients behind each bar"):
        st.dataframe(
            table,
            hide_index=True,
            column_config={
                "group": answer.by,
                "n_hits": "hits",
                "hit_fraction": st.column_config.NumberColumn("of the hits", format="percent"),
                "base_fraction": st.column_config.NumberColumn("of the index", format="percent"),
                "enrichment": st.column_config.NumberColumn("enrichment", format="%.2f"),
                "patients_hit": "patients hit",
                "patients_in_index": "patients in the index",
                "p_value": st.column_config.NumberColumn("p", format="%.2g"),
                "fdr": st.column_config.NumberColumn("FDR", format="%.2g"),
                "patients": st.column_config.TextColumn("hits of each patient", width="large"),
            },
            alt="Groups among the nearest items, with their patients",
        )
