"""Sections as the trainer wants them, from an index: its counts, with patches cut again or features made elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from encoders.contracts import PatchSpec
from encoders.profiles import OUTSIDE
from encoders.sections import ExpressionSection, FeatureSection, PairedSection
from indexer.errors import CountsError, SlideError
from indexer.features.tile_files import TileFile
from indexer.index import Index
from indexer.pairs import features_under_spots
from indexer.readers.pictures import open_picture
from indexer.tissue.tiles import read_patches

Rows = npt.NDArray[np.int64]
_PAIRED_KINDS = ("spot", "cell")
_LEFT_OUT = 0.005  # of a library outside the panel: below it, counts over the panel are the library


@dataclass(frozen=True, slots=True)
class IndexedSlide:
    """A slide of an index with the rows that can be trained on.

    Attributes
    ----------
    slide, patient, cohort, licence, citation : str
        Facts of the slide.
    rows : int64 (n,)
        Its spots or cells (where it has a picture, those with a position), else its transcriptomes; all with counts.
    has_picture : bool
        Whether it was ingested with an image side.
    image_path : Path or None
        Where its picture lay when it was ingested; `None` for generated slides and those of features alone.
    mpp : float or None
        Micrometres per level-0 pixel.
    """

    slide: str
    patient: str
    cohort: str
    licence: str
    citation: str
    rows: Rows
    has_picture: bool
    image_path: Path | None
    mpp: float | None


def indexed_slides(index: Index, *, slides: Sequence[str] | None = None) -> list[IndexedSlide]:
    """Slides of an index that hold counts, in its order; only those named, if any are.

    Raises
    ------
    SlideError
        If a named slide is not in the index or has no counts.
    """
    items = index.metadata()
    of_slide = items.column("slide").to_numpy(zero_copy_only=False).astype(str)
    kinds = items.column("kind").to_numpy(zero_copy_only=False).astype(str)
    filled = np.nan_to_num(items.column("total_counts").to_numpy(zero_copy_only=False).astype(np.float64)) > 0
    placed = ~np.isnan(items.column("x_px").to_numpy(zero_copy_only=False).astype(np.float64))
    usable = filled & np.isin(kinds, (*_PAIRED_KINDS, "transcriptome"))
    found = []
    for row in index.slides().to_pylist():
        has_picture = row["section_stats"] is not None or row["width_px"] is not None or row["n_tiles"] > 0
        own = usable & (of_slide == row["slide"])
        own &= (placed & np.isin(kinds, _PAIRED_KINDS)) if has_picture else True
        if own.any():
            found.append(_indexed(row, np.flatnonzero(own), has_picture=has_picture))
    names = [slide.slide for slide in found]
    missing = [name for name in slides or () if name not in names]
    if missing:
        raise SlideError(
            f"Slide {missing[0]!r} has no counts in this index, or is not in it; those with counts are "
            f"{', '.join(names[:8]) or 'none'}{' and others' if len(names) > 8 else ''}."
        )
    return [slide for slide in found if slides is None or slide.slide in slides]


def find_picture(slide: IndexedSlide, images: Path | None = None) -> Path:
    """Where the picture of a slide lies now.

    Parameters
    ----------
    images : Path, optional
        Folder that holds the pictures, at any depth, under the names they had; looked at before the old place.

    Raises
    ------
    SlideError
        If it is at neither place, or there are several of that name.
    """
    path = slide.image_path
    if path is None:
        raise SlideError(
            f"Slide {slide.slide} was ingested from no image file (it is generated, or of features made elsewhere), so "
            f"its patches cannot be cut again. Give features (--features), or train on other slides (--slide)."
        )
    if images is not None:
        found = sorted(images.rglob(path.name))
        if len(found) > 1:
            raise SlideError(f"{images} holds {len(found)} files {path.name}, such as {found[0]} and {found[1]}.")
        if found:
            return found[0]
    if path.is_file():
        return path
    looked = f"neither in {images} nor at {path}" if images is not None else f"not at {path} any more"
    raise SlideError(
        f"The picture of slide {slide.slide} is {looked}; say where the pictures are now with --images FOLDER."
    )


def read_indexed_pairs(
    index: Index, slide: IndexedSlide, patch: PatchSpec, *, images: Path | None = None
) -> PairedSection:
    """Cut a patch round every spot of a slide again, beside its counts.

    Raises
    ------
    SlideError
        If the picture is not found or cannot be read, is of another size than was ingested, or has no mpp.
    """
    if slide.mpp is None:
        raise SlideError(f"Slide {slide.slide} has no mpp in the index; ingest it again with one.")
    picture = open_picture(find_picture(slide, images))
    try:
        _check_size(index, slide, picture.size_px)
        xy_px = _positions(index, slide.rows)
        batches = read_patches(picture, xy_px, side_px=patch.side_um / slide.mpp, out_px=patch.side_px)
        patches = np.concatenate(list(batches))
    finally:
        picture.close()
    counts, genes = _counts(index, slide.rows)
    return PairedSection(slide.slide, slide.patient, patches, counts, genes)


def read_indexed_transcriptomes(index: Index, slide: IndexedSlide) -> ExpressionSection:
    """Counts of a slide's rows alone."""
    counts, genes = _counts(index, slide.rows)
    return ExpressionSection(slide.slide, slide.patient, counts, genes)


def read_indexed_features(index: Index, slide: IndexedSlide, file: TileFile) -> FeatureSection:
    """Counts of a slide's spots beside the features of the tile each lies on; spots on no tile are left out.

    Raises
    ------
    FeaturesError
        If the file holds patches, or does not say which encoder made its features.
    JoinError
        If fewer than half of the spots lie on a tile.
    """
    xy_px = _positions(index, slide.rows)
    on_tile, features, encoder = features_under_spots(file.read(slide.mpp), file.path, xy_px, slide=slide.slide)
    counts, genes = _counts(index, slide.rows[on_tile])
    return FeatureSection(slide.slide, slide.patient, features, encoder, counts, genes)


def _indexed(row: dict[str, object], rows: Rows, *, has_picture: bool) -> IndexedSlide:
    mpp = row["mpp"]
    return IndexedSlide(
        slide=str(row["slide"]),
        patient=str(row["patient"]),
        cohort=str(row["cohort"]),
        licence=str(row["licence"]),
        citation=str(row["citation"]),
        rows=rows,
        has_picture=has_picture,
        image_path=None if row["image_path"] is None else Path(str(row["image_path"])),
        mpp=None if mpp is None else float(str(mpp)),
    )


def _positions(index: Index, rows: Rows) -> npt.NDArray[np.float64]:
    items = index.metadata()
    return np.column_stack([items.column(name).to_numpy()[rows].astype(np.float64) for name in ("x_px", "y_px")])


def _check_size(index: Index, slide: IndexedSlide, size_px: tuple[int, int]) -> None:
    for row in index.slides().to_pylist():
        if row["slide"] == slide.slide and row["width_px"] is not None:
            stored = (int(row["width_px"]), int(row["height_px"]))
            if stored != size_px:
                raise SlideError(
                    f"The picture of slide {slide.slide} has {size_px[0]} x {size_px[1]} px; the one that was ingested "
                    f"had {stored[0]} x {stored[1]}. Give that picture."
                )


def _counts(index: Index, rows: Rows) -> tuple[sp.csr_matrix, tuple[str, ...]]:
    """Counts over the panel, and in a column of their own what the library has beside them."""
    counts = index.expression(rows)
    totals = index.metadata().column("total_counts").to_numpy()[rows].astype(np.float64)
    kept = np.asarray(counts.sum(axis=1), dtype=np.float64).ravel()
    rest = np.maximum(totals - kept, 0.0)
    if not (rest > _LEFT_OUT * totals).any():
        return counts, index.genes
    if not kept.any():
        raise CountsError("None of the counts of these items is in the panel of the index; ingest it with its genes.")
    return sp.csr_matrix(sp.hstack([counts, rest[:, None]], format="csr")), (*index.genes, OUTSIDE)
