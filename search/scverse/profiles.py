"""Counts of an AnnData under the symbols the index knows, and the vectors of its observations."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from encoders.contracts import Modality, SectionStats, Vectors, unit_rows
from encoders.space import Space
from indexer.genes.names import name_columns
from indexer.genes.tables import GeneTables
from search.catalogue import Catalogue, Mask
from search.errors import QueryError

if TYPE_CHECKING:
    import anndata

Using = Literal["counts", "image"]
_IDS = ("gene_ids", "gene_id", "ensembl_id", "ensembl_ids")
_BATCH = 256


@dataclass(frozen=True, slots=True)
class Profiles:
    """Counts of some observations.

    Attributes
    ----------
    counts : csr float32 (n_obs, n_genes)
        Raw counts over unique symbols.
    genes : tuple of str
        Symbol of each column.
    columns : tuple of str
        The symbol of each variable of the AnnData, empty where it is no gene of the index.
    """

    counts: sp.csr_matrix
    genes: tuple[str, ...]
    columns: tuple[str, ...]

    @property
    def filled(self) -> Mask:
        """Observations with at least one count, bool `(n_obs,)`."""
        return np.asarray(self.counts.sum(axis=1)).ravel() > 0


def symbols_of(adata: "anndata.AnnData", catalogue: Catalogue) -> tuple[str, ...]:
    """Symbol in the index of each variable, by symbol or Ensembl id; empty where it has none.

    Raises
    ------
    QueryError
        If none is known.
    """
    known = set(catalogue.index.genes)
    by_id = {i: g for i, g in zip(catalogue.index.ensembl_ids, catalogue.index.genes, strict=True) if i}
    names = [str(name) for name in adata.var_names]
    column = next((column for column in _IDS if column in adata.var), None)
    ids = names if column is None else [str(value) for value in adata.var[column]]
    found = tuple(
        name if name in known else by_id.get(name.split(".")[0], by_id.get(gene_id.split(".")[0], ""))
        for name, gene_id in zip(names, ids, strict=True)
    )
    if not any(found):
        raise QueryError(
            f"None of the {len(names):,} variables ({', '.join(names[:3])} ...) is a gene of this index, which holds "
            f"{', '.join(catalogue.index.genes[:3])} and others; put human symbols or Ensembl ids into var_names."
        )
    return found


def profiles_of(adata: "anndata.AnnData", catalogue: Catalogue, layer: str | None = None) -> Profiles:
    """Raw counts of an AnnData, from `X` or a layer.

    Raises
    ------
    QueryError
        If there is no such layer, a value is negative or not finite, or no gene is known.
    """
    if layer is not None and layer not in adata.layers:
        raise QueryError(f"There is no layer {layer!r}; the AnnData has {', '.join(adata.layers) or 'none'}.")
    given: Any = adata.X if layer is None else adata.layers[layer]
    if given is None:
        raise QueryError("The AnnData has no X; give raw counts in X, or name the layer that has them.")
    counts = sp.csr_matrix(given, dtype=np.float32)
    if counts.nnz and not (np.isfinite(counts.data).all() and counts.data.min() >= 0):
        raise QueryError("X holds negative or missing values; give raw counts, in X or in a layer that is named.")
    symbols = symbols_of(adata, catalogue)
    summed, genes, _ = name_columns(counts[:, np.flatnonzero(symbols)], [s for s in symbols if s], None, GeneTables())
    return Profiles(sp.csr_matrix(summed), genes, symbols)


def vectors_from_counts(profiles: Profiles, space: Space) -> Vectors:
    """Unit vectors of observations with counts, as of one section, float32 `(n_filled, dim)`."""
    filled = sp.csr_matrix(profiles.counts[profiles.filled])
    return space.expression.encode_counts(filled, profiles.genes, by_section=True).vectors


def vectors_from_picture(adata: "anndata.AnnData", space: Space, picture: str | Path, mpp: float | None) -> Vectors:
    """Unit vectors of the tissue around each observation, float32 `(n_obs, dim)`.

    Parameters
    ----------
    adata : AnnData
        With `obsm['spatial']`: centres in level-0 pixels, `(x, y)`.
    space : Space
        Its image encoder looks at patches of its own size.
    picture : str or Path
        The slide's picture.
    mpp : float, optional
        Micrometres per level-0 pixel; by default what the file says.

    Raises
    ------
    QueryError
        If the positions are missing or lie outside the picture, or the mpp is known to nobody.
    SlideError
        If the picture cannot be read.
    """
    from indexer.readers.pictures import open_picture, picture_mpp

    mpp = mpp or picture_mpp(Path(picture))
    if mpp is None or not (np.isfinite(mpp) and mpp > 0):
        raise QueryError(f"{picture} does not say how large its pixels are; give mpp, micrometres per pixel.")
    image = open_picture(Path(picture))
    try:
        xy = _places(adata, image.size_px)
        spec = space.image.patch
        patches = np.stack([image.read(x, y, spec.side_um / mpp, spec.side_px) for x, y in xy.tolist()])
    finally:
        image.close()
    stain = space.image.stain_of(patches)
    parts = [space.image.features(patches[i : i + _BATCH], stain=stain) for i in range(0, len(patches), _BATCH)]
    features = np.concatenate(parts)
    stats = SectionStats(stain, features.mean(axis=0, dtype=np.float64).astype(np.float32))
    return space.image.project(features, centre=stats.centre)


def vectors_from_obsm(adata: "anndata.AnnData", key: str, dim: int) -> Vectors:
    """Vectors that were made before, scaled to length 1; raises `QueryError` if they do not fit the space."""
    if key not in adata.obsm:
        raise QueryError(f"There is no obsm[{key!r}]; the AnnData has {', '.join(adata.obsm) or 'none'}.")
    given = np.asarray(adata.obsm[key], dtype=np.float32)
    if given.ndim != 2 or given.shape[1] != dim or not np.isfinite(given).all() or not given.any(axis=1).all():
        raise QueryError(f"obsm[{key!r}] is {given.shape}; expected finite vectors of {dim} dimensions, none zero.")
    return unit_rows(given)


def modality_of(using: Using) -> Modality:
    """The side of the space that counts or pictures are on."""
    return "expression" if using == "counts" else "image"


def _places(adata: "anndata.AnnData", size_px: tuple[int, int]) -> npt.NDArray[np.float64]:
    if "spatial" not in adata.obsm:
        raise QueryError("There is no obsm['spatial']; give the centres of the observations in level-0 pixels (x, y).")
    xy = np.asarray(adata.obsm["spatial"], dtype=np.float64)
    inside = xy.ndim == 2 and xy.shape[1] == 2 and np.isfinite(xy).all()
    if not inside or not ((xy >= 0) & (xy <= np.array(size_px))).all():
        raise QueryError(
            f"obsm['spatial'] {xy.shape} has places outside the picture of {size_px[0]} x {size_px[1]} px; expected "
            "centres in level-0 pixels (x, y), two columns."
        )
    return xy
