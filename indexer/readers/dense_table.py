"""Tables of numbers with a name for each row and column: csv, tsv (maybe gzipped) and parquet."""

import csv
import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from indexer.errors import CountsError

if TYPE_CHECKING:
    import pandas as pd

SUFFIXES = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".txt", ".txt.gz", ".parquet")

MAX_LINE = 32 * 2**20  # letters; a header of a million samples has half of it


@dataclass(frozen=True, slots=True)
class DenseTable:
    """A table as it stands in its file.

    Attributes
    ----------
    rows, columns : tuple of str
        Names, repeated where the file repeats them.
    values : float32 (len(rows), len(columns))
        Finite.
    texts : tuple of tuple of str
        Columns of text after the first, where there are some.
    """

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: npt.NDArray[np.float32]
    texts: tuple[tuple[str, ...], ...] = ()


def read_dense(path: Path, *, skip: int = 0, leading: int = 1) -> DenseTable:
    """Read a table whose first line names the columns and whose first column names the rows.

    Parameters
    ----------
    path : Path
        Ends in one of `SUFFIXES`, or in `.gct` or `.gct.gz`, which are tab-separated.
    skip : int
        Lines before the header.
    leading : int
        Columns that are text, of which the first names the rows.

    Raises
    ------
    CountsError
        If the file is damaged or no such table, or holds something else than finite numbers; names the cell.
    """
    if path.suffix == ".parquet":
        return _read_parquet(path)
    separator = "," if ".csv" in path.suffixes[-2:] else "\t"
    header = read_header(path, skip=skip)
    import pandas as pd

    texts = dict.fromkeys(range(leading), str)
    try:
        frame = pd.read_csv(path, sep=separator, header=None, skiprows=skip + 1, dtype=texts, keep_default_na=False)
    except (OSError, EOFError, zlib.error, ValueError) as error:  # what pandas' parsers raise are ValueErrors
        raise CountsError(f"Cannot read {path}: {error}. It is cut short or no table of numbers.") from error
    if len(header) == frame.shape[1] - 1 and leading == 1:  # R writes no cell above the row names
        header = ["", *header]
    if len(header) != frame.shape[1] or frame.shape[1] <= leading:
        raise CountsError(
            f"{path} names {len(header)} columns in its header, but its rows have {frame.shape[1]}; expected as many, "
            f"separated by {'commas' if separator == ',' else 'tabs'}."
        )
    values = _numbers(frame.iloc[:, leading:], header[leading:], tuple(frame[0]), path)
    more = tuple(tuple(frame[place]) for place in range(1, leading))
    return DenseTable(tuple(frame[0]), tuple(header[leading:]), values, more)


def read_header(path: Path, *, skip: int = 0) -> list[str]:
    """Cells of the header line of a csv or tsv. Raises `CountsError`."""
    separator = "," if ".csv" in path.suffixes[-2:] else "\t"
    try:
        with (
            gzip.open(path, "rt", encoding="utf-8-sig")
            if path.suffix == ".gz"
            else path.open(encoding="utf-8-sig") as stream
        ):
            for _ in range(skip):
                stream.readline(MAX_LINE)
            line = stream.readline(MAX_LINE)
        if len(line) == MAX_LINE:
            raise CountsError(f"{path} has a line of more than {MAX_LINE:,} letters; it is no table of numbers.")
        return [cell.strip() for cell in next(csv.reader([line], delimiter=separator), [])]
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        raise CountsError(f"Cannot read {path}: {error}; expected a table of numbers.") from error


def read_column_names(path: Path) -> list[str]:
    """Names of the columns that hold numbers, from the first two lines alone. Raises `CountsError`."""
    header, first = read_header(path), read_header(path, skip=1)
    return header if len(first) == len(header) + 1 else header[1:]  # R writes no cell above the row names


def read_first_column(path: Path, *, skip: int = 0) -> list[str]:
    """Names of the rows of a csv or tsv, without its numbers. Raises `CountsError`."""
    separator = b"," if ".csv" in path.suffixes[-2:] else b"\t"
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            lines = [line.partition(separator)[0] for line in stream]
        return [name.decode("utf-8").strip().strip('"') for name in lines[skip + 1 :] if name.strip()]
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise CountsError(f"Cannot read {path}: {error}; expected a table of numbers.") from error


def _read_parquet(path: Path) -> DenseTable:
    import pandas as pd

    try:
        frame = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise CountsError(f"Cannot read {path}: {error}; expected a parquet table.") from error
    named = [name for name in frame.columns if frame[name].dtype.kind not in "iufb"]
    if isinstance(frame.index, pd.RangeIndex) and named[:1] == [frame.columns[0]]:
        frame = frame.set_index(frame.columns[0])
    rows = tuple(map(str, frame.index))
    columns = [str(name) for name in frame.columns]
    return DenseTable(rows, tuple(columns), _numbers(frame, columns, rows, path))


def _numbers(frame: "pd.DataFrame", columns: list[str], rows: tuple[str, ...], path: Path) -> npt.NDArray[np.float32]:
    import pandas as pd

    values = np.empty(frame.shape, dtype=np.float32)
    if not values.size:
        raise CountsError(
            f"{path} has {frame.shape[0]} rows of {frame.shape[1]} numbers; expected at least one of each."
        )
    for place, (_, column) in enumerate(frame.items()):
        values[:, place] = pd.to_numeric(column, errors="coerce")
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        row, column_place = bad[0]
        raise CountsError(
            f"{path.name}, row {rows[row]!r}, column {columns[column_place]!r}: got "
            f"{str(frame.iloc[row, column_place])!r}; expected a finite number."
        )
    return values
