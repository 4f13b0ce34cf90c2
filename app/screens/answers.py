"""Cached questions to the engine, so that moving a slider asks nothing twice."""

import numpy as np
import numpy.typing as npt
import pandas as pd
import streamlit as st

from app.screens.session import engine, options, rows_of, stamp
from encoders.contracts import Modality
from encoders.sentences import sentences_of
from search.filters import Exclude
from search.query import Query
from search.result import SearchResult

_KEPT = 256  # answers of each kind kept in memory


def hits(
    query: Query,
    *,
    target: Modality,
    k: int,
    kind: str | None = None,
    where: str | None = None,
    exclude: Exclude = "auto",
) -> SearchResult:
    """Answer of `Engine.search`."""
    return _hits(options().db, stamp(), query, target, k, kind, where, exclude)


def similarity(query: Query, slide: str) -> pd.DataFrame:
    """Answer of `Engine.similarity_map`, with the item ids."""
    return _similarity(options().db, stamp(), query, slide)


def thumbnails(ids: tuple[str, ...]) -> list[bytes | None]:
    """JPEG of each item's patch, `None` where it has no picture."""
    return _thumbnails(options().db, stamp(), ids)


def gene_sentences(ids: tuple[str, ...]) -> list[str]:
    """Gene sentence of each item, highest counts first; empty where it has no counts."""
    return _gene_sentences(options().db, stamp(), ids)


def panel() -> list[str]:
    """Symbols an expression query may name, in alphabetical order."""
    return _panel(options().db, stamp())


@st.cache_data(max_entries=_KEPT, show_spinner="Searching")
def _hits(
    db: str,  # noqa: ARG001 - db and version are here to be part of the cache key
    version: str,  # noqa: ARG001
    query: Query,
    target: Modality,
    k: int,
    kind: str | None,
    where: str | None,
    exclude: Exclude,
) -> SearchResult:
    return engine().search(query, target=target, k=k, kind=kind, where=where or None, exclude=exclude)


@st.cache_data(max_entries=_KEPT, show_spinner="Comparing")
def _similarity(db: str, version: str, query: Query, slide: str) -> pd.DataFrame:  # noqa: ARG001
    table: pd.DataFrame = engine().similarity_map(query, slide).to_pandas()
    return table


@st.cache_data(max_entries=_KEPT, show_spinner=False)
def _thumbnails(db: str, version: str, ids: tuple[str, ...]) -> list[bytes | None]:  # noqa: ARG001
    return list(engine().index.thumbnails(np.asarray(rows_of(ids), dtype=np.int64)))


@st.cache_data(max_entries=_KEPT, show_spinner=False)
def _gene_sentences(db: str, version: str, ids: tuple[str, ...]) -> list[str]:  # noqa: ARG001
    index = engine().index
    rows: npt.NDArray[np.int64] = np.asarray(rows_of(ids), dtype=np.int64)
    return [str(sentence) for sentence in sentences_of(index.expression(rows), index.genes)]


@st.cache_data(max_entries=2, show_spinner=False)
def _panel(db: str, version: str) -> list[str]:  # noqa: ARG001
    return sorted(engine().index.genes)
