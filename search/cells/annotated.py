"""The cell types of a slide as AnnData, by the conventions of scverse."""

import json
from typing import TYPE_CHECKING

import numpy as np

from search.cells.slide_composition import SlideComposition

if TYPE_CHECKING:
    import anndata


def composition_anndata(found: SlideComposition) -> "anndata.AnnData":
    """Places as observations, no variables; shares are data frames in `obsm`.

    `obsm['cell_type_fractions']` and `obsm['cell_type_fractions_sd']`, `obsm['cell_type_fractions_coarse']` where the
    reference has coarser types, `obsm['spatial']` the centres in level-0 pixels `(x, y)`, `obs` the kind and the most
    common type, `uns['histoseek']` what was asked and the notes.
    """
    import anndata
    import pandas as pd

    frame = found.to_pandas().set_index("id").rename_axis(None)
    obs = pd.DataFrame({"kind": frame["kind"].astype("category")}, index=frame.index)
    obs["cell_type"] = frame["dominant"].fillna("").astype("category")
    made = anndata.AnnData(obs=obs)
    made.obsm["spatial"] = frame[["x_px", "y_px"]].to_numpy(dtype=np.float64)
    made.obsm["cell_type_fractions"] = found.proportions.rename_axis(None)
    made.obsm["cell_type_fractions_sd"] = found.sd.rename_axis(None)
    if found.coarse is not None:
        made.obsm["cell_type_fractions_coarse"] = pd.DataFrame(
            found.coarse.proportions, index=frame.index, columns=list(found.coarse.types)
        )
    figures = {"slide": found.slide, "source": found.source, "method": found.method, "shares_of": found.of}
    made.uns["histoseek"] = figures | {"query": json.dumps(found.query), "notes": json.dumps(list(found.notes))}
    return made
