"""Tangram in its own environment: labelled cells and spots from one file, proportions into another.

Cluster mode as its tutorial has it (Biancalani et al., Nat Methods 2021): cells scaled to a common total, the genes
given as training genes, mean profile of each cluster mapped to the spots, annotations projected and rows made to sum
to 1.
"""

import json
import sys
import time

import anndata
import numpy as np
import pandas as pd
import scipy.sparse as sp


def main(source: str, target: str) -> None:
    """Read `source`, map, write `target`, print the seconds as JSON."""
    import tangram  # type: ignore[import-not-found]  # here alone

    given = np.load(source)
    genes, labels, epochs = given["genes"].astype(str), given["labels"].astype(str), int(given["epochs"])
    cells = _adata(given["cells"], "c", genes)
    cells.X = cells.X / np.asarray(cells.X.sum(axis=1)).reshape(-1, 1) * 10_000
    cells.obs["type"] = pd.Categorical(labels)
    spots = _adata(given["spots"], "s", genes)
    start = time.perf_counter()
    tangram.pp_adatas(cells, spots, genes=given["markers"].astype(str).tolist())
    mapped = tangram.map_cells_to_space(
        cells,
        spots,
        mode="clusters",
        cluster_label="type",
        num_epochs=epochs,
        device="cpu",
        random_state=0,
        verbose=False,
    )
    tangram.project_cell_annotations(mapped, spots, annotation="type")
    seconds = time.perf_counter() - start
    predicted = spots.obsm["tangram_ct_pred"]
    types = sorted(set(labels.tolist()))
    shares = predicted[types].to_numpy()
    np.save(target, shares / shares.sum(axis=1, keepdims=True))
    json.dump({"seconds": seconds, "types": types}, sys.stdout)


def _adata(counts: np.ndarray, prefix: str, genes: np.ndarray) -> anndata.AnnData:
    obs = pd.DataFrame(index=[f"{prefix}{i}" for i in range(len(counts))])
    return anndata.AnnData(X=sp.csr_matrix(counts).toarray(), obs=obs, var=pd.DataFrame(index=genes))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
