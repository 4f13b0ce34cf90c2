"""Slides of an index laid over each other, with where each tile and spot comes to lie."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from encoders.contracts import Modality
from search.catalogue import Catalogue, Mask, Rows
from search.errors import AlignmentError
from search.item_rows import vectors_of
from search.profiles import Doubles
from search.result import Findings
from search.sections.alignment import Model, PointSet, align_points

Sides = tuple[Modality, Modality]
_SIDES: tuple[Modality, ...] = ("image", "expression")
_MOST = 3_000  # places compared; the work grows with the product of both numbers


@dataclass(frozen=True, slots=True)
class SlideAlignment(Findings):
    """A slide laid over another.

    Columns: `id`, `x_px`, `y_px` (level-0 pixels of the moved slide), `moved_x_px`, `moved_y_px` (level-0 pixels of the
    slide that stays), `residual_um`, `matched` (probability that there is a counterpart).

    Attributes
    ----------
    slide, other : str
        The slide that was moved, and the one that stayed.
    using : (str, str)
        The sides that were compared.
    model : {"rigid", "affine", "warp"}
        What the slide could do.
    matrix_px : tuple of (float, float, float), two
        Affine part, from level-0 pixels of the one slide to those of the other.
    turned_degrees, scale : float
        Rotation (counter-clockwise on the screen) and enlargement of the affine part, in micrometres.
    mirrored : bool
        Whether the slide was turned over.
    residual_um : float
        Median distance of a moved place from where it matches.
    """

    slide: str
    other: str
    using: Sides
    model: Model
    matrix_px: tuple[tuple[float, ...], ...]
    turned_degrees: float
    scale: float
    mirrored: bool
    residual_um: float


@dataclass(frozen=True, slots=True)
class _Places:
    rows: Rows
    points: PointSet
    mpp: float


def align_slides(
    catalogue: Catalogue, slide: str, other: str, *, using: Sides | None, model: Model, mirror: bool
) -> SlideAlignment:
    """Lay a slide over another; see `Engine.align`."""
    of_slide, of_other = _rows_of(catalogue, slide), _rows_of(catalogue, other)
    if slide == other:
        raise AlignmentError(f"Slide {slide!r} cannot be laid over itself; name two slides.")
    sides = using or _shared(catalogue, slide, of_slide, other, of_other)
    moving = _places(catalogue, slide, of_slide, sides[0])
    fixed = _places(catalogue, other, of_other, sides[1])
    found = align_points(moving.points, fixed.points, model=model, mirror=mirror)
    linear = found.matrix[:, :2]
    matrix = np.column_stack([linear * moving.mpp, found.matrix[:, 2]]) / fixed.mpp
    return SlideAlignment(
        table=_table(catalogue, moving.rows, found.moved_um / fixed.mpp, found.residual_um, found.matched),
        query={"slide": slide, "other": other, "using": list(sides), "model": model, "mirror": mirror},
        notes=_notes(sides, moving, found.residual_um, catalogue),
        slide=slide,
        other=other,
        using=sides,
        model=model,
        matrix_px=tuple(tuple(row) for row in matrix.tolist()),
        # The y axis of a picture points down.
        turned_degrees=float(-np.rad2deg(np.arctan2(linear[1, 0], linear[0, 0]))),
        scale=float(np.sqrt(abs(np.linalg.det(linear)))),
        mirrored=found.mirrored,
        residual_um=float(np.median(found.residual_um)),
    )


def _rows_of(catalogue: Catalogue, slide: str) -> Rows:
    catalogue.slide_row(slide)
    rows = catalogue.rows_where("slide", slide)
    placed = np.isfinite(catalogue.column("x_px")[rows].astype(np.float64))
    return np.asarray(rows[placed & (catalogue.column("kind")[rows] != "slide")])


def _shared(catalogue: Catalogue, slide: str, of_slide: Rows, other: str, of_other: Rows) -> Sides:
    has = {side: catalogue.has(side) for side in _SIDES}
    own, its = ([side for side in _SIDES if has[side][rows].any()] for rows in (of_slide, of_other))
    both = [side for side in own if side in its]
    if both:
        return both[0], both[0]
    if own and its:
        return own[0], its[0]
    lacking = other if own else slide
    raise AlignmentError(f"Slide {lacking!r} has no place with a vector; ingest it with its picture or its counts.")


def _places(catalogue: Catalogue, slide: str, rows: Rows, side: Modality) -> _Places:
    has: Mask = catalogue.has(side)[rows]
    kept = rows[has]
    if len(kept) > _MOST:
        kept = kept[np.linspace(0, len(kept) - 1, _MOST).astype(np.int64)]
    if not len(kept):
        raise AlignmentError(f"Slide {slide!r} has no places on its {side} side; compare its other side with `using`.")
    mpp = float(catalogue.column("mpp")[kept[0]] or np.nan)
    if not np.isfinite(mpp):
        raise AlignmentError(f"Slide {slide!r} has no micrometres per pixel; ingest it again with its scale.")
    xy: Doubles = np.column_stack([catalogue.column(name)[kept] for name in ("x_px", "y_px")]).astype(np.float64)
    return _Places(kept, PointSet(xy * mpp, vectors_of(catalogue, kept, side).astype(np.float64)), mpp)


def _table(catalogue: Catalogue, rows: Rows, moved: Doubles, residual: Doubles, matched: Doubles) -> pa.Table:
    columns: dict[str, Any] = {
        "id": pa.array(catalogue.column("id")[rows].tolist(), pa.string()),
        "x_px": pa.array(catalogue.column("x_px")[rows].astype(np.float64)),
        "y_px": pa.array(catalogue.column("y_px")[rows].astype(np.float64)),
        "moved_x_px": pa.array(moved[:, 0]),
        "moved_y_px": pa.array(moved[:, 1]),
        "residual_um": pa.array(residual, pa.float32()),
        "matched": pa.array(matched, pa.float32()),
    }
    return pa.table(columns)


def _notes(sides: Sides, moving: _Places, residual: Doubles, catalogue: Catalogue) -> tuple[str, ...]:
    compared = f"Places compared by their {sides[0]} with the other slide's {sides[1]}"
    notes = [f"{compared}; places come to lie {np.median(residual):.0f} um from their counterparts (median)."]
    if len(moving.rows) == _MOST:
        notes.append(f"{_MOST:,} places of the slide were compared, spread evenly over it.")
    return (*notes, *catalogue.generated_note(moving.rows))
