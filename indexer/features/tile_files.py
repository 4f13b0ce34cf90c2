"""Files that hold the tiles of one slide: features of TRIDENT, CLAM or LazySlide, or patches of HEST."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from indexer.errors import FeaturesError
from indexer.readers.features import HestPatches, TileFeatures, read_clam, read_hest_patches, read_trident
from indexer.readers.lazyslide import LazySlideStore, is_store
from indexer.slides import SlideFacts

TileFormat = Literal["trident", "clam", "hest", "lazyslide"]
FORMATS: tuple[TileFormat, ...] = get_args(TileFormat)
HEST_MPP = 0.5  # at which HEST cuts its patches
_SUFFIXES = (".h5", ".hdf5", ".pt")
_PATCHES = "patches"


@dataclass(frozen=True, slots=True)
class TileFile:
    """Where the tiles of one slide are, and what its file does not say itself.

    Attributes
    ----------
    path : Path
        Features or patches.
    format : {"trident", "clam", "hest", "lazyslide"}
        Whose layout it has.
    patches : Path or None
        CLAM's `patches/<slide>.h5` of the same run.
    side_px : float or None
        Side of a tile in level-0 pixels, for CLAM without `patches`.
    encoder : str or None
        What made the features, for CLAM, which does not write it down, and stores of LazySlide with several.
    """

    path: Path
    format: TileFormat
    patches: Path | None = None
    side_px: float | None = None
    encoder: str | None = None

    @property
    def slide(self) -> str:
        """Name of the slide, which is the file's."""
        return self.path.stem

    @property
    def paths(self) -> tuple[Path, ...]:
        """Files that decide what is read. Raises `FeaturesError`."""
        if self.format == "lazyslide":
            return self._store.files
        return tuple(path for path in (self.path, self.patches) if path is not None)

    @property
    def stated(self) -> str:
        """What was said of it beside its files, which decides what is read too."""
        return json.dumps([self.format, self.side_px, self.encoder])

    def mpp(self) -> float | None:
        """Micrometres per level-0 pixel as TRIDENT's attributes imply it or LazySlide says; `None` elsewhere."""
        if self.format == "lazyslide":
            return self._store.mpp()
        return _trident_mpp(_attributes(self.path)) if self.format == "trident" else None

    def tile_um(self) -> float | None:
        """Side of a tile in micrometres as TRIDENT or LazySlide meant it; `None` elsewhere."""
        if self.format == "lazyslide":
            return self._store.tile_um()
        if self.format != "trident":
            return None
        found = _attributes(self.path)
        size, magnification = found.get("patch_size"), found.get("target_magnification")
        return None if not size or not magnification else float(size) * 10 / float(magnification)

    def read(self, mpp: float | None) -> TileFeatures | HestPatches:
        """Tiles with their centres; `mpp`, micrometres per level-0 pixel, is needed for HEST files without a side.

        Raises
        ------
        FeaturesError, CheckpointError
            If a file is damaged, lacks a part, or its parts do not fit together.
        SpaceMismatchError
            If features have another length than the encoder said to have made them.
        """
        if self.format == "trident":
            return read_trident(self.path)
        if self.format == "clam":
            return read_clam(self.path, patches=self.patches, side_px=self.side_px, encoder=self.encoder)
        if self.format == "lazyslide":
            return self._store.read()
        return read_hest_patches(self.path, side_px=self._hest_side_px(mpp))

    @property
    def _store(self) -> LazySlideStore:
        return LazySlideStore(self.path, self.encoder)

    def _hest_side_px(self, mpp: float | None) -> float:
        if self.side_px is not None:
            return self.side_px
        found = _attributes(self.path)
        if found.get("patch_size_src"):
            return float(found["patch_size_src"])
        if mpp is None or not found.get("n_px"):
            raise FeaturesError(
                f"{self.path} does not say how large its patches are at level 0, and the slide has no mpp; give the "
                f"slide's mpp, or the side of a patch in level-0 pixels."
            )
        return float(found["n_px"]) * HEST_MPP / mpp


def tile_files(
    place: Path,
    *,
    layout: TileFormat | None = None,
    patches: Path | None = None,
    side_px: float | None = None,
    encoder: str | None = None,
) -> list[TileFile]:
    """Find the tile files at a place, one a slide, sorted by name.

    Parameters
    ----------
    place : Path
        One file, or a folder: `features_<encoder>` of TRIDENT, the features of CLAM (or the folder above `h5_files`
        and `pt_files`), `patches` of HEST or the folder above it, a zarr store of LazySlide or a folder of them.
    layout : {"trident", "clam", "hest", "lazyslide"}, optional
        Whose layout; by default told from each file.
    patches : Path, optional
        Folder `patches` of a CLAM run; by default looked for beside the features.
    side_px, encoder : optional
        See `TileFile`.

    Raises
    ------
    FeaturesError
        If there is no such place or no file in it, the layout is not known, or a slide has two files.
    """
    if layout is not None and layout not in FORMATS:
        raise FeaturesError(f"Features of format {layout!r} are not read; expected one of {', '.join(FORMATS)}.")
    if not place.exists():
        raise FeaturesError(
            f"There is no file or folder {place}; expected features of TRIDENT, CLAM or LazySlide, or HEST."
        )
    files = [place] if place.is_file() or is_store(place) else _files_in(place)
    if not files:
        raise FeaturesError(
            f"{place} holds no file ending in {', '.join(_SUFFIXES)}, and no .zarr; give the folder of the features."
        )
    found = []
    for path in files:
        own = layout or layout_of(path)
        beside = _clam_patches(path, place, patches) if own == "clam" else None
        found.append(TileFile(path, own, beside, side_px, encoder))
    return found


def layout_of(path: Path) -> TileFormat:
    """Whose layout a file has: `img` is HEST's, the size of a patch at level 0 TRIDENT's, anything else CLAM's.

    Raises `FeaturesError` for a damaged file.
    """
    if path.suffix == ".pt":
        return "clam"
    if path.is_dir():
        return "lazyslide"
    found = _attributes(path)
    if "n_px" in found:
        return "hest"
    return "trident" if "patch_size_level0" in found else "clam"


def clashing_mpp(file: TileFile, facts: SlideFacts, *, tolerance: float) -> str | None:
    """What is wrong with the mpp of a slide beside that of its tile file; `None` if they agree or one is not known."""
    own = file.mpp()
    if own is None or facts.mpp is None or abs(facts.mpp / own - 1) <= tolerance:
        return None
    return (
        f"Slide {facts.slide} has mpp {facts.mpp:g} ({facts.mpp_source}), but {file.path.name} was made at {own:.3g} "
        f"um/px. Correct the mpp of one of them."
    )


def _files_in(folder: Path) -> list[Path]:
    """Files of the folder itself, else of the sub-folder that HEST or CLAM puts them in; h5 before pt."""
    for below in (folder, folder / "h5_files", folder / "pt_files", folder / _PATCHES):
        files = sorted(path for path in below.glob("*") if _is_tile_file(path))
        if files:
            by_slide: dict[str, Path] = {}
            for path in files:
                if path.stem in by_slide:
                    raise FeaturesError(
                        f"{below} has two files of slide {path.stem!r}: {by_slide[path.stem].name} and {path.name}; "
                        f"expected one. Move one of them away."
                    )
                by_slide[path.stem] = path
            return files
    return []


def _is_tile_file(path: Path) -> bool:
    return path.is_file() if path.suffix in _SUFFIXES else path.suffix == ".zarr" and is_store(path)


def _clam_patches(path: Path, place: Path, patches: Path | None) -> Path | None:
    if patches is not None and patches.is_file():
        return patches
    folders = [patches] if patches is not None else [p / _PATCHES for p in (place, *list(path.parents)[:3])]
    found = (folder / f"{path.stem}.h5" for folder in folders)
    return next((file for file in found if file.is_file() and file != path), None)


def _trident_mpp(found: dict[str, Any]) -> float | None:
    needed = [found.get(name) for name in ("target_magnification", "patch_size", "patch_size_level0")]
    if not all(isinstance(value, int | float) and value > 0 for value in needed):
        return None
    magnification, size, at_level0 = (float(value) for value in needed if value is not None)
    return 10 / magnification * size / at_level0


def _attributes(path: Path) -> dict[str, Any]:
    """Plain attributes of all data sets of a file, and `n_px`, the side of its pictures, where it has some."""
    import h5py
    import numpy as np

    if not path.is_file():
        raise FeaturesError(f"There is no file {path}; expected an h5 file of features or patches.")
    try:
        with h5py.File(path, "r") as file:
            found: dict[str, Any] = {}
            for name in file:
                attributes = file[name].attrs.items()
                found |= {k: v.tolist() if isinstance(v, np.generic | np.ndarray) else v for k, v in attributes}
            if "img" in file and file["img"].ndim == 4:
                found["n_px"] = int(file["img"].shape[1])
            return found
    except OSError as error:
        raise FeaturesError(f"{path} is damaged or not an h5 file ({error}); get it again.") from error
