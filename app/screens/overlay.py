"""What the items of a slide are coloured by: chosen in a popover, worked out when the slide is drawn."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import streamlit as st

from app.maps import PointColours
from app.screens.answers import gene_values, panel, similarity
from app.viewer.overlays import Classes
from search.query import Query

By = Literal["nothing", "similarity", "gene", "label"]
#: What an overlay may show -> its name on the screen.
BY: dict[By, str] = {
    "nothing": "Nothing",
    "similarity": "Similarity to the query",
    "gene": "Expression of a gene",
    "label": "Annotation",
}


@dataclass(frozen=True, slots=True)
class Overlay:
    """Colours of the items of a slide.

    Attributes
    ----------
    by : {"nothing", "similarity", "gene", "label"}
        What decides them.
    query : Query or None
        For similarity.
    gene : str or None
        Symbol, for expression.
    """

    by: By
    query: Query | None = None
    gene: str | None = None


def choose_overlay(query: Query | None, points: pd.DataFrame, *, on: bool) -> Overlay:
    """Controls of the colours of some items, in a popover; `on` begins with the similarity to the query."""
    offered: list[By] = ["nothing"]
    offered += ["similarity"] if query is not None else []
    offered += ["gene"] if (points["total_counts"] > 0).any() else []
    offered += ["label"] if points["label"].notna().any() else []
    first: By = "similarity" if on and "similarity" in offered else "nothing"
    if st.session_state.get("colour_by") not in offered:
        st.session_state["colour_by"] = first
    with st.popover("Overlay", icon=":material/layers:"):
        by: By = st.radio("Colour the items by", offered, format_func=lambda one: BY[one], key="colour_by")
        gene = st.selectbox("Gene", panel(), key="overlay_gene") if by == "gene" else None
    return Overlay(by, query, None if gene is None else str(gene))


def colours_on(slide: str, points: pd.DataFrame, overlay: Overlay) -> PointColours | Classes | None:
    """One colour a point as the overlay asks for, `None` for a single one. Raises `HistoSeekError`."""
    if overlay.by == "label":
        labels = points["label"]
        return Classes(tuple(labels.where(labels.notna(), None)), "annotation")
    if overlay.by == "gene" and overlay.gene is not None:
        values = gene_values(overlay.gene, slide).set_index("id")["value"]
        by_point = values.reindex(points["id"]).to_numpy(dtype=np.float64)
        return PointColours(by_point, f"{overlay.gene}, log(1 + CP10k)")
    if overlay.by == "similarity" and overlay.query is not None:
        scores = similarity(overlay.query, slide).set_index("id")["score"]
        by_point = scores.reindex(points["id"]).to_numpy(dtype=np.float64)
        return PointColours(by_point, "similarity")
    return None
