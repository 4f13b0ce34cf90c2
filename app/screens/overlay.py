"""What the items of a slide are coloured by: chosen in a popover, worked out when the slide is drawn."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import streamlit as st

from app.figures.class_colours import class_colours
from app.maps import Classes, PointColours
from app.screens.answers import gene_values, panel, similarity
from app.screens.links import keep, restore
from app.screens.slide_answers import predicted_places, slide_classes, slide_types
from encoders.errors import HistoSeekError
from search.annotation.classes import known_sets
from search.expression.slide_prediction import SlidePrediction
from search.query import Query

By = Literal["nothing", "similarity", "gene", "predicted", "types", "classes", "label"]
#: What an overlay may show -> its name on the screen.
BY: dict[By, str] = {
    "nothing": "Nothing",
    "similarity": "Similarity to the query",
    "gene": "Expression of a gene",
    "predicted": "Predicted expression of a gene",
    "types": "Cell types",
    "classes": "Classes by marker genes",
    "label": "Annotation",
}
SHARED = {"cells": "the cells", "rna": "the RNA"}
DOMINANT = "most common type"
_SOURCES = {"counts": "from the counts of the places", "hits": "from their hits", "vectors": "from their vectors"}


@dataclass(frozen=True, slots=True)
class Overlay:
    """Colours of the items of a slide.

    Attributes
    ----------
    by : {"nothing", "similarity", "gene", "predicted", "types", "classes", "label"}
        What decides them.
    query : Query or None
        For similarity.
    name : str
        Symbol for expression, cell type or `DOMINANT`, marker set for classes; else empty.
    """

    by: By
    query: Query | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class Painted:
    """Colours worked out, `None` for a single one, and what is to be said of them."""

    colours: PointColours | Classes | None = None
    said: str = ""


def choose_overlay(query: Query | None, points: pd.DataFrame, *, on: bool) -> Overlay:
    """Controls of the colours of some items, in a popover; `on` begins with the similarity to the query."""
    offered: list[By] = ["nothing"]
    offered += ["similarity"] if query is not None else []
    offered += ["gene"] if (points["total_counts"] > 0).any() else []
    offered += ["predicted", "types", "classes"] if len(points) else []
    offered += ["label"] if points["label"].notna().any() else []
    first: By = "similarity" if on and "similarity" in offered else "nothing"
    key = "map_by" if on else "colour_by"  # a map that begins coloured is one of its own
    restore(key, offered, first=first)
    with st.popover("Overlay", icon=":material/layers:"):
        by: By = st.radio("Colour the items by", offered, format_func=lambda one: BY[one], key=key)
        name = _choose_name(by, str(points["slide"].iloc[0])) if len(points) else ""
    keep(key, by, first=first)
    return Overlay(by, query, name)


def _choose_name(by: By, slide: str) -> str:
    """What of it is shown, where there is a choice."""
    match by:
        case "gene" | "predicted":
            return _listed("Gene", "overlay_gene", panel())
        case "types":
            try:
                types = [row["type"] for row in slide_types(slide).overall()]
            except HistoSeekError:
                return DOMINANT  # drawing says what is wrong
            return _listed("Type", "overlay_type", [DOMINANT, *types])
        case "classes":
            return _listed("Marker set", "overlay_set", list(known_sets()))
        case _:
            return ""


def _listed(label: str, key: str, names: list[str]) -> str:
    restore(key, names, first=names[0])
    name = str(st.selectbox(label, names, key=key))
    keep(key, name, first=names[0])
    return name


def colours_on(slide: str, points: pd.DataFrame, overlay: Overlay) -> PointColours | Classes | None:
    """One colour a point as the overlay asks for, `None` for a single one, and what there is to say of them.

    Raises `HistoSeekError`.
    """
    painted = _PAINTED[overlay.by](slide, points, overlay)
    if painted.said:
        st.caption(f":material/info: {painted.said}")
    return painted.colours


def _labels(slide: str, points: pd.DataFrame, overlay: Overlay) -> Painted:  # noqa: ARG001 - one of `_PAINTED`
    labels = points["label"]
    return Painted(Classes(tuple(labels.where(labels.notna(), None)), "annotation"))


def _measured(slide: str, points: pd.DataFrame, overlay: Overlay) -> Painted:
    values = gene_values(overlay.name, slide).set_index("id")["value"]
    return Painted(PointColours(_by_point(values, points), f"{overlay.name}, log(1 + CP10k)"))


def _similar(slide: str, points: pd.DataFrame, overlay: Overlay) -> Painted:
    if overlay.query is None:
        return Painted()
    scores = similarity(overlay.query, slide).set_index("id")["score"]
    return Painted(PointColours(_by_point(scores, points), "similarity"))


def _classes(slide: str, points: pd.DataFrame, overlay: Overlay) -> Painted:
    found = slide_classes(slide, overlay.name)
    classes = found.to_pandas().set_index("id")["class"].reindex(points["id"])
    told = f"By the {found.using} of {found.kind}s. {' '.join(found.notes)}"
    said = told if classes.notna().any() else f"Classes are told of {found.kind}s here: show those."
    palette = class_colours(found.classes)
    return Painted(Classes(tuple(classes.where(classes.notna(), None)), "class", palette), said)


def _by_point(values: "pd.Series[float]", points: pd.DataFrame) -> npt.NDArray[np.float64]:
    return np.asarray(values.reindex(points["id"]), dtype=np.float64)


def _predicted(slide: str, points: pd.DataFrame, overlay: Overlay) -> Painted:
    found = predicted_places(slide, overlay.name)
    values = pd.Series(found.predicted[:, 0].astype(np.float64), index=found.table.column("id").to_pylist())
    return Painted(PointColours(_by_point(values, points), f"{found.genes[0]}, predicted log(1 + CP10k)"), told(found))


def told(found: SlidePrediction) -> str:
    """How far the prediction of its first gene can be trusted, in words."""
    gene, r, here = found.genes[0], float(found.r[0]), float(found.r_here[0])
    said = f"{gene} predicted from the {found.modality} by other patients' hits."
    if np.isnan(found.r_chance):
        said += " How well it can be predicted was not measured: too few other patients have counts."
    elif found.predictable()[0]:
        said += f" Within sections of other patients r = {r:.2f} (chance: up to {found.r_chance:.2f})."
    else:
        measured = "" if np.isnan(r) else f" (r = {r:.2f}, chance: up to {found.r_chance:.2f})"
        said += f" **On other patients no better than chance{measured}: read nothing into this map.**"
    return said if np.isnan(here) else f"{said} On this slide, against what was measured: r = {here:.2f}."


def _types(slide: str, points: pd.DataFrame, overlay: Overlay) -> Painted:
    found = slide_types(slide)
    said = f"Shares of {SHARED[found.of]} {_SOURCES[found.source]}, {found.n_markers:,} marker genes."
    if overlay.name == DOMINANT:
        dominant = found.to_pandas().set_index("id")["dominant"].reindex(points["id"])
        palette = type_colours(found.shares.types)
        classes = Classes(tuple(dominant.where(dominant.notna(), None)), "most common cell type", palette)
        return Painted(classes, said if dominant.notna().any() else f"{said} None of these items has any.")
    values = _by_point(found.proportions[overlay.name], points)
    return Painted(PointColours(values, f"share of {overlay.name}"), said)


def type_colours(types: tuple[str, ...]) -> dict[str, str]:
    """`#RRGGBB` of each cell type, the same on maps and in bars."""
    colours = class_colours(sorted(types))
    return {name: colours[name] for name in sorted(types)}


_PAINTED: dict[By, Callable[[str, pd.DataFrame, Overlay], Painted]] = {
    "nothing": lambda slide, points, overlay: Painted(),  # noqa: ARG005 - as the others
    "similarity": _similar,
    "gene": _measured,
    "predicted": _predicted,
    "types": _types,
    "classes": _classes,
    "label": _labels,
}
