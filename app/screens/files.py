"""Hits to take along: as tables, for QuPath and scverse, as a figure or a page."""

from functools import partial

import streamlit as st

from app.exports.asked_hits import AskedHits
from app.exports.qupath import lies_somewhere
from app.exports.write import QUPATH, hits_as_bytes
from app.screens.session import engine
from search.query import Query
from search.result import SearchResult

#: Suffix -> what it is for.
_OFFERED = {
    ".csv": "Table (CSV)",
    ".parquet": "Table with provenance (Parquet)",
    ".h5ad": "Counts, positions and vectors (h5ad)",
    QUPATH: "Outlines for QuPath (GeoJSON)",
    ".png": "Figure (PNG)",
    ".svg": "Figure (SVG)",
    ".html": "Report (HTML)",
    ".yaml": "The question, to ask it again (YAML)",
}


def offer_files(result: SearchResult, query: Query) -> None:
    """A button that opens the list of files; each is made when it is asked for."""
    asked = engine()
    said = result.query
    title = f"Hits of {said.get('id') or said.get('text') or said['type']}"
    places = [lies_somewhere(hit) for hit in result.to_list()]
    slides = len({hit["slide"] for hit, placed in zip(result.to_list(), places, strict=True) if placed})

    def made(kind: str) -> bytes:
        return hits_as_bytes(AskedHits(asked, result, title, query), kind)

    with st.popover("Download", icon=":material/download:"):
        for kind, label in _OFFERED.items():
            zipped = kind == QUPATH and slides > 1
            st.download_button(
                f"{label}, one a slide" if zipped else label,
                partial(made, kind),
                file_name="query.yaml" if kind == ".yaml" else f"hits{'.geojson.zip' if zipped else kind}",
                key=f"take{kind}",
                on_click="ignore",
                type="tertiary",
                disabled=kind == QUPATH and not any(places),
            )
