"""Cell types of the observations of an AnnData, from their counts."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import scipy.sparse as sp

from search.cells.decomposition import ShareOf, amounts_of, gene_scales, marker_system, shares_of
from search.cells.reference import CellReference
from search.engine import Engine
from search.errors import QueryError
from search.profiles import PER
from search.scverse.profiles import profiles_of

if TYPE_CHECKING:
    import anndata


def decompose(
    adata: "anndata.AnnData",
    engine: Engine,
    reference: CellReference,
    *,
    markers: Sequence[str] | None = None,
    method: Literal["reweighted", "plain"] = "reweighted",
    of: ShareOf = "cells",
    layer: str | None = None,
    key_added: str = "cell_type_fractions",
) -> None:
    """Tell the cell types of every observation from its own raw counts.

    Adds the data frame `obsm[key_added]`, a column a type, whose rows sum to 1 (NaN where an observation has no count
    of a marker gene), and `uns['histoseek'][key_added]`. `X` is not touched. The observations are taken for one
    section.

    Parameters
    ----------
    adata : AnnData
        Raw counts in `X`, or in `layer`; symbols or Ensembl ids in `var_names`.
    engine : Engine
        An index, for the names of genes.
    reference : CellReference
        Cell types.
    markers : sequence of str, optional
        Genes to decompose on; by default chosen from the reference.
    method : {"reweighted", "plain"}
        How genes are weighted; see `search.cells.decomposition.amounts_of`.
    of : {"cells", "rna"}
        What the proportions are shares of.
    layer : str, optional
        Layer with raw counts.
    key_added : str
        Name of the results.

    Raises
    ------
    CellReferenceError
        If reference and counts share no gene.
    QueryError
        If the counts are not raw counts or no gene is known.
    """
    import pandas as pd

    profiles = profiles_of(adata, engine.catalogue, layer)
    system = marker_system(reference, profiles.genes, markers=markers)
    totals = np.asarray(profiles.counts.sum(axis=1), dtype=np.float64).ravel()
    counts = sp.csr_matrix(profiles.counts[:, system.columns]).toarray().astype(np.float64)
    there = counts.any(axis=1)
    if not there.any():
        raise QueryError("No observation has a count of a marker gene of the reference; there is nothing to decompose.")
    values = counts[there] * (PER / totals[there, None])
    amounts = amounts_of(system, values, method=method, scales=gene_scales(system, values))
    shares = np.full((adata.n_obs, len(reference.types)), np.nan)
    shares[there] = shares_of(system, amounts, of)
    adata.obsm[key_added] = pd.DataFrame(shares, index=adata.obs_names, columns=list(reference.types))
    told = {"verb": "decompose", "method": method, "shares_of": of, "n_markers": len(system.genes)}
    adata.uns["histoseek"] = dict(adata.uns.get("histoseek", {})) | {key_added: told}
