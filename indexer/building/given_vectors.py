"""An index of vectors that were made elsewhere: no pixels and no counts, only rows with their metadata."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from encoders.contracts import Floats, Modality, Vectors, unit_rows
from encoders.space import SpaceCard
from indexer.building.items import item_id
from indexer.errors import SlideError
from indexer.genes.panel import Panel
from indexer.index import Index
from indexer.progress import Silent
from indexer.schema import ITEM_METADATA, SHARED_FACTS, SLIDES_SCHEMA, items_schema
from indexer.slides import SlideFacts
from indexer.store.card import BuildSettings, Tiling
from indexer.store.location import SIDECAR, Location, locate
from indexer.store.locks import writer_lock
from indexer.store.writer import IndexWriter
from indexer.upkeep.maintenance import refresh_after_writing
from indexer.vectors.spill import Spill, spilling

_PANEL = Panel((), ())
_PART_ROWS = 4_096
_WRITING_S = 0.015  # until LanceDB has the rows
_SPILL_BESIDE: Modality = "image"  # what a kill leaves there is removed with old sidecars
_FACTS = tuple(field.name for field in SHARED_FACTS)
#: Metadata that may be given for each row.
ROW_COLUMNS = tuple(field.name for field in ITEM_METADATA if field.name not in ("id", "kind", *_FACTS))


@dataclass(frozen=True, slots=True)
class GivenVectors:
    """Vectors of one slide.

    Attributes
    ----------
    facts : SlideFacts
        Facts of the slide, which every row repeats.
    names : sequence of str
        One a row, unique in the slide and kind.
    vectors : float32 (n, dim)
        Scaled to length 1 on the way in.
    kind : {"tile", "spot", "cell", "transcriptome"}
        What a row is.
    modality : {"image", "expression"}
        What the vectors were computed from.
    columns : mapping of str to sequence
        Metadata of each row, of `ROW_COLUMNS`.
    """

    facts: SlideFacts
    names: Sequence[str]
    vectors: Floats
    kind: Literal["tile", "spot", "cell", "transcriptome"] = "tile"
    modality: Modality = "image"
    columns: Mapping[str, Sequence[Any] | Floats] = field(default_factory=dict)


def index_vectors(
    uri: str | Path, slides: Iterable[GivenVectors], space: SpaceCard, *, rows_per_commit: int = 125_000
) -> Index:
    """Put vectors made elsewhere into an index, making it if there is none; slides that are there are replaced.

    Parameters
    ----------
    uri : str or Path
        Folder of the index.
    slides : iterable of GivenVectors
        Taken one after the other, in a thread of their own while those before are written, so they may be made on the
        way.
    space : SpaceCard
        What the vectors are (`encoders.given_space`), or the card of the space that made them.
    rows_per_commit : int
        Slides are committed together up to so many rows; readers find them from then on.

    Raises
    ------
    SlideError
        If vectors are not finite or zero, or of another dimension; if a column is not one of an item, or of another
        length; if names repeat.
    SpaceMismatchError, WriteError, IndexFormatError
        As of `indexer.building.build.build_index`.
    """
    location = locate(uri)
    with _one_ahead(_parts(slides, space.dim, rows_per_commit)) as parts, writer_lock(location):
        writer = IndexWriter.open(location, _settings(space), _PANEL)
        Thread(target=_import_faiss, name="import-faiss").start()
        with _aside(location, writer, space.dim) as spill:
            for part in parts:
                _commit(writer, part, spill)
            index = Index.open(location)
            refresh_after_writing(index, Silent(), spill)
    return index


def _import_faiss() -> None:
    """Import what making and searching vectors takes while LanceDB writes, which leaves a core idle."""
    time.sleep(_WRITING_S)  # an import holds the interpreter, which handing LanceDB the rows needs
    import_module("faiss")


class _Part(NamedTuple):
    """What is committed together."""

    items: list[pa.Table]
    slides: pa.Table


def _parts(slides: Iterable[GivenVectors], dim: int, n_rows: int) -> Iterator[_Part]:
    items: list[pa.Table] = []
    rows: list[pa.Table] = []
    n_waiting = 0
    for slide in slides:
        items += _item_tables(slide, dim)
        rows.append(_slide_row(slide))
        n_waiting += len(slide.names)
        if n_waiting >= n_rows:
            yield _Part(items, pa.concat_tables(rows))
            items, rows, n_waiting = [], [], 0
    if rows:
        yield _Part(items, pa.concat_tables(rows))


def _aside(location: Location, writer: IndexWriter, dim: int) -> AbstractContextManager[Spill | None]:
    """Where the vectors of a new index are kept until it has a sidecar; a bucket's sidecars lie elsewhere."""
    if writer.committed or not location.local_names(""):
        return nullcontext()
    return spilling(location.folder / SIDECAR / _SPILL_BESIDE, dim)


def _commit(writer: IndexWriter, part: _Part, spill: Spill | None) -> None:
    if spill is None:
        writer.commit(part.items, part.slides)
        return
    with ThreadPoolExecutor(1, thread_name_prefix="spill") as pool:
        kept = pool.submit(spill.add, part.items)
        writer.commit(part.items, part.slides)
        kept.result()


@contextmanager
def _one_ahead(parts: Iterator[_Part]) -> Iterator[Iterator[_Part]]:
    """Parts that another thread makes, one before it is asked for: the writer's time is mostly LanceDB's own."""
    with ThreadPoolExecutor(1, thread_name_prefix="given-vectors") as pool:
        first = pool.submit(next, parts, None)

        def taken() -> Iterator[_Part]:
            waiting = first
            while (part := waiting.result()) is not None:
                waiting = pool.submit(next, parts, None)
                yield part

        yield taken()


def _item_tables(slide: GivenVectors, dim: int) -> list[pa.Table]:
    found, norms = _checked(slide, dim)
    # The slide and its rows share one array, so that they need not be copied together again.
    room = np.empty((len(found) + 1, dim), dtype=np.float32)
    vectors = unit_rows(found, norms, out=room[1:])
    unit_rows(vectors.mean(axis=0, dtype=np.float64).astype(np.float32)[None], out=room[:1])
    stored = pa.FixedSizeListArray.from_arrays(pa.array(room.ravel()), dim)
    whole = _table(slide, "slide", [slide.facts.slide], stored[:1], {})
    parts = [slice(start, min(start + _PART_ROWS, len(found))) for start in range(0, len(found), _PART_ROWS)]
    columns = [{name: values[part] for name, values in slide.columns.items()} for part in parts]
    rows = zip(parts, columns, strict=True)
    return [
        whole,
        *(
            _table(slide, slide.kind, slide.names[part], stored[part.start + 1 : part.stop + 1], some)
            for part, some in rows
        ),
    ]


def _checked(slide: GivenVectors, dim: int) -> tuple[Vectors, Floats]:
    """The vectors of a slide and their lengths."""
    name, n = slide.facts.slide, len(slide.names)
    found = np.asarray(slide.vectors)
    if found.shape != (n, dim) or not np.issubdtype(found.dtype, np.floating) or not n:
        raise SlideError(
            f"Slide {name}: got vectors {found.dtype} {found.shape} for {n} names; expected floats ({n}, {dim}), "
            "at least one."
        )
    norms = np.sqrt(np.einsum("ij,ij->i", found, found))  # several times as fast as NumPy's own norm of rows
    wrong = np.flatnonzero(~(np.isfinite(norms) & (norms > 0)))
    if len(wrong):
        raise SlideError(
            f"Slide {name}: {len(wrong)} vectors are zero or not finite, the first {slide.names[wrong[0]]!r}; leave "
            "such rows out."
        )
    if len(set(slide.names)) < n:
        raise SlideError(f"Slide {name}: {n - len(set(slide.names))} names repeat; expected one a row.")
    if strange := [column for column in slide.columns if column not in ROW_COLUMNS]:
        raise SlideError(f"Slide {name}: no column {strange[0]!r}; a row may have {', '.join(ROW_COLUMNS)}.")
    if short := [column for column, values in slide.columns.items() if len(values) != n]:
        raise SlideError(f"Slide {name}: column {short[0]!r} has {len(slide.columns[short[0]])} values for {n} rows.")
    return found.astype(np.float32, copy=False), norms


def _table(
    slide: GivenVectors, kind: str, names: Sequence[str], vectors: pa.FixedSizeListArray, columns: Mapping[str, Any]
) -> pa.Table:
    n, schema = len(names), items_schema(vectors.type.list_size)
    first_part = pa.scalar(item_id(slide.facts.slide, kind, ""))
    given: dict[str, pa.Array] = {
        "id": pc.binary_join_element_wise(first_part, pa.array(names, pa.string()), ""),
        "kind": pa.repeat(pa.scalar(kind), n),
        f"{slide.modality}_vector": vectors,
    }
    for column in _FACTS:
        value = getattr(slide.facts, column)
        given[column] = pa.repeat(pa.scalar(value, schema.field(column).type), n)
    given |= {name: pa.array(values, schema.field(name).type) for name, values in columns.items()}
    arrays = [given[field.name] if field.name in given else _nulls(n, field.type) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def _nulls(n: int, kind: pa.DataType) -> pa.Array:
    """Nulls, those of all slides in the same memory: a null vector takes as much of it as any other."""
    return _many_nulls(_PART_ROWS if n > 1 else 1, kind).slice(0, n)


@lru_cache(maxsize=64)
def _many_nulls(n: int, kind: pa.DataType) -> pa.Array:
    if pa.types.is_fixed_size_list(kind):
        # NumPy's zeros take no memory until they are written to.
        values = pa.array(np.zeros(n * kind.list_size, dtype=kind.value_type.to_pandas_dtype()))
        return pa.FixedSizeListArray.from_arrays(values, type=kind, mask=pa.array(np.ones(n, dtype=np.bool_)))
    return pa.nulls(n, kind)


def _slide_row(slide: GivenVectors) -> pa.Table:
    n = len(slide.names)
    row = {name: getattr(slide.facts, name) for name in _FACTS} | {
        "citation": slide.facts.citation,
        "mpp_source": slide.facts.mpp_source,
        "n_spots": n if slide.kind == "spot" else 0,
        "n_cells": n if slide.kind == "cell" else 0,
        "n_tiles": n if slide.kind == "tile" else 0,
        "n_genes_read": 0,
        "n_genes_outside_panel": 0,
        "content_sha256": "",
    }
    return pa.Table.from_pylist([row], schema=SLIDES_SCHEMA)


def _settings(space: SpaceCard) -> BuildSettings:
    return BuildSettings(
        space=space,
        encoders={"image": space.encoder_info("image"), "expression": space.encoder_info("expression")},
        panel_sha256=_PANEL.sha256,
        tiling=Tiling(stride_um=space.patch_side_um, side_um=space.patch_side_um, side_px=space.patch_side_px),
        thumbnails=False,
    )
