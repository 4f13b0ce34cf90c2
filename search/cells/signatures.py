"""Cell-type references from a signature table: genes by types, without the cells behind them."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from search.cells.reference import CellReference
from search.errors import CellReferenceError
from search.profiles import PER

if TYPE_CHECKING:
    import pandas as pd

#: Column separator by the file's suffix.
SEPARATORS = {".csv": ",", ".tsv": "\t", ".txt": "\t"}


def reference_from_table(path: str | Path, *, coarse: Mapping[str, str] | None = None) -> CellReference:
    """Read a signature table: one row a gene, its symbol first, one column a cell type.

    Values are mean expression of a type's cells, not its logarithm, in one unit for all columns, such as counts per
    10,000 or transcripts per million. Nothing is known of how much RNA a cell of each type holds, so shares of cells
    are taken to be shares of the RNA.

    Parameters
    ----------
    path : str or Path
        `.csv`, or `.tsv` or `.txt` with tabs; `.gz` behind it is read too.
    coarse : mapping of str to str, optional
        Coarser type of each type.

    Raises
    ------
    CellReferenceError
        If the file is missing or no such table, a value is negative or missing, there are fewer than two types, a type
        has no expression, or a type has no coarser one.
    """
    path = Path(path)
    table = _read(path)
    types = [str(name) for name in table.columns]
    repeated = sorted({name for name in types if types.count(name) > 1})
    if len(types) < 2 or repeated:
        raise CellReferenceError(
            f"The table {path.name} has the cell types {', '.join(types) or 'none'}; expected two or more, each once."
        )
    values = table.groupby(level=0).sum().sort_index()
    profiles = values.to_numpy(np.float64).T
    totals = profiles.sum(axis=1)
    if not totals.all():
        empty = ", ".join(np.array(types)[totals == 0])
        raise CellReferenceError(f"The types {empty} of {path.name} have no expression at all; leave them out.")
    missing = [name for name in types if coarse is not None and name not in coarse]
    if missing:
        raise CellReferenceError(f"The types {', '.join(missing)} of {path.name} have no coarser type; give one each.")
    order = np.argsort(types)
    named = tuple(types[t] for t in order)
    return CellReference(
        types=named,
        genes=tuple(str(gene) for gene in values.index),
        profiles=profiles[order] / totals.mean() * PER,
        n_cells=(0,) * len(types),
        counts_per_cell=(1.0,) * len(types),
        parents=() if coarse is None else tuple(coarse[name] for name in named),
    )


def _read(path: Path) -> "pd.DataFrame":
    import pandas as pd

    suffixes = [suffix.lower() for suffix in path.suffixes]
    kind = suffixes[-2] if suffixes[-1:] == [".gz"] and len(suffixes) > 1 else "".join(suffixes[-1:])
    if kind not in SEPARATORS:
        raise CellReferenceError(
            f"{path.name} is no signature table; expected one that ends in {', '.join(SEPARATORS)}."
        )
    if not path.is_file():
        raise CellReferenceError(f"There is no reference file at {path}; give a table of genes by cell types.")
    try:
        table = pd.read_csv(path, sep=SEPARATORS[kind], index_col=0)
    except (OSError, ValueError) as error:  # pandas' own errors are ValueErrors
        raise CellReferenceError(f"Cannot read {path.name} as a table: {error}. Give genes by cell types.") from error
    words = [str(name) for name, column in table.items() if not pd.api.types.is_numeric_dtype(column)]
    if words or not len(table):
        what = f"the column {words[0]!r} holds text" if len(table) else "there are no rows"
        raise CellReferenceError(
            f"{path.name} is no table of genes by cell types: {what}. Expected a symbol and then numbers in each row."
        )
    numbers = table.to_numpy(np.float64)
    if not np.isfinite(numbers).all() or numbers.min() < 0:
        bad = numbers[~np.isfinite(numbers) | (numbers < 0)][0]
        raise CellReferenceError(
            f"{path.name} holds the value {bad:g}; expected mean expression, none missing and none negative (no "
            "logarithm of a ratio, no z-score)."
        )
    table.index = table.index.astype(str)
    return table
