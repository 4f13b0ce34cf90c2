"""Readers of tile features made elsewhere: TRIDENT h5, CLAM h5 and pt, HEST patch h5.

All three store the top-left corner of a tile in level-0 pixels; what is returned are centres, as everywhere in
HistoSeek: corner plus half the tile's side at level 0.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from encoders.catalogue import known_encoder
from encoders.weights import read_tensor
from indexer.errors import FeaturesError
from indexer.slides import Pixels

Points = npt.NDArray[np.float64]
Features = npt.NDArray[np.float32]
Attribute = str | int | float | list[float]
Origin = Literal["top-left", "centre"]

#: TRIDENT's names of encoders that the catalogue has; its `resnet50` stops a stage earlier than `resnet-50`.
TRIDENT_NAMES = {
    "uni_v1": "uni",
    "uni_v2": "uni2-h",
    "conch_v1": "conch",
    "conch_v15": "conch-v1.5",
    "virchow": "virchow",
    "virchow2": "virchow2",
    "hoptimus0": "h-optimus-0",
    "phikon": "phikon",
    "gigapath": "gigapath",
    "ctranspath": "ctranspath",
}


@dataclass(frozen=True, slots=True)
class TileFeatures:
    """Tiles of one slide with the features somebody else made of them.

    Attributes
    ----------
    slide : str
        Name of the slide: as the file says, else the file's own.
    encoder : str or None
        What made the features, by its name in the catalogue where that has it; `None` where the file does not say.
    xy_px : float64 (n, 2)
        Centres in level-0 pixels, `(x, y)`.
    side_px : float
        Side of a tile in level-0 pixels.
    features : float32 (n, dim)
        As made, not normalised.
    attributes : dict
        What else the file says: magnifications, overlap, patch size.
    """

    slide: str
    encoder: str | None
    xy_px: Points
    side_px: float
    features: Features
    attributes: dict[str, Attribute]


@dataclass(frozen=True, slots=True)
class HestPatches:
    """Patches of one HEST sample; pixels stay in the file until asked for.

    Attributes
    ----------
    path : Path
        The h5 file.
    names : tuple of str
        Barcode of each patch's spot.
    xy_px : float64 (n, 2)
        Centres in level-0 pixels, `(x, y)`.
    side_px : float
        Side of a patch in level-0 pixels.
    """

    path: Path
    names: tuple[str, ...]
    xy_px: Points
    side_px: float

    def pixels(self, start: int, stop: int) -> Pixels:
        """RGB uint8 `(stop - start, side, side, 3)` of patches `start` to `stop`."""
        with _opened(self.path) as file:
            return np.asarray(file["img"][start:stop], dtype=np.uint8)


def read_trident(path: Path) -> TileFeatures:
    """Features of one slide from `features_<encoder>/<slide>.h5` of TRIDENT.

    Raises
    ------
    FeaturesError
        If the file is damaged, lacks features, coordinates or the size of a patch, or these do not fit together.
    SpaceMismatchError
        If the vectors have another dimension than the encoder that is said to have made them.
    """
    with _opened(path) as file:
        features, corners = _array(file, "features", path), _array(file, "coords", path)
        attributes = {**_attributes(file["coords"]), **_attributes(file["features"])}
    side = attributes.get("patch_size_level0")
    if not isinstance(side, int | float):
        raise FeaturesError(
            f"{path} does not say how large a patch is at level 0 (attribute 'patch_size_level0' of 'coords'); make "
            f"the features again with TRIDENT 0.1 or newer."
        )
    encoder = str(attributes["encoder"]) if "encoder" in attributes else None
    return tile_features(path, features, corners, side_px=float(side), attributes=attributes, encoder=encoder)


def read_clam(
    path: Path, *, patches: Path | None = None, side_px: float | None = None, encoder: str | None = None
) -> TileFeatures:
    """Features of one slide from `h5_files/<slide>.h5` or `pt_files/<slide>.pt` of CLAM.

    Parameters
    ----------
    path : Path
        The features; a `.pt` file is read with `weights_only=True` and needs `patches` for its coordinates.
    patches : Path, optional
        `patches/<slide>.h5` of the same run, which says how large a patch is: patch size times downsample.
    side_px : float, optional
        Side of a patch in level-0 pixels, where there is no `patches`.
    encoder : str, optional
        What made the features, which CLAM does not write down; a name of the catalogue is checked by its dimensions.

    Raises
    ------
    FeaturesError, CheckpointError
        If a file is damaged, the size of a patch is not known, or features and coordinates do not fit together.
    SpaceMismatchError
        If the vectors have another dimension than `encoder`.
    """
    corners: npt.NDArray[Any] | None = None
    attributes: dict[str, Attribute] = {}
    if patches is not None:
        corners, attributes = _clam_patches(patches)
    if path.suffix == ".pt":
        features = read_tensor(path).float().numpy()
    else:
        with _opened(path) as file:
            features = _array(file, "features", path)
            corners = _array(file, "coords", path)
    if corners is None:
        raise FeaturesError(f"{path} has no coordinates; give the run's patches/{path.stem}.h5 as well.")
    side = _clam_side(attributes) if side_px is None else side_px
    if side is None:
        raise FeaturesError(
            f"{path} does not say how large a patch is; give the run's patches/{path.stem}.h5, or its side in level-0 "
            f"pixels."
        )
    return tile_features(path, features, corners, side_px=side, attributes=attributes, encoder=encoder)


def read_hest_patches(path: Path, *, side_px: float, origin: Origin = "top-left") -> HestPatches:
    """Patches of one HEST sample from `patches/<id>.h5`.

    Parameters
    ----------
    path : Path
        The file, with `img`, `coords` and `barcode`.
    side_px : float
        Side of a patch in level-0 pixels: 112 um for the 224 px at 0.5 um/px of HEST, over the sample's um/px.
    origin : `top-left` or `centre`
        What `coords` are. HEST writes corners; files written by others from spot positions may hold centres.

    Raises
    ------
    FeaturesError
        If the file is damaged or lacks a part, or its parts do not fit together.
    """
    with _opened(path) as file:
        corners, barcodes = _array(file, "coords", path), _array(file, "barcode", path)
        shape: tuple[int, ...] = file["img"].shape if "img" in file else ()
    names = tuple(name.decode() if isinstance(name, bytes) else str(name) for name in barcodes.ravel())
    if len(shape) != 4 or shape[-1] != 3:
        raise FeaturesError(f"{path} has pictures of shape {shape}; expected 'img' of (n, side, side, 3).")
    _check_rows(path, {"img": shape[0], "coords": len(corners), "barcode": len(names)})
    return HestPatches(path, names, _centres(path, corners, side_px, origin), side_px)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    import h5py

    if not path.is_file():
        raise FeaturesError(f"There is no file {path}; expected an h5 file of features or patches.")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise FeaturesError(f"{path} is damaged or not an h5 file ({error}); get it again.") from error
    with file:
        yield file


def _array(file: Any, name: str, path: Path) -> npt.NDArray[Any]:
    if name not in file:
        raise FeaturesError(f"{path} has {', '.join(map(repr, file)) or 'nothing'} in it; expected {name!r}.")
    try:
        return np.asarray(file[name][()])
    except OSError as error:
        raise FeaturesError(f"{path} is damaged in {name!r} ({error}); get it again.") from error


def _attributes(dataset: Any) -> dict[str, Attribute]:
    def plain(value: Any) -> Attribute:
        if isinstance(value, bytes):
            return value.decode()
        listed: Attribute = value.tolist() if isinstance(value, np.generic | np.ndarray) else value
        return listed

    return {str(name): plain(value) for name, value in dataset.attrs.items()}


def _clam_patches(path: Path) -> tuple[npt.NDArray[Any], dict[str, Attribute]]:
    with _opened(path) as file:
        return _array(file, "coords", path), _attributes(file["coords"])


def _clam_side(attributes: dict[str, Attribute]) -> float | None:
    size, factor = attributes.get("patch_size"), attributes.get("downsample", 1.0)
    if not isinstance(size, int | float):
        return None
    factor = factor[0] if isinstance(factor, list) else factor  # CLAM writes it for x and y, or once
    return float(size) * float(factor)


def tile_features(
    path: Path,
    features: npt.NDArray[Any],
    corners: npt.NDArray[Any],
    *,
    side_px: float,
    attributes: dict[str, Attribute],
    encoder: str | None,
) -> TileFeatures:
    """Tiles of a slide from features and top-left corners, checked; errors as `read_trident`."""
    if features.ndim != 2 or not features.shape[1]:
        raise FeaturesError(f"{path} has features of shape {features.shape}; expected (n, dim).")
    _check_rows(path, {"features": len(features), "coords": len(corners)})
    n_bad = int(np.count_nonzero(~np.isfinite(features).all(axis=1)))
    if n_bad:
        raise FeaturesError(f"{path}: {n_bad} of {len(features)} features are NaN or infinite; make them again.")
    name = TRIDENT_NAMES.get(encoder, encoder) if encoder else None
    if name in TRIDENT_NAMES.values():
        known_encoder(str(name)).check_dim(features.shape[1])
    return TileFeatures(
        slide=str(attributes.get("name") or path.stem),
        encoder=name,
        xy_px=_centres(path, corners, side_px, "top-left"),
        side_px=side_px,
        features=features.astype(np.float32),
        attributes=attributes,
    )


def _check_rows(path: Path, n_rows: dict[str, int]) -> None:
    if len(set(n_rows.values())) > 1:
        found = ", ".join(f"{n:,} {name}" for name, n in n_rows.items())
        raise FeaturesError(f"{path} does not fit together: {found}; expected one of each a tile.")


def _centres(path: Path, points: npt.NDArray[Any], side_px: float, origin: Origin) -> Points:
    if points.ndim != 2 or points.shape[1] != 2 or not np.isfinite(points).all():
        raise FeaturesError(f"{path} has coordinates of shape {points.shape}; expected finite (n, 2), x before y.")
    if not 0 < side_px < float("inf"):
        raise FeaturesError(f"A tile of {side_px:g} px cannot be; give its side in level-0 pixels, above 0.")
    return points.astype(np.float64) + (side_px / 2 if origin == "top-left" else 0.0)
