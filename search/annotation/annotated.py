"""Classes as an `AnnData`, by the conventions of scverse."""

import json
from typing import TYPE_CHECKING

import numpy as np

from search.annotation.annotate import Annotation
from search.catalogue import Catalogue

if TYPE_CHECKING:
    import anndata

_CATEGORIES = ("slide", "class", "best_class")


def annotation_anndata(found: Annotation, catalogue: Catalogue) -> "anndata.AnnData":
    """Items with their counts and classes.

    `X` holds counts over the panel, csr float32, empty rows where there are none; `obs` the classes, margins and
    p-values; `obsm['annotation']` the probability of each class (a data frame), `obsm['spatial']` centres in level-0
    pixels `(x, y)`; `var['gene_id']` Ensembl ids; `uns['histoseek']` what was asked, and the notes, as JSON.
    """
    import anndata as ad
    import pandas as pd  # the command line does without, unless it writes this file

    frame = found.to_pandas().set_index("id").rename_axis(None)
    index = catalogue.index
    genes = pd.DataFrame({"gene_id": [one or "" for one in index.ensembl_ids]}, index=pd.Index(index.genes))
    kept = frame[["slide", "class", "best_class", "margin", "p_value", "fdr"]]
    obs = kept.assign(**{name: kept[name].astype("category") for name in _CATEGORIES})
    made = ad.AnnData(X=index.expression(catalogue.rows_of(frame.index.tolist())), obs=obs, var=genes)
    made.obsm["spatial"] = frame[["x_px", "y_px"]].to_numpy(dtype=np.float64)
    probabilities = frame[[f"prob_{name}" for name in found.classes]]
    made.obsm["annotation"] = probabilities.set_axis(list(found.classes), axis=1)
    made.uns["histoseek"] = {"query": json.dumps(found.query), "notes": json.dumps(list(found.notes))}
    return made
