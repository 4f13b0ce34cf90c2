"""Cached answers over all places of a slide: a gene predicted, cell types, classes by marker genes."""

import streamlit as st

from app.screens.answers import annotation, cell_reference
from app.screens.session import Options, engine, options, stamp
from search.annotation.annotate import Annotation
from search.annotation.classes import marker_set
from search.cells.slide_composition import SlideComposition
from search.expression.slide_prediction import SlidePrediction

_KEPT = 64  # of each kind: an answer holds every place of a slide
_RATE = 0.5  # of the items of other patients that would be given a class


def predicted_places(slide: str, gene: str) -> SlidePrediction:
    """Answer of `Engine.predict_slide` for one gene, with how well it is predicted on other patients."""
    return _predicted_places(options().db, stamp(), slide, gene)


def slide_types(slide: str) -> SlideComposition:
    """Answer of `Engine.decompose_slide` with this server's reference."""
    return _slide_types(options(), stamp(), slide)


def slide_classes(slide: str, markers: str) -> Annotation:
    """Answer of `Engine.annotate` by a marker set that comes with the project."""
    lines = "\n".join(f"{name}: {genes}" for name, genes in marker_set(markers).genes.items())
    return annotation(slide, lines, using=None, rate=_RATE, smooth=False)


@st.cache_data(max_entries=_KEPT, show_spinner="Predicting the gene at every place")
def _predicted_places(db: str, version: str, slide: str, gene: str) -> SlidePrediction:  # noqa: ARG001
    return engine().predict_slide(slide, genes=[gene])


@st.cache_data(max_entries=_KEPT, show_spinner="Telling the cell types of every place")
def _slide_types(chosen: Options, version: str, slide: str) -> SlideComposition:
    return engine().decompose_slide(slide, cell_reference(chosen, version))
