"""Predicted expression of a slide as AnnData, by the conventions of scverse."""

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy.sparse as sp

from search.catalogue import Catalogue
from search.expression.slide_prediction import SlidePrediction
from search.item_rows import vectors_of

if TYPE_CHECKING:
    import anndata


def prediction_anndata(found: SlidePrediction, catalogue: Catalogue) -> "anndata.AnnData":
    """Places as observations, genes as variables.

    `X` and `layers['counts']` hold measured raw counts (empty rows where a place has none, see `obs['has_counts']`),
    `layers['predicted']` and `layers['predicted_sd']` log(1 + counts per 10,000); `obsm['spatial']` the centres in
    level-0 pixels `(x, y)`, `obsm['X_<space>']` the vectors asked with; `var` the Ensembl id and the measured
    predictability; `uns['histoseek']` where everything comes from.
    """
    import anndata
    import pandas as pd

    ids = found.table.column("id").to_pylist()
    rows = catalogue.rows_of(ids)
    place = {gene: column for column, gene in enumerate(catalogue.index.genes)}
    columns = [place[gene] for gene in found.genes]
    counts = sp.csr_matrix(catalogue.index.expression(rows)[:, columns], dtype=np.float32)
    obs = pd.DataFrame(
        {
            "slide": pd.Categorical([found.slide] * len(ids)),
            "library_id": pd.Categorical([found.slide] * len(ids)),
            "patient": pd.Categorical([found.patient or ""] * len(ids)),
            "kind": pd.Categorical(found.table.column("kind").to_pylist()),
            "has_counts": np.isfinite(found.measured).all(axis=1),
            "n_effective": found.table.column("n_effective").to_numpy(),
        },
        index=pd.Index(ids, dtype=object),
    )
    ensembl = catalogue.index.ensembl_ids
    var = pd.DataFrame(
        {
            "gene_id": [ensembl[column] or "" for column in columns],
            "predictability": found.r,
            "predictable": found.predictable(),
            "r_here": found.r_here,
        },
        index=pd.Index(found.genes, dtype=object),
    )
    made = anndata.AnnData(X=counts, obs=obs, var=var)
    made.layers["counts"] = counts.copy()
    made.layers["predicted"] = found.predicted
    made.layers["predicted_sd"] = found.sd
    xy = [found.table.column(name).to_numpy(zero_copy_only=False) for name in ("x_px", "y_px")]
    made.obsm["spatial"] = np.column_stack(xy).astype(np.float64)
    made.obsm[f"X_{catalogue.index.card.space.name}"] = vectors_of(catalogue, rows, found.modality)
    made.uns["histoseek"] = _provenance(found, catalogue)
    return made


def _provenance(found: SlidePrediction, catalogue: Catalogue) -> dict[str, Any]:
    space = catalogue.index.card.space
    slides = catalogue.index.slides().to_pylist()
    return {
        "verb": "predict",
        "index": str(catalogue.index.location),
        "index_version": catalogue.index.card.version,
        "space": space.name,
        "space_revision": space.revision,
        "space_licence": space.licence,
        "licences": sorted({f"{row['cohort']}: {row['licence']}" for row in slides}),
        "citations": sorted({row["citation"] for row in slides}),
        "generated": any(row["generated"] for row in slides),
        "slide": found.slide,
        "modality": found.modality,
        "mode": found.mode,
        "temperature": np.nan if found.temperature is None else found.temperature,
        "n_neighbours": found.n_neighbours,
        "predictability_of_chance": found.r_chance,
        "excluded_patients": list(found.excluded_patients),
        "units": "log(1 + counts per 10,000)",
        "positions": "centres, level-0 pixels, (x, y)",
        "query": json.dumps(found.query),
        "notes": list(found.notes),
    }
