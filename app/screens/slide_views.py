"""What an answer looks like over the whole slide: a gene measured and predicted, the mix of cell types."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from app.figures.composition import composition_figure
from app.figures.style import as_png
from app.screens.chart_view import show_chart
from app.screens.charts import measured_beside_predicted
from app.screens.links import keep, restore, switched
from app.screens.overlay import DOMINANT, By, told, type_colours
from app.screens.session import engine
from app.screens.slide_answers import predicted_places, slide_types


def show_gene_over_slide(slide: str, genes: Sequence[str]) -> None:
    """One of the genes at every place of the slide, measured against predicted, and buttons that put it on the map."""
    if not genes or not _on("gene_over_slide", f"A gene over the whole of {slide}"):
        return
    restore("slide_gene", genes, first=genes[0])
    with st.container(horizontal=True, vertical_alignment="bottom"):
        gene = str(st.selectbox("Gene on the slide", genes, key="slide_gene", width=220))
        _map_button("Predicted, on the map", "predicted", "overlay_gene", gene)
        found = predicted_places(slide, gene)
        if pd.notna(found.measured).any():
            _map_button("Measured, on the map", "gene", "overlay_gene", gene)
    keep("slide_gene", gene, first=genes[0])
    st.caption(told(found))
    if pd.notna(found.measured).any():
        show_chart(
            measured_beside_predicted(found),
            key="gene-scatter",
            alt=f"{gene} measured against predicted at the places of {slide}",
        )
    else:
        st.caption(f"No place of {slide} has counts to hold this against.")


def show_types_over_slide(slide: str) -> None:
    """The cell types of every place of the slide, and buttons that put them on the map."""
    if not _on("types_over_slide", f"Cell types over the whole of {slide}"):
        return
    found = slide_types(slide)
    overall = pd.DataFrame(found.overall())
    with st.container(horizontal=True, vertical_alignment="bottom"):
        shown = str(st.selectbox("On the map", [DOMINANT, *overall["type"]], key="slide_type", width=240))
        _map_button("Show", "types", "overlay_type", shown)
    st.image(
        as_png(composition_figure(found, engine(), kind="pies", colours=type_colours(found.shares.types))),
        width="stretch",
        alt=f"Pies of the cell types at each place of {slide}",
    )
    with st.expander("Shares over the slide, as a table"):
        st.dataframe(
            overall,
            hide_index=True,
            column_config={
                "type": "cell type",
                "mean": st.column_config.NumberColumn("mean share", format="percent"),
                "tenth": st.column_config.NumberColumn("10th percentile", format="percent"),
                "ninetieth": st.column_config.NumberColumn("90th percentile", format="percent"),
                "n_dominant": "places where it is most common",
            },
            alt=f"Shares of cell types over {slide}",
        )


def _on(key: str, label: str) -> bool:
    restore(key, read=switched, first=False)
    on = bool(st.toggle(label, key=key))
    keep(key, on, first=False)
    return on


def _map_button(label: str, by: By, key: str, name: str) -> None:
    st.button(label, icon=":material/layers:", key=f"map-{by}", on_click=_colour_by, args=(by, key, name))


def _colour_by(by: By, key: str, name: str) -> None:
    st.session_state["colour_by"], st.session_state[key] = by, name
