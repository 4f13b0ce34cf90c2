"""Nearest neighbours on log-counts, without any learned space: the floor of label retrieval."""

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from search.quality.label_neighbours import Rows, Similarity

KNN, KNN_CENTRED = "kNN on log-counts", "kNN on log-counts centred by section"
_N_GENES = 2_000


def count_similarities(log_counts: sp.csr_matrix, slides: npt.NDArray[np.str_]) -> dict[str, Similarity]:
    """Cosines of log-counts, and of the same centred on each section's own mean.

    Parameters
    ----------
    log_counts : csr_matrix (n, n_genes)
        log1p of counts per 10,000; all genes are used for the plain cosine, the 2,000 most variable for the other.
    slides : str (n,)
        Section of each row.
    """
    plain = _unit_sparse(log_counts)
    centred = _centred(log_counts, slides)

    def by_counts(first: Rows, second: Rows) -> npt.NDArray[np.floating]:
        return np.asarray((plain[first] @ plain[second].T).todense())

    return {KNN: by_counts, KNN_CENTRED: lambda first, second: centred[first] @ centred[second].T}


def _unit_sparse(values: sp.csr_matrix) -> sp.csr_matrix:
    norms = np.sqrt(np.asarray(values.multiply(values).sum(axis=1)).ravel())
    return sp.csr_matrix(sp.diags(np.divide(1.0, norms, out=np.zeros_like(norms), where=norms > 0)) @ values)


def _centred(values: sp.csr_matrix, slides: npt.NDArray[np.str_]) -> npt.NDArray[np.float32]:
    mean = np.asarray(values.mean(axis=0)).ravel()
    variance = np.asarray(values.multiply(values).mean(axis=0)).ravel() - mean**2
    dense = np.asarray(values[:, np.sort(np.argsort(-variance, kind="stable")[:_N_GENES])].todense(), dtype=np.float32)
    for slide in np.unique(slides):
        dense[slides == slide] -= dense[slides == slide].mean(axis=0)
    norms = np.linalg.norm(dense, axis=1, keepdims=True)
    unit: npt.NDArray[np.float32] = np.divide(dense, norms, out=np.zeros_like(dense), where=norms > 0)
    return unit
