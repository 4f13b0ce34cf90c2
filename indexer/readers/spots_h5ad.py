"""Reader of spots in an h5ad file: raw counts in `X`, centres in `obsm["spatial"]` (level-0 pixels), as in HEST."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from indexer.errors import JoinError
from indexer.genes.panel import sum_duplicates, unique_genes
from indexer.readers.anndata_file import open_h5ad
from indexer.readers.h5ad_cells import checked_counts
from indexer.slides import Expression

_LOG = logging.getLogger(__name__)
_SPATIAL = "spatial"


def read_spot_genes(path: Path) -> Sequence[str]:
    """Unique symbols of the genes, without reading the counts. Raises `CountsError`."""
    file = open_h5ad(path, backed="r")
    genes = [str(symbol) for symbol in file.var_names]
    file.file.close()
    return unique_genes(genes)[0]


def read_spots(path: Path, *, mpp: float | None) -> Expression:
    """Counts and positions of the spots of one section.

    Parameters
    ----------
    path : Path
        The h5ad file; without `obsm["spatial"]` its rows have no position.
    mpp : float or None
        Micrometres per level-0 pixel, which turns the spots' diameter into micrometres.

    Raises
    ------
    CountsError
        If the file cannot be read, or `X` holds anything but raw counts.
    JoinError
        If the positions are not finite `(n, 2)`.
    """
    file = open_h5ad(path, backed=None)
    counts, genes, duplicated = sum_duplicates(checked_counts(file.X, path.name), [str(s) for s in file.var_names])
    if duplicated:
        _LOG.warning("%s: added up the repeated columns of %d genes", path.name, len(duplicated))
    diameter_px = _diameter_px(file.uns)
    return Expression(
        names=tuple(str(name) for name in file.obs_names),
        counts=counts,
        genes=genes,
        xy_px=_positions(file, path),
        spot_um=None if diameter_px is None or mpp is None else diameter_px * mpp,
    )


def _positions(file: Any, path: Path) -> npt.NDArray[np.float64] | None:
    if _SPATIAL not in file.obsm:
        return None
    xy = np.asarray(file.obsm[_SPATIAL], dtype=np.float64)
    if xy.ndim != 2 or xy.shape[1] != 2 or not np.isfinite(xy).all():
        raise JoinError(
            f"{path.name} has positions of shape {xy.shape} in obsm[{_SPATIAL!r}]; expected finite (n, 2), x before y, "
            "in level-0 pixels."
        )
    return xy


def _diameter_px(uns: Any) -> float | None:
    """Diameter of a spot in level-0 pixels, where the file says it as Space Ranger does."""
    libraries = uns.get(_SPATIAL)
    if not isinstance(libraries, dict):
        return None
    for library in libraries.values():
        factors = library.get("scalefactors", {}) if isinstance(library, dict) else {}
        if "spot_diameter_fullres" in factors:
            return float(factors["spot_diameter_fullres"])
    return None
