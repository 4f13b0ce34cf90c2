"""Pictures of predicted expression: genes of a query as bars, a gene over its slide beside what was measured."""

from typing import TYPE_CHECKING

import numpy as np

from app.figures.bars import Bars, draw_bars
from app.figures.pictures import decoded
from app.figures.slide_map import SlideMap, draw_map
from app.figures.style import BLUE, INK, MUTED, RULE, SMALL_PT, TEXT_PT, foot, new_figure, style, titled
from app.tables.analyses import prediction_said, unpredictable_said
from app.tables.hits import index_provenance, is_generated
from search.engine import Engine
from search.expression.prediction import Prediction
from search.expression.slide_prediction import SlidePrediction
from search.expression.temperature import columnwise_r

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_UNIT = "log(1 + counts per 10,000)"
_BARS_IN, _SCATTER_IN, _ROW_IN, _HEAD_IN, _FOOT_IN = 6.2, 3.2, 0.27, 0.85, 1.25
_MAP_IN, _ROOM_IN = 3.9, 0.75
_SPOT_UM = 100.0  # drawn where places have no size of their own
_FEWEST = 3
MOST_MAPS = 3  # genes of one picture


def prediction_figure(found: Prediction, engine: Engine, *, asked: str) -> "Figure":
    """Bars with intervals, unpredictable genes in grey; predicted against measured where there are counts."""
    rows = found.table.to_pylist()
    predictable = found.predictable()
    faint = [place for place, told in enumerate(predictable) if not told]
    measured = [(row["predicted"], row["measured"], told) for row, told in zip(rows, predictable, strict=True)]
    measured = [point for point in measured if point[1] is not None]
    has_points = len(measured) >= _FEWEST
    height = max(_HEAD_IN + _FOOT_IN + _ROW_IN * len(rows), 4.2)
    width = _BARS_IN + (_SCATTER_IN if has_points else 0.0)
    with style():
        figure = new_figure(width, height)
        said = [prediction_said(found)[1], *unpredictable_said(len(faint))]
        titled(figure, f"Predicted expression of {asked}", " ".join(said), generated=is_generated(engine))
        down = 1 - (_HEAD_IN + _FOOT_IN) / height
        axes = figure.add_axes((1.5 / width, _FOOT_IN / height, (_BARS_IN - 2.5) / width, down))
        draw_bars(axes, _bars(found, faint))
        if has_points:
            side = min(_SCATTER_IN - 0.9, down * height)
            place = ((_BARS_IN + 0.6) / width, 1 - (_HEAD_IN + side) / height, side / width, side / height)
            _draw_points(figure.add_axes(place), measured)
        foot(figure, index_provenance(engine))
    return figure


def _bars(found: Prediction, faint: list[int]) -> Bars:
    rows = found.table.to_pylist()
    with_intervals = found.coverage is not None
    return Bars(
        title="",
        subtitle="",
        value_name=f"{_UNIT}{f', {found.coverage:.0%} intervals' if with_intervals else ''}",
        labels=[row["gene"] for row in rows],
        values=[row["predicted"] for row in rows],
        spreads=[] if with_intervals else [row["sd"] or 0.0 for row in rows],
        intervals=[(row["low"], row["high"]) for row in rows] if with_intervals else (),
        faint=faint,
        marks=[row["measured"] for row in rows],
        mark_name="measured",
        notes=["" if row["r"] is None else f"r {row['r']:.2f}" for row in rows],
    )


def _draw_points(axes: "Axes", points: list[tuple[float, float, bool]]) -> None:
    predicted, measured = (np.array([point[side] for point in points]) for side in (0, 1))
    r = float(columnwise_r(predicted[:, None], measured[:, None])[0])
    most = 1.05 * float(max(predicted.max(), measured.max(), 1e-6))
    axes.plot([0, most], [0, most], color=RULE, linewidth=0.8, zorder=1)
    colours = [BLUE if point[2] else RULE for point in points]
    axes.scatter(predicted, measured, s=16, color=colours, edgecolors=INK, linewidths=0.4, zorder=2)
    axes.set(xlim=(0, most), ylim=(0, most), aspect="equal")
    axes.set_xlabel("predicted", fontsize=TEXT_PT)
    axes.set_ylabel("measured", fontsize=TEXT_PT)
    axes.set_title(f"over these genes, r {r:.2f}", fontsize=TEXT_PT, loc="left", color=MUTED)
    axes.tick_params(labelsize=SMALL_PT)


def maps_figure(found: SlidePrediction, engine: Engine, genes: list[str] | None = None) -> "Figure":
    """Draw up to three genes over the slide: measured where it has counts, beside predicted, with their correlation.

    Without names, the genes best predicted on other patients.
    """
    named = [found.genes.index(gene) for gene in genes or () if gene in found.genes]
    best = np.argsort(-np.nan_to_num(found.r, nan=-2.0), kind="stable").tolist()
    chosen = (named or best)[:MOST_MAPS]
    seen = np.isfinite(found.measured).all(axis=1)
    columns = 2 if seen.any() else 1
    down = _MAP_IN * _aspect(found)
    width, height = columns * (_MAP_IN + _ROOM_IN) + 0.3, _HEAD_IN + len(chosen) * (down + 0.4) + 0.5
    with style():
        figure = new_figure(width, height)
        titled(figure, f"Predicted expression of {found.slide}", _said(found), generated=is_generated(engine))
        for place, gene in enumerate(chosen):
            bottom = height - _HEAD_IN - (place + 1) * (down + 0.4) + 0.1
            for column in range(columns):
                left = 0.25 + column * (_MAP_IN + _ROOM_IN)
                axes = figure.add_axes((left / width, bottom / height, _MAP_IN / width, down / height))
                bar = figure.add_axes(
                    ((left + _MAP_IN + 0.08) / width, (bottom + 0.2 * down) / height, 0.1 / width, 0.6 * down / height)
                )
                measured = columns == 2 and column == 0
                shown = found.measured if measured else found.predicted
                draw_map(axes, _map_of(found, engine, shown[:, gene], seen if columns == 2 else None), colour_bar=bar)
                axes.set_title(_heading(found, gene, measured=measured), fontsize=TEXT_PT, loc="left")
        foot(figure, index_provenance(engine))
    return figure


def _aspect(found: SlidePrediction) -> float:
    """Height of the places over their width, within what a page takes."""
    spans = [max(float(np.ptp(found.table.column(name).to_numpy())), 1.0) for name in ("x_px", "y_px")]
    return min(max(spans[1] / spans[0], 0.4), 1.6)


def _heading(found: SlidePrediction, gene: int, *, measured: bool) -> str:
    if measured:
        return f"{found.genes[gene]}, measured"
    told = [f"r {found.r_here[gene]:.2f} here"] if np.isfinite(found.r_here[gene]) else []
    told += [f"r {found.r[gene]:.2f} on other patients"] if np.isfinite(found.r[gene]) else []
    marked = "" if found.predictable()[gene] else " (no better than chance)"
    return ", ".join([f"{found.genes[gene]}, predicted", *told]) + marked


def _said(found: SlidePrediction) -> str:
    left = f"patient {', '.join(found.excluded_patients)} left out" if found.excluded_patients else "slide left out"
    return f"From the {found.modality} of each place, {found.mode}, {left}; {_UNIT}."


def _map_of(
    found: SlidePrediction, engine: Engine, values: np.ndarray[tuple[int, ...], np.dtype[np.float32]], seen: object
) -> SlideMap:
    """The places that are drawn: those with counts where measured and predicted stand side by side."""
    (slide,) = (row for row in engine.index.slides().to_pylist() if row["slide"] == found.slide)
    xy = np.column_stack([found.table.column(name).to_numpy() for name in ("x_px", "y_px")]).astype(np.float64)
    kinds = np.array(found.table.column("kind").to_pylist())
    kept = seen if isinstance(seen, np.ndarray) else np.ones(len(xy), dtype=np.bool_)
    first = engine.catalogue.row_of(found.table.column("id")[int(np.flatnonzero(kept)[0])].as_py())
    side = "spot_um" if kinds[kept][0] == "spot" else "side_um"
    return SlideMap(
        title="",
        subtitle="",
        value_name="",
        xy_px=xy[kept],
        values=np.asarray(values[kept], dtype=np.float64),
        mpp=slide["mpp"] or 1.0,
        item_um=engine.catalogue.value(first, side) or _SPOT_UM,
        thumbnail=None if slide["thumbnail"] is None else decoded(slide["thumbnail"]),
        thumbnail_scale=slide["thumbnail_scale"] or 1.0,
        generated=slide["generated"],
    )
