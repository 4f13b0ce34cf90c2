"""AnnData files opened, and what a damaged one raises said in one sentence."""

import warnings
from pathlib import Path
from typing import Any, Literal

from indexer.errors import CountsError


def open_h5ad(path: Path, *, backed: Literal["r"] | None) -> Any:
    """The file as AnnData, with `backed` all but the counts. Raises `CountsError`."""
    import anndata

    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*names are not unique")  # they are summed, and told
            return anndata.read_h5ad(path, backed=backed)
    except Exception as error:  # a damaged file raises whatever it leads anndata and h5py into
        raise CountsError(
            f"Cannot read {path} as h5ad: {error}. Expected an AnnData file with raw counts; get it again."
        ) from error
