"""Plotly charts of analyses: predicted genes, cell types, cohorts. Values come from `search`; nothing is computed."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from app.figures.class_colours import text_on
from app.maps import CHOSEN_COLOUR
from app.tables.view import p_text
from search.expression.slide_prediction import SlidePrediction

_ROW_PX = 24
#: Seen on a light page and on a dark one: at least 3 to 1 against either (WCAG 2.2, 1.4.11).
BAR, FAINT_BAR, LINE = "#14907f", "#6b7683", "#7b8794"
#: Round areas of any colour, some of which are too light for a light page.
OUTLINE = {"color": FAINT_BAR, "width": 1}


def gene_bars(table: pd.DataFrame, predictable: Sequence[bool], *, x_title: str, ink: str) -> go.Figure:
    """Predicted value of each gene with its spread, the measured value beside it where it is known.

    Parameters
    ----------
    table : DataFrame
        Columns of `search.expression.prediction.Prediction`, in the order to be drawn, top first.
    predictable : sequence of bool
        Whether each gene is predicted better than chance on other patients; the others are grey.
    x_title : str
        What the values are.
    ink : str
        Colour of what is drawn over the bars, `#RRGGBB`: that of the text of the page.
    """
    figure = go.Figure()
    told = ["r not measured" if pd.isna(r) else f"r = {r:.2f} on other patients" for r in table["r"]]
    figure.add_trace(
        go.Bar(
            y=table["gene"],
            x=table["predicted"],
            orientation="h",
            name="predicted",
            marker_color=[BAR if sure else FAINT_BAR for sure in predictable],
            customdata=told,
            error_x={"type": "data", "array": table["sd"], "thickness": 1.2, "width": 3, "color": ink},
            hovertemplate="%{y}: %{x:.2f} ± %{error_x.array:.2f}<br>%{customdata}<extra>predicted</extra>",
        )
    )
    figure.add_trace(
        go.Scatter(
            y=table["gene"],
            x=table["index_mean"],
            mode="markers",
            name="mean of the index",
            marker={"symbol": "line-ns", "size": 12, "line": {"width": 2, "color": ink}},
            hovertemplate="%{y}: %{x:.2f}<extra>mean of the index</extra>",
        )
    )
    if table["measured"].notna().any():
        figure.add_trace(
            go.Scatter(
                y=table["gene"],
                x=table["measured"],
                mode="markers",
                name="measured here",
                marker={"symbol": "diamond", "size": 9, "color": CHOSEN_COLOUR},
                hovertemplate="%{y}: %{x:.2f}<extra>measured</extra>",
            )
        )
    _horizontal(figure, n_rows=len(table), x_title=x_title)
    figure.update_yaxes(
        tickmode="array",
        tickvals=list(table["gene"]),
        ticktext=[gene if sure else f"{gene} ?" for gene, sure in zip(table["gene"], predictable, strict=True)],
    )
    return figure


def measured_beside_predicted(found: SlidePrediction) -> go.Figure:
    """Each place of a slide: its measured value of the first gene against the predicted one, and where they agree."""
    measured, predicted = found.measured[:, 0], found.predicted[:, 0]
    seen = np.isfinite(measured) & np.isfinite(predicted)
    highest = float(max(measured[seen].max(), predicted[seen].max(), 0.1))
    figure = go.Figure()
    figure.add_trace(
        go.Scatter(
            x=[0, highest], y=[0, highest], mode="lines", name="equal", line={"dash": "dot", "color": LINE},
            hoverinfo="skip",
        )
    )  # fmt: skip
    figure.add_trace(
        go.Scatter(
            x=measured[seen],
            y=predicted[seen],
            mode="markers",
            name="places",
            customdata=found.table.column("id").to_pandas()[seen],
            marker={"size": 6, "color": BAR, "opacity": 0.85},
            hovertemplate="%{customdata}<br>measured %{x:.2f}, predicted %{y:.2f}<extra></extra>",
        )
    )
    figure.update_layout(height=340, margin={"l": 0, "r": 12, "t": 12, "b": 40}, showlegend=False)
    figure.update_xaxes(title=f"{found.genes[0]} measured, log(1 + CP10k)")
    figure.update_yaxes(title="predicted")
    return figure


def composition_bars(parts: Mapping[str, pd.Series], colours: Mapping[str, str], *, of: str) -> go.Figure:
    """Stacked bars, one for each entry: shares of cell types that add up to 1.

    Parameters
    ----------
    parts : mapping of str to Series
        Name of the bar -> shares indexed by cell type. The order of the first decides that of all.
    colours : mapping
        `#RRGGBB` of each type.
    of : str
        What they are shares of.
    """
    names = list(parts)
    order = list(parts[names[0]].sort_values(ascending=False).index)
    figure = go.Figure()
    for cell_type in order:
        shares = [float(parts[name].get(cell_type, 0.0)) for name in names]
        figure.add_trace(
            go.Bar(
                y=names,
                x=shares,
                orientation="h",
                name=cell_type,
                marker={"color": colours[cell_type], "line": OUTLINE},
                text=[f"{100 * share:.0f}%" if share >= 0.07 else "" for share in shares],
                insidetextanchor="middle",
                insidetextfont_color=text_on(colours[cell_type]),
                hovertemplate="%{y}, " + cell_type + ": %{x:.1%}<extra></extra>",
            )
        )
    figure.update_layout(barmode="stack")
    _horizontal(figure, n_rows=len(names), x_title=f"share of {of}", row_px=64, extra_px=140)
    figure.update_xaxes(range=[0, 1], tickformat=".0%")
    return figure


def enrichment_bars(table: pd.DataFrame) -> go.Figure:
    """Share of each group among the hits, its share of the index beside it, p and FDR at the end.

    Parameters
    ----------
    table : DataFrame
        Columns of `search.groups.cohorts.Cohorts`, in the order to be drawn, top first.
    """
    figure = go.Figure(
        go.Bar(
            y=table["group"],
            x=table["hit_fraction"],
            orientation="h",
            name="among the hits",
            marker_color=[BAR if rate < 0.05 else FAINT_BAR for rate in table["fdr"].astype(float)],
            hovertemplate="%{y}: %{x:.1%} of the hits<extra></extra>",
        )
    )
    figure.add_trace(
        go.Scatter(
            y=table["group"],
            x=table["base_fraction"],
            mode="markers",
            name="in the index",
            marker={"symbol": "line-ns", "size": 18, "line": {"width": 2.5, "color": CHOSEN_COLOUR}},
            hovertemplate="%{y}: %{x:.1%} of the items that might have been hits<extra></extra>",
        )
    )
    figure.add_trace(
        go.Scatter(
            y=table["group"],
            x=table[["hit_fraction", "base_fraction"]].max(axis=1),
            mode="text",
            text=[f"  {_enrichment_text(row)}" for row in table.to_dict("records")],
            textposition="middle right",
            showlegend=False,
            hoverinfo="skip",
        )
    )
    _horizontal(figure, n_rows=len(table), x_title="share", row_px=34)
    highest = float(table[["hit_fraction", "base_fraction"]].to_numpy().max()) if len(table) else 1.0
    step = 0.25 if highest > 0.5 else 0.1 if highest > 0.2 else 0.05
    ticks = np.arange(0, highest + step / 2, step)
    figure.update_xaxes(
        range=[0, (2.2 if table["p_value"].notna().any() else 1.5) * highest], tickformat=".0%", tickvals=ticks
    )
    return figure


def _enrichment_text(row: Mapping[Any, Any]) -> str:
    text = f"{row['enrichment']:.1f} x"
    if row["patients_in_index"] > 1:
        text += f", {row['patients_hit']} of {row['patients_in_index']} patients"
    if pd.notna(row["p_value"]):
        text += f", p {p_text(row['p_value'])}, FDR {p_text(row['fdr'])}"
    return text


def class_bars(counts: "pd.Series[int]", colours: Mapping[str, str]) -> go.Figure:
    """Number of items of each class, in its colour.

    Parameters
    ----------
    counts : Series
        By class, in the order to be drawn, top first.
    colours : mapping
        `#RRGGBB` of each class.
    """
    figure = go.Figure(
        go.Bar(
            y=list(counts.index),
            x=counts.to_numpy(),
            orientation="h",
            marker={"color": [colours[name] for name in counts.index], "line": OUTLINE},
            text=[f"{count:,}" for count in counts],
            textposition="outside",
            cliponaxis=False,
            hovertemplate="%{y}: %{x:,}<extra></extra>",
        )
    )
    _horizontal(figure, n_rows=len(counts), x_title="items")
    return figure


def _horizontal(figure: go.Figure, *, n_rows: int, x_title: str, row_px: int = _ROW_PX, extra_px: int = 90) -> None:
    legend: dict[str, Any] = {"orientation": "h", "yanchor": "bottom", "y": 1.0, "x": 0, "traceorder": "normal"}
    figure.update_layout(
        height=extra_px + row_px * n_rows,
        margin={"l": 0, "r": 28, "t": 30, "b": 40},
        bargap=0.32,
        legend=legend,
        xaxis_title=x_title,
    )
    figure.update_yaxes(autorange="reversed", ticksuffix="  ", type="category")
