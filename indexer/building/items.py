"""Rows of the `items` and `slides` tables, made from an encoded slide."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import scipy.sparse as sp

from encoders.contracts import Vectors
from indexer.building.encoded import EncodedSlide, ExpressionSide
from indexer.errors import SlideError
from indexer.schema import SHARED_FACTS, SLIDES_SCHEMA, items_schema
from indexer.slides import SlideFacts
from indexer.tissue.patches import ImageSide

_PART_ROWS = 8_192


def item_id(slide: str, kind: str, name: str) -> str:
    """Id of an item, the same in every build."""
    return f"{slide}/{kind}/{name}"


def patch_ids(encoded: EncodedSlide) -> list[str]:
    """Ids of the items behind the rows of a slide's image side: its tiles, then its rows."""
    slide, side = encoded.facts.slide, encoded.expression
    rows = () if side is None or side.expression.xy_px is None else side.expression.names
    tiles = [item_id(slide, "tile", name) for name in _tile_names(encoded)]
    return [*tiles, *(item_id(slide, encoded.kind, name) for name in rows)]


def item_tables(encoded: EncodedSlide, dim: int, side_um: float) -> list[pa.Table]:
    """Items of a slide, `items_schema`: the slide itself, then its tiles, then its spots, cells or samples."""
    parts = [_slide_part(encoded)]
    if encoded.image is not None and len(encoded.tiles_px):
        parts.append(_tile_part(encoded, encoded.image, side_um))
    if encoded.expression is not None:
        parts += _row_parts(encoded, encoded.expression, side_um)
    return [_table([encoded.facts] * len(part["names"]), dim, part) for part in parts]


def sample_tables(samples: Sequence[EncodedSlide], dim: int) -> list[pa.Table]:
    """Items of many bulk samples of one row each, `items_schema`: as slides, then as transcriptomes."""
    sides = [one.expression for one in samples if one.expression is not None]
    columns = {
        "total_counts": np.concatenate([side.totals for side in sides]),
        "expression_vector": np.concatenate([side.vectors for side in sides]),
        **_gene_lists(sp.csr_matrix(sp.vstack([side.panel_counts for side in sides]))),
    }
    facts = [one.facts for one in samples]
    slides = {"kind": "slide", "names": [one.slide for one in facts]} | columns
    rows = {"kind": "transcriptome", "names": [side.expression.names[0] for side in sides]} | columns
    return [_table(facts, dim, slides), _table(facts, dim, rows)]


def slide_row(encoded: EncodedSlide, content_sha256: str) -> pa.Table:
    """The slide's row of the `slides` table."""
    facts, side, image = encoded.facts, encoded.expression, encoded.image
    n_rows = 0 if side is None else len(side.totals)
    row = {field.name: getattr(facts, field.name) for field in SHARED_FACTS} | {
        "citation": facts.citation,
        "mpp_source": facts.mpp_source,
        "width_px": None if encoded.size_px is None else encoded.size_px[0],
        "height_px": None if encoded.size_px is None else encoded.size_px[1],
        "image_path": encoded.image_path,
        "n_spots": n_rows if encoded.kind == "spot" else 0,
        "n_cells": n_rows if encoded.kind == "cell" else 0,
        "n_tiles": len(encoded.tiles_px),
        "n_genes_read": 0 if side is None else len(side.expression.genes),
        "n_genes_outside_panel": 0 if side is None else side.n_outside_panel,
        "thumbnail": None if encoded.overview is None else encoded.overview.jpeg,
        "thumbnail_scale": None if encoded.overview is None else encoded.overview.scale,
        "section_stats": None if image is None or image.stats is None else image.stats.to_list(),
        "content_sha256": content_sha256,
    }
    return pa.Table.from_pylist([row], schema=SLIDES_SCHEMA)


def _slide_part(encoded: EncodedSlide) -> dict[str, Any]:
    side, image = encoded.expression, encoded.image
    part: dict[str, Any] = {"kind": "slide", "names": [encoded.facts.slide]}
    if side is not None:
        part["total_counts"] = side.totals.sum(dtype=np.float64)[None]
        part |= _gene_lists(sp.csr_matrix(side.panel_counts.sum(axis=0)))
        part["expression_vector"] = side.slide_vector[None]
    if image is not None:
        part["image_vector"] = image.slide_vector[None]
    return part


def _tile_part(encoded: EncodedSlide, image: ImageSide, side_um: float) -> dict[str, Any]:
    labels = {"label": list(encoded.tile_labels)} if any(encoded.tile_labels) else {}
    columns = _patch_columns(encoded.tiles_px, image, slice(0, len(encoded.tiles_px)), side_um)
    return {"kind": "tile", "names": _tile_names(encoded)} | labels | columns


def _tile_names(encoded: EncodedSlide) -> list[str]:
    return [f"{x:.0f}x{y:.0f}" for x, y in encoded.tiles_px]


def _row_parts(encoded: EncodedSlide, side: ExpressionSide, side_um: float) -> Iterator[dict[str, Any]]:
    expression, n_tiles = side.expression, len(encoded.tiles_px)
    for start in range(0, len(side.totals), _PART_ROWS):
        rows = slice(start, min(start + _PART_ROWS, len(side.totals)))
        n = rows.stop - rows.start
        part: dict[str, Any] = {
            "kind": encoded.kind,
            "names": expression.names[rows],
            "total_counts": side.totals[rows],
            "expression_vector": side.vectors[rows],
        }
        part |= _gene_lists(side.panel_counts[rows])
        if expression.labels is not None:
            part["label"] = list(expression.labels[rows])
        if expression.spot_um is not None:
            part["spot_um"] = np.full(n, expression.spot_um)
        if expression.xy_px is not None and encoded.image is not None:
            patches = slice(n_tiles + rows.start, n_tiles + rows.stop)
            part |= _patch_columns(expression.xy_px[rows], encoded.image, patches, side_um)
        elif expression.xy_px is not None:
            part |= {"x_px": expression.xy_px[rows, 0], "y_px": expression.xy_px[rows, 1]}
        yield part


def _patch_columns(xy_px: Any, image: ImageSide, patches: slice, side_um: float) -> dict[str, Any]:
    n = len(xy_px)
    return {
        "x_px": xy_px[:, 0],
        "y_px": xy_px[:, 1],
        "side_um": np.full(n, side_um),
        "side_px": np.full(n, image.side_px),
        "thumbnail": pa.array(image.jpegs[patches], pa.binary()),
        "image_vector": image.vectors[patches],
    }


def _gene_lists(counts: sp.csr_matrix) -> dict[str, Any]:
    counts.eliminate_zeros()
    counts.sort_indices()
    offsets = pa.array(counts.indptr, pa.int32())
    return {
        "gene_index": pa.ListArray.from_arrays(offsets, pa.array(counts.indices, pa.int32())),
        "gene_count": pa.ListArray.from_arrays(offsets, pa.array(counts.data, pa.float32())),
    }


def _table(facts: Sequence[SlideFacts], dim: int, part: dict[str, Any]) -> pa.Table:
    names, kind = part["names"], part["kind"]
    columns: dict[str, Any] = {field.name: [getattr(one, field.name) for one in facts] for field in SHARED_FACTS}
    columns["id"] = [item_id(one.slide, kind, name) for one, name in zip(facts, names, strict=True)]
    columns["kind"] = [kind] * len(names)
    columns |= {name: values for name, values in part.items() if name not in ("names", "kind")}
    schema = items_schema(dim)
    arrays = []
    for field in schema:
        values = columns.get(field.name)
        if values is None:
            arrays.append(pa.nulls(len(names), field.type))
        elif field.name.endswith("_vector"):
            arrays.append(_vector_array(values, dim, facts[0].slide))
        else:
            arrays.append(values if isinstance(values, pa.Array) else pa.array(values, field.type))
    return pa.Table.from_arrays(arrays, schema=schema)


def _vector_array(vectors: Vectors, dim: int, slide: str) -> pa.FixedSizeListArray:
    values = np.ascontiguousarray(vectors, dtype=np.float32)
    norms = np.linalg.norm(values, axis=1)
    is_zero = norms == 0  # a row without a single known gene has no direction, hence no vector
    wrong = ~is_zero & ~(np.abs(norms - 1) < 1e-3)
    if values.shape[1] != dim or wrong.any():
        raise SlideError(
            f"Slide {slide}: the encoder gave vectors of {values.shape[1]} dims, {int(wrong.sum())} of {len(values)} "
            f"not of norm 1; expected {dim} dims and unit rows. Report this with the space's name and revision."
        )
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), dim, mask=pa.array(is_zero))
