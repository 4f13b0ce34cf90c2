"""Slides and their items as controls: the slide list, and the items of one slide."""

import numpy as np
import pandas as pd
import streamlit as st

from app.screens.links import keep, restore
from app.screens.session import items_of, slides

#: Kinds that can be picked on a slide, the one shown first before the others.
KINDS = ("spot", "cell", "tile", "transcriptome")


def choose_slide(*, with_image_first: bool = True) -> str:
    """Let the user pick a slide; those with an image come first."""
    table = slides()
    order = pictured_first() if with_image_first else list(table.index)
    restore("slide", order)
    titles = dict(zip(table.index, table["title"], strict=True))  # looked up for each slide of the list
    slide = str(st.selectbox("Slide", order, format_func=titles.__getitem__, key="slide"))
    keep("slide", slide)
    return slide


def pictured_first() -> list[str]:
    """Names of the slides, those with an image before the others."""
    table = slides()
    pictured = table["pictured"]
    return list(table.index[pictured]) + list(table.index[~pictured])


def items_on(slide: str, kind: str | None = None) -> pd.DataFrame:
    """Items of a slide that can be asked with, in row order; those of one kind if it is named."""
    table = items_of(slide)
    return table[table["kind"].isin(KINDS if kind is None else (kind,))]


def kinds_on(slide: str) -> list[str]:
    """Kinds of items of a slide that can be asked with, the one shown first before the others."""
    return sorted(items_on(slide)["kind"].unique(), key=KINDS.index)


def placed(points: pd.DataFrame) -> pd.DataFrame:
    """Those items that have a position."""
    return points[points["x_px"].notna() & points["y_px"].notna()]


def central_item(points: pd.DataFrame) -> str:
    """The item nearest to the middle of the others, a fair one to begin with; the first where none has a place."""
    mapped = placed(points)
    if mapped.empty:
        return str(points["id"].iloc[0])
    x, y = mapped["x_px"].to_numpy(), mapped["y_px"].to_numpy()
    return str(mapped["id"].iloc[int(np.argmin((x - np.median(x)) ** 2 + (y - np.median(y)) ** 2))])


def slide_label(slide: str) -> str:
    """A slide with its patient and organ, for lists."""
    return str(slides().loc[slide, "title"])
