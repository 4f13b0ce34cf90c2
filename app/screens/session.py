"""What every page needs: the options of the script, the open engine, its tables, and errors as sentences."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from app.cell_types import DEFAULT_LABEL, ReferenceFile, parse_merge
from encoders.contracts import Modality
from encoders.errors import HistoSeekError, SpaceMismatchError
from encoders.space import Space
from indexer.store.card import CARD_NAME
from indexer.store.location import locate
from indexer.store.versions import split_version
from search.engine import Engine


@dataclass(frozen=True, slots=True)
class Options:
    """What the script was started with; never changed from the browser."""

    db: str
    reference: ReferenceFile | None = None

    @classmethod
    def parse(cls, arguments: Sequence[str]) -> "Options":
        """Read the arguments after Streamlit's `--`."""
        parser = argparse.ArgumentParser(prog="histoseek serve", allow_abbrev=False)
        parser.add_argument("--db", required=True)
        parser.add_argument("--reference", type=Path)
        parser.add_argument("--reference-label", default=DEFAULT_LABEL)
        parser.add_argument("--reference-merge", action="append", default=[])
        known = parser.parse_args(arguments)
        if known.reference is None:
            return cls(known.db)
        merge = parse_merge(known.reference_merge)
        return cls(known.db, ReferenceFile(known.reference, known.reference_label, merge))


@contextmanager
def errors_as_sentences() -> Iterator[None]:
    """Show a `HistoSeekError` of the block as its sentence, and leave the rest of the page standing."""
    try:
        yield
    except HistoSeekError as error:
        st.error(str(error), icon=":material/error:")


def options() -> Options:
    """Options of this server."""
    return _parsed(tuple(sys.argv[1:]))


@lru_cache(maxsize=1)  # a page asks a hundred times
def _parsed(arguments: tuple[str, ...]) -> Options:
    return Options.parse(arguments)


def stamp() -> str:
    """Changes when the index on disk does, so that nothing cached outlives a rebuild."""
    address, version = split_version(options().db)
    try:
        return version or locate(address).stamp(CARD_NAME)
    except OSError:  # opening it says what is wrong
        return "missing"


def engine() -> Engine:
    """The open engine of this server's index; one for all visitors. Raises `HistoSeekError`."""
    return _open_engine(options().db, stamp())


def items_of(slide: str) -> pd.DataFrame:
    """Metadata of the items of a slide in row order; do not change it in place."""
    return _items_of(options().db, stamp(), slide)


def slides() -> pd.DataFrame:
    """Facts of the slides by name, whether each is `pictured`, its `title` in lists; do not change it in place."""
    return _slides(options().db, stamp())


def slide_picture(slide: str) -> bytes | None:
    """JPEG of a whole slide, `None` where it has no image."""
    return _slide_picture(options().db, stamp(), slide)


def slide_row(slide: str) -> dict[Any, Any]:
    """Facts of a slide, and its picture as `thumbnail`."""
    return {**slides().loc[slide].to_dict(), "thumbnail": slide_picture(slide)}


def slide_sides(slide: str) -> tuple[Modality, ...]:
    """The sides a slide has vectors of; `image` without a picture where its tiles came as features."""
    catalogue = engine().catalogue
    return catalogue.modalities_of(catalogue.slide_row(slide))


def held_sides() -> tuple[Modality, ...]:
    """The sides that any item of the index has vectors of."""
    sides: tuple[Modality, ...] = ("image", "expression")
    return tuple(side for side in sides if len(engine().index.vectors(side)))


@st.cache_resource(max_entries=2, show_spinner="Opening the index")
def _open_engine(db: str, version: str) -> Engine:  # noqa: ARG001 - part of the cache key
    spaces = _spaces()
    if db in spaces:  # a new commit is no reason to read the weights again
        with suppress(SpaceMismatchError):
            return Engine.open(db, space=spaces[db])
    opened = Engine.open(db)
    spaces[db] = opened.space
    return opened


@st.cache_resource(show_spinner=False)
def _spaces() -> dict[str, Space]:
    return {}


# A slide at a time: of a million items only those on the screen are made into a frame.
@st.cache_resource(max_entries=64, show_spinner=False)
def _items_of(db: str, version: str, slide: str) -> pd.DataFrame:
    catalogue = _open_engine(db, version).catalogue
    found = catalogue.index.columns.take(catalogue.rows_where("slide", slide))
    return pd.DataFrame({name: array.to_pandas() for name, array in found.items()})


# Without the pictures: of ten thousand slides they take up a gigabyte, and a page shows a few.
@st.cache_resource(max_entries=2, show_spinner=False)
def _slides(db: str, version: str) -> pd.DataFrame:
    table: pd.DataFrame = _open_engine(db, version).index.slide_facts().to_pandas()
    table["pictured"] = table["thumbnail_scale"].notna()
    table["title"] = table["slide"] + ", patient " + table["patient"] + ", " + table["organ"]
    table.loc[~table["pictured"], "title"] += ", no image"
    return table.sort_values("slide").set_index("slide", drop=False)


@st.cache_resource(max_entries=256, show_spinner=False)
def _slide_picture(db: str, version: str, slide: str) -> bytes | None:
    return _open_engine(db, version).index.slide_picture(slide)
