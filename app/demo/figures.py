"""The demo's maps and charts: from answers to what is drawn."""

from typing import TYPE_CHECKING

import numpy as np

from app.demo.choice import Choice
from app.figures.bars import Bars, draw_bars
from app.figures.pictures import decoded
from app.figures.slide_map import SlideMap
from app.figures.style import foot, new_figure, style, titled
from app.tables.analyses import prediction_said
from app.tables.composition import composition_said
from app.tables.hits import index_provenance, is_generated
from app.tables.view import p_text
from search.cells.composition import Composition
from search.engine import Engine
from search.expression.prediction import Prediction
from search.groups.cohorts import Cohorts
from search.retrieval.similarity import SimilarityMap

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_GROUPS = 10
_SPOT_UM = 100.0  # drawn where items have no size of their own


def map_of(
    engine: Engine, found: SimilarityMap, *, title: str, subtitle: str, mark: str | None = None, mark_name: str = ""
) -> SlideMap:
    """A similarity map over its slide's thumbnail; spots only where there are spots, so that circles do not overlap."""
    table = found.table.to_pandas()
    spots = table[table["kind"] == "spot"]
    table = spots if len(spots) else table
    (slide,) = (row for row in engine.index.slides().to_pylist() if row["slide"] == found.slide)
    row = engine.catalogue.row_of(table["id"].iloc[0])
    return SlideMap(
        title=title,
        subtitle=subtitle,
        value_name="cosine",
        xy_px=table[["x_px", "y_px"]].to_numpy(dtype=np.float64),
        values=table["score"].to_numpy(dtype=np.float64),
        mpp=slide["mpp"],
        item_um=engine.catalogue.value(row, "spot_um") or _SPOT_UM,
        thumbnail=None if slide["thumbnail"] is None else decoded(slide["thumbnail"]),
        thumbnail_scale=slide["thumbnail_scale"] or 1.0,
        mark_px=None if mark is None else _centre(engine, mark),
        mark_name=mark_name,
        provenance=index_provenance(engine),
        generated=slide["generated"],
    )


def _centre(engine: Engine, item: str) -> tuple[float, float]:
    row = engine.catalogue.row_of(item)
    return engine.catalogue.value(row, "x_px"), engine.catalogue.value(row, "y_px")


def cohorts_bars(found: Cohorts, title: str, engine: Engine) -> Bars:
    """Share of the hits in each group, with the share by chance."""
    order = [("hit_fraction", "descending"), ("base_fraction", "descending")]
    rows = found.table.sort_by(order).slice(0, _MOST_GROUPS).to_pylist()
    return Bars(
        title=title,
        subtitle=f"{found.n_hits:,} hits that have one; {found.test}",
        value_name="share of the hits",
        labels=[row["group"] for row in rows],
        values=[row["hit_fraction"] for row in rows],
        marks=[row["base_fraction"] for row in rows],
        mark_name="share by chance",
        notes=[
            f"{_tested(row['p_value'])}, {row['patients_hit']} of {row['patients_in_index']} patients" for row in rows
        ],
        provenance=index_provenance(engine),
        generated=is_generated(engine),
    )


def _tested(p_value: float | None) -> str:
    return "not tested" if p_value is None else f"p {p_text(p_value)}"


def predicted_bars(found: Prediction, item: str, engine: Engine) -> Bars:
    """Predicted genes with their spread, and the measured values where there are some."""
    rows = found.table.to_pylist()
    return Bars(
        title="Predicted expression",
        subtitle=f"{item}, from its picture. {prediction_said(found)[1]}",
        value_name="log(1 + counts per 10,000)",
        labels=[row["gene"] for row in rows],
        values=[row["predicted"] for row in rows],
        spreads=[row["sd"] or 0.0 for row in rows],
        marks=[row["measured"] for row in rows],
        mark_name="measured",
        provenance=index_provenance(engine),
        generated=is_generated(engine),
    )


def composition_bars(found: Composition, title: str) -> Bars:
    """Shares of the cell types."""
    rows = found.table.to_pylist()
    return Bars(
        title=title,
        subtitle=composition_said(found),
        value_name=f"share of the {'cells' if found.of == 'cells' else 'RNA'}",
        labels=[row["type"] for row in rows],
        values=[row["proportion"] for row in rows],
        spreads=[row["sd"] for row in rows],
    )


def cell_types_figure(spot: Composition, tile: Composition, choice: Choice, engine: Engine) -> "Figure":
    """Two compositions side by side."""
    n_rows = max(len(spot), len(tile))
    width, height = 11.0, 2.0 + 0.27 * n_rows
    with style():
        figure = new_figure(width, height)
        generated = is_generated(engine)
        titled(figure, "Cell types", "Non-negative least squares on the index's labelled cells", generated=generated)
        for left, found, title in ((0.13, spot, f"Spot {choice.spot}"), (0.62, tile, f"Tile {choice.tile}")):
            bars = composition_bars(found, title)
            axes = figure.add_axes((left, 0.95 / height, 0.34, 0.27 * n_rows / height))
            draw_bars(axes, bars)
            axes.set_title(f"{bars.title}\n{bars.subtitle}", loc="left", fontsize=7.5, pad=6)
        foot(figure, index_provenance(engine))
    return figure
