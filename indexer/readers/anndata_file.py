"""AnnData files opened, what a damaged one raises said in one sentence, and the parts that readers take of them."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import scipy.sparse as sp

from indexer.errors import CountsError
from indexer.readers.measured import GeneColumns

if TYPE_CHECKING:
    import pandas as pd

_IDS = ("gene_ids", "gene_id", "ensembl_id", "ensembl")
_SYMBOLS = ("gene_name", "gene_names", "gene_symbol", "gene_symbols", "feature_name", "symbol")


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


def raw_counts(file: Any, where: str) -> tuple[sp.csr_matrix, GeneColumns, tuple[str, ...]]:
    """Counts `(n, n_genes)`, their genes, and remarks.

    Counts are `layers["counts"]`; else `X`; else, where `X` holds no whole numbers and there is a `raw`, that, as
    scanpy and CELLxGENE leave it. Raises `CountsError` if they are no counts.
    """
    if "counts" in file.layers:
        return checked_counts(file.layers["counts"], where), gene_columns(file.var, file.var_names), ()
    if file.raw is not None and not _is_whole(file.X):
        raw = file.raw
        remark = "X holds values that are no whole numbers, so counts are those of raw"
        return checked_counts(raw.X, where), gene_columns(raw.var, raw.var_names), (remark,)
    counts = checked_counts(file.X, where)
    remark = "X holds values that are no whole numbers, taken as counts"
    return counts, gene_columns(file.var, file.var_names), () if _is_whole(counts) else (remark,)


def gene_columns(var: "pd.DataFrame", var_names: Any) -> GeneColumns:
    """Symbols and ids of the genes, as scanpy, CELLxGENE and Cell Ranger name their columns."""
    symbols = next((name for name in _SYMBOLS if name in var), None)
    ids = next((name for name in _IDS if name in var), None)
    names = tuple(map(str, var_names))
    if symbols is not None and ids is None and any(name.startswith("ENS") for name in names):
        return GeneColumns(_texts(var[symbols]), names)
    return GeneColumns(names if symbols is None else _texts(var[symbols]), None if ids is None else _texts(var[ids]))


def labels_of(obs: "pd.DataFrame", column: str | None, where: str) -> tuple[str | None, ...] | None:
    """Label of each row by a column of `obs`, `None` where it is missing. Raises `CountsError` for no such column."""
    if column is None:
        return None
    if column not in obs.columns:
        known = ", ".join(map(str, obs.columns)) or "none"
        raise CountsError(f"{where} has no label column '{column}'; expected one of: {known}.")
    missing = obs[column].isna().to_numpy()
    return tuple(None if gone else text for text, gone in zip(obs[column].astype(str), missing, strict=True))


def checked_counts(values: Any, where: str) -> sp.csr_matrix:
    """Matrix `(n, n_genes)` as sparse float32 counts.

    Raises
    ------
    CountsError
        If a value is not a finite number of at least zero; scaled or centred values are no counts.
    """
    if not sp.issparse(values) and not isinstance(values, np.ndarray):
        raise CountsError(f"{where}: X is a {type(values).__name__}; expected a matrix of raw counts.")
    if values.dtype.kind not in "iufb":
        raise CountsError(f"{where}: X holds {values.dtype}; expected raw counts, numbers of at least 0.")
    try:
        if sp.issparse(values):
            values.check_format(full_check=True)  # indices that point outside would be followed outside
        counts = sp.csr_matrix(values)
    except ValueError as error:
        raise CountsError(
            f"{where}: X is no sparse matrix that holds together: {error}. Get the file again."
        ) from error
    if counts.shape[0] == 0 or counts.shape[1] == 0:
        raise CountsError(f"{where}: X has the shape {counts.shape}; expected at least one row and one gene.")
    counts = counts.astype(np.float32)
    counts.sum_duplicates()
    bad = np.flatnonzero(~(np.isfinite(counts.data) & (counts.data >= 0)))
    if bad.size:
        row = int(np.searchsorted(counts.indptr, bad[0], side="right")) - 1
        raise CountsError(
            f"{where}, row {row}, column {counts.indices[bad[0]]}: got {counts.data[bad[0]]:g}; expected raw counts, "
            "finite numbers of at least 0. Take the layer that holds the raw counts."
        )
    return counts


def _is_whole(values: Any) -> bool:
    data = values.data if sp.issparse(values) else values
    if not isinstance(data, np.ndarray) or data.dtype.kind not in "iufb":
        return True  # no numbers: `checked_counts` refuses it by its name
    return bool((data == np.rint(data)).all())


def _texts(column: Any) -> tuple[str, ...]:
    return tuple("" if text != text else str(text) for text in column)  # noqa: PLR0124 - NaN is not itself
