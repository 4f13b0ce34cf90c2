"""Dense counts tables (rows are spots, columns are genes, tab-separated, maybe gzipped) read as sparse matrices.

Such a table is nine tenths zeros over some 15,000 columns, where a general csv reader spends its time on columns. Here
the bytes are cut at their separators at once and only the cells that are not a plain `0` are looked at.
"""

import gzip
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from indexer.errors import CountsError

_Bytes = npt.NDArray[np.uint8]
_Places = npt.NDArray[np.int64]

_TAB, _NEWLINE, _ZERO, _NINE = b"\t"[0], b"\n"[0], b"0"[0], b"9"[0]
_MAX_DIGITS = 7  # counts below 1e7 are exact in float32 and read at once; longer cells one by one


def read_gene_header(path: Path) -> tuple[str, ...]:
    """Gene symbols in the first line of a counts table. Raises `CountsError`."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            header = stream.readline()
            first_row = stream.readline()
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(path, error) from error
    return _genes_of(header, first_row.count(b"\t"), path)


def read_counts_table(path: Path) -> tuple[tuple[str, ...], tuple[str, ...], sp.csr_matrix]:
    """Read a counts table.

    Returns
    -------
    names : tuple of str
        Name of each row, unique.
    genes : tuple of str
        Symbol of each column, repeated where the file repeats it.
    counts : csr_matrix float32 (len(names), len(genes))
        Raw counts, zeros left out.

    Raises
    ------
    CountsError
        If the file is no such table, or a count is not a finite number of at least zero; the message names the cell.
    """
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(path, error) from error
    if b"\r" in content:
        content = content.replace(b"\r\n", b"\n")
    header, _, body = content.partition(b"\n")
    body = body.rstrip(b"\n") + b"\n"
    genes = _genes_of(header, body.partition(b"\n")[0].count(b"\t"), path)
    return _parse_body(body, genes, path)


def _unreadable(path: Path, error: Exception) -> CountsError:
    return CountsError(f"Cannot read the counts {path}: {error}. Get the file again with `histoseek data fetch`.")


def _genes_of(header: bytes, n_genes: int, path: Path) -> tuple[str, ...]:
    """Symbols of the header, which may or may not have a cell above the row names."""
    try:
        cells = header.decode("utf-8").rstrip("\r\n").split("\t")
    except UnicodeDecodeError as error:
        raise CountsError(f"{path.name} is not text: {error}; expected a tab-separated counts table.") from error
    if n_genes == 0:
        raise CountsError(f"{path.name} has no counts below its header; expected spots x genes, tab-separated.")
    if len(cells) == n_genes + 1:
        cells = cells[1:]
    if len(cells) != n_genes:
        raise CountsError(
            f"{path.name} names {len(cells)} genes in its header but its first row holds {n_genes} counts; expected "
            "one gene for each count."
        )
    genes = tuple(cell.strip().strip('"') for cell in cells)
    if "" in genes:
        raise CountsError(f"{path.name}: gene {genes.index('') + 1} of the header has no name; expected a symbol.")
    return genes


def _parse_body(
    body: bytes, genes: tuple[str, ...], path: Path
) -> tuple[tuple[str, ...], tuple[str, ...], sp.csr_matrix]:
    text = np.frombuffer(body, dtype=np.uint8)
    stops = np.flatnonzero((text == _TAB) | (text == _NEWLINE))
    width = len(genes) + 1
    _check_shape(text, stops, width, path)
    lengths = np.diff(stops, prepend=-1) - 1
    is_zero = (lengths == 1) & (text[stops - 1] == _ZERO)
    is_zero[::width] = False  # row names
    cells = np.flatnonzero(~is_zero)
    rows, columns = np.divmod(cells, width)
    starts, ends = stops[cells] - lengths[cells], stops[cells]
    is_name = columns == 0
    names = tuple(
        body[a:b].decode("utf-8", "replace").strip('"') for a, b in zip(starts[is_name], ends[is_name], strict=True)
    )
    _check_names(names, path)
    rows, columns, starts, ends = (part[~is_name] for part in (rows, columns - 1, starts, ends))
    values = _parse_cells(text, starts, ends)
    for cell in np.flatnonzero(np.isnan(values)):  # not a plain whole number
        where = f"{path.name}, row '{names[rows[cell]]}', gene '{genes[columns[cell]]}'"
        values[cell] = _parse_one(body[starts[cell] : ends[cell]], where)
    shape = (len(names), len(genes))
    counts = sp.csr_matrix((values.astype(np.float32), (rows, columns)), shape=shape)
    counts.eliminate_zeros()
    return names, genes, counts


def _check_shape(text: _Bytes, stops: _Places, width: int, path: Path) -> None:
    """Raise `CountsError` unless each row has `width` cells."""
    line_ends = np.flatnonzero(text[stops] == _NEWLINE)
    cells = np.diff(line_ends, prepend=-1)
    wrong = np.flatnonzero(cells != width)
    if wrong.size:
        raise CountsError(
            f"{path.name}, line {wrong[0] + 2}: got {cells[wrong[0]] - 1} counts; expected {width - 1}, one for each "
            "gene of the header. The file may be cut short: get it again with `histoseek data fetch`."
        )


def _check_names(names: tuple[str, ...], path: Path) -> None:
    if len(set(names)) < len(names):
        twice = next(name for place, name in enumerate(names) if name in names[:place])
        raise CountsError(f"{path.name} has two rows named '{twice}'; expected each spot once.")


def _parse_cells(text: _Bytes, starts: _Places, ends: _Places) -> npt.NDArray[np.float64]:
    """Values of cells of at most `_MAX_DIGITS` digits, NaN for all others."""
    lengths = ends - starts
    plain = (lengths > 0) & (lengths <= _MAX_DIGITS)
    values = np.zeros(len(starts))
    for place in range(int(lengths[plain].max(initial=0))):
        within = np.flatnonzero(plain & (lengths > place))
        digits = text[starts[within] + place]
        is_digit = (digits >= _ZERO) & (digits <= _NINE)
        values[within] = values[within] * 10 + (digits.astype(np.float64) - _ZERO)
        plain[within[~is_digit]] = False
    values[~plain] = np.nan
    return values


def _parse_one(cell: bytes, where: str) -> float:
    """Value of a cell that is not a plain whole number. Raises `CountsError`."""
    shown = cell.decode("utf-8", "replace")
    try:
        value = float(cell)
    except ValueError as error:
        raise CountsError(f"{where}: got '{shown}'; expected a count, a number of at least 0.") from error
    if not 0 <= value < float("inf"):
        raise CountsError(f"{where}: got {shown}; expected a count, a finite number of at least 0.")
    return value
