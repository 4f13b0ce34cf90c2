"""The viewer as a Streamlit component: what Python sends to it, and what comes back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import streamlit as st

from app.maps import Classes, PointColours, SlideView, shown_window
from app.viewer.overlays import colours_of
from app.viewer.routes import ARRAYS, BASE

_FRONTEND = Path(__file__).parent / "frontend"
Matrix = tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class Link:
    """Moves a view together with the others of its group.

    Attributes
    ----------
    group : str
        Name of the group.
    matrix : two rows of three
        From level-0 pixels of this slide to those of the frame that the group shares.
    """

    group: str
    matrix: Matrix = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0))


@dataclass(frozen=True, slots=True)
class Region:
    """An outline that the user drew: a GeoJSON geometry in level-0 pixels of a slide."""

    slide: str
    geometry: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Scene:
    """What is seen of a slide.

    Attributes
    ----------
    view : SlideView
        The slide.
    points : DataFrame
        Its items of one kind: columns `id`, `kind`, `x_px`, `y_px`, `side_px`, `spot_um` of `ITEM_METADATA`.
    colours : PointColours or Classes, optional
        One a point; a single colour without them.
    chosen : str, optional
        Id of the item that is outlined, and moved into view when it is another than before.
    jump : bool
        Whether the slide is opened at that item, rather than as a whole.
    outlines : sequence of float (n, 2), optional
        Polygons, level-0 pixels.
    link : Link, optional
        To another view.
    cleared : int
        Another number than before wipes the region that the user drew.
    """

    view: SlideView
    points: pd.DataFrame
    colours: PointColours | Classes | None = None
    chosen: str | None = None
    jump: bool = False
    outlines: Sequence[npt.ArrayLike] | None = None
    link: Link | None = None
    cleared: int = 0


def show_slide(
    scene: Scene,
    *,
    key: str,
    alt: str,
    on_pick: Callable[[str], None] | None = None,
    regions: bool = False,
    height: int = 600,
) -> Region | None:
    """Show a slide with its items; what is not changed by a call stays as the user left it, place and zoom above all.

    Parameters
    ----------
    scene : Scene
        What to show.
    key : str
        Of the component; one a place on the page.
    alt : str
        What is seen, in words.
    on_pick : callable, optional
        Called with the id of an item that was clicked on, before the page is run again.
    regions : bool
        Whether regions may be drawn.
    height : int
        In screen pixels.

    Returns
    -------
    Region or None
        What is drawn on this slide at the moment.
    """
    known = set(scene.points["id"])

    def take() -> None:
        picked = st.session_state[key].get("picked")
        # The browser may send anything: only an item that is shown here counts.
        if on_pick is not None and isinstance(picked, dict) and picked.get("item") in known:
            on_pick(picked["item"])

    data = {**_data(scene), "alt": alt, "height": height, "regions": regions}
    state = _component()(key=key, data=data, on_picked_change=take, on_region_change=lambda: None)
    return _region(state.get("region"), scene.view.slide)


def drawn_region(key: str, slide: str) -> Region | None:
    """What is drawn on a slide in the viewer of that key, before it is shown again."""
    state = st.session_state.get(key)
    return None if state is None else _region(state.get("region"), slide)


def _data(scene: Scene) -> dict[str, Any]:
    """What the browser needs to draw a scene, its numbers put where the browser fetches them."""
    view, points, link = scene.view, scene.points, scene.link
    return {
        "base": BASE,
        "slide": view.slide,
        "size": [view.width_px, view.height_px],
        "mpp": view.mpp,
        "hasPicture": view.thumbnail is not None,
        "home": list(shown_window(view, points)),
        "items": _items(view, points),
        "colours": None if scene.colours is None else colours_of(scene.colours, ARRAYS),
        "chosen": scene.chosen,
        "target": _target(points, scene.chosen, jump=scene.jump),
        "outlines": None if scene.outlines is None else [np.asarray(ring).tolist() for ring in scene.outlines],
        "cleared": scene.cleared,
        "link": None if link is None else {"group": link.group, "matrix": [list(row) for row in link.matrix]},
    }


def _items(view: SlideView, points: pd.DataFrame) -> dict[str, Any]:
    kind = str(points["kind"].iloc[0]) if len(points) else "spot"
    sides = points["side_px"].dropna()
    if kind == "spot" and view.mpp:
        sides = points["spot_um"].dropna() / view.mpp
    return {
        "places": ARRAYS.put(points[["x_px", "y_px"]].to_numpy()),
        "names": ARRAYS.put_text("\n".join(points["id"])),
        "size_px": float(sides.iloc[len(sides) // 2]) if len(sides) else None,  # items of one kind are of one size
        "shape": "square" if kind == "tile" else "circle",
    }


def _target(points: pd.DataFrame, chosen: str | None, *, jump: bool) -> dict[str, Any] | None:
    row = points[points["id"] == chosen]
    if row.empty:
        return None
    x, y, side = (float(row[name].iloc[0]) for name in ("x_px", "y_px", "side_px"))
    return {"id": chosen, "x": x, "y": y, "side_px": side if side > 0 else None, "jump": jump}


def _region(value: Any, slide: str) -> Region | None:
    if not isinstance(value, dict) or value.get("slide") != slide or not isinstance(value.get("geometry"), dict):
        return None
    return Region(slide, value["geometry"])


@cache
def _component() -> Callable[..., Any]:
    return st.components.v2.component(
        "histoseek.viewer",
        html='<div class="hs-viewer"></div>',
        css=(_FRONTEND / "viewer.css").read_text(encoding="utf-8"),
        js=(_FRONTEND / "loader.js").read_text(encoding="utf-8"),
        isolate_styles=False,
    )
