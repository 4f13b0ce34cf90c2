"""Format `10x`: feature-barcode matrices of Cell Ranger and Space Ranger, as a folder of mtx or as one h5 file."""

import gzip
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from indexer.errors import CountsError, DataError
from indexer.format import Circumstances, Format, files_at, slide_names
from indexer.readers.anndata_file import checked_counts
from indexer.readers.measured import GeneColumns, Measured, MeasuredSlide
from indexer.slides import SlideSource

_EXPRESSION = "Gene Expression"
_MATRIX = ("matrix.mtx.gz", "matrix.mtx")
_FEATURES = ("features.tsv.gz", "features.tsv", "genes.tsv.gz", "genes.tsv")  # genes.tsv before Cell Ranger 3
_BARCODES = ("barcodes.tsv.gz", "barcodes.tsv")
_PARTS = (_MATRIX, _FEATURES, _BARCODES)

# What a file may claim of itself; more is damage, or made to fill the memory.
_MAX_ENTRIES_A_BYTE = 10  # of packed text: real matrices have one in four bytes
_MAX_PACKING = 1100  # deflate's own limit is about 1030
_MAX_LIST_BYTES = 1 << 30


def matrix_files(place: Path) -> tuple[Path, ...]:
    """Files of a matrix that are there: the h5 itself, or those of a folder of mtx."""
    if place.suffix == ".h5":
        return (place,)
    found = (next((place / name for name in names if (place / name).is_file()), None) for names in _PARTS)
    return tuple(path for path in found if path is not None)


def read_matrix(place: Path) -> Measured:
    """Counts of a matrix, rows are barcodes; features that are not genes (antibodies, guides) are left out and told.

    Raises
    ------
    CountsError
        If a file is missing, damaged, or of another shape than the others, or a value is no count.
    """
    return _read_h5(place) if place.suffix == ".h5" else _read_mtx(place)


def read_features(place: Path) -> GeneColumns:
    """Symbols and ids of the genes, without the counts. Raises `CountsError`."""
    if place.suffix == ".h5":
        with _opened(place) as file:
            ids, symbols, types = _h5_features(file, place)
    else:
        ids, symbols, types = _tsv_features(_part(place, _FEATURES))
    kept = _genes_among(types)
    return GeneColumns([symbols[i] for i in kept], [ids[i] for i in kept])


def _find(place: Path, around: Circumstances) -> list[SlideSource]:
    if place.is_dir() and matrix_files(place):
        return [_slide(place.name, place, around)]
    try:
        h5 = files_at(place, (".h5",), what="a 10x matrix, .h5 or a folder with matrix.mtx.gz")
    except DataError:
        h5 = []
    folders = sorted({path.parent for name in _MATRIX for path in place.rglob(name)}) if place.is_dir() else []
    if not h5 and not folders:
        raise DataError(f"{place} holds no 10x matrix; expected an h5 file or a folder with matrix.mtx.gz.")
    named = slide_names([*h5, *folders], place, (".h5",))
    return [_slide(name, path, around) for name, path in named.items()]


def _slide(name: str, path: Path, around: Circumstances) -> MeasuredSlide:
    return MeasuredSlide(
        around.facts(name, technology="10x Chromium"),
        "cell",
        matrix_files(path),
        partial(read_matrix, path),
        partial(read_features, path),
        around.tables,
    )


def _read_mtx(folder: Path) -> Measured:
    import scipy.io

    matrix = _part(folder, _MATRIX)
    ids, symbols, types = _tsv_features(_part(folder, _FEATURES))
    names = [row[0] for row in _rows(_part(folder, _BARCODES))]
    try:
        with _unpacked(matrix) as stream:
            n_features, n_barcodes, n_entries, *_ = scipy.io.mminfo(stream)
        if (n_features, n_barcodes) != (len(ids), len(names)):
            raise CountsError(
                f"{matrix} has {n_features} features and {n_barcodes} barcodes; expected {len(ids)} and {len(names)} "
                "as the files beside it list. Take all three from one run."
            )
        n_bytes = matrix.stat().st_size
        if n_entries > _MAX_ENTRIES_A_BYTE * n_bytes:  # memory is taken by what the header says
            raise CountsError(f"{matrix} says it has {n_entries:,} counts in {n_bytes:,} bytes; get it again.")
        with _unpacked(matrix) as stream:
            counts = sp.csc_matrix(scipy.io.mmread(stream))
    except (OSError, EOFError, zlib.error, ValueError, OverflowError) as error:
        raise CountsError(f"Cannot read {matrix}: {error}. It is cut short or no Matrix Market file.") from error
    return _measured(counts.T, names, (ids, symbols, types), matrix)


def _read_h5(path: Path) -> Measured:
    with _opened(path) as file:
        features = _h5_features(file, path)
        group = _group(file, path)
        names = _texts(group["barcodes"])
        shape = tuple(int(n) for n in group["shape"][()])
        parts = tuple(_array(group[part], path) for part in ("data", "indices", "indptr"))
    if shape != (len(features[0]), len(names)):
        raise CountsError(
            f"{path} has a matrix of {shape}, but {len(features[0])} features and {len(names)} barcodes; get it again."
        )
    try:
        counts = sp.csc_matrix(parts, shape=shape)
        counts.check_format()
    except ValueError as error:
        raise CountsError(f"{path} holds no sparse matrix of {shape}: {error}; get it again.") from error
    return _measured(counts.T, names, features, path)


def _measured(
    counts: sp.csr_matrix, names: Sequence[str], features: tuple[list[str], list[str], list[str]], path: Path
) -> Measured:
    ids, symbols, types = features
    kept = _genes_among(types)
    if not len(kept):
        raise CountsError(f"{path} has no features of type {_EXPRESSION!r}; it has {', '.join(sorted(set(types)))}.")
    counts = sp.csr_matrix(counts) if len(kept) == len(ids) else sp.csr_matrix(counts)[:, kept]
    left = len(ids) - len(kept)
    return Measured(
        names=tuple(names),
        counts=checked_counts(counts, path.name),
        genes=GeneColumns([symbols[i] for i in kept], [ids[i] for i in kept]),
        remarks=(f"{left} features that are no genes are left out",) if left else (),
    )


def _genes_among(types: Sequence[str]) -> Any:
    return np.flatnonzero([kind in {_EXPRESSION, ""} for kind in types])


def _tsv_features(path: Path) -> tuple[list[str], list[str], list[str]]:
    """Ids, symbols and types; old files have no types, some no symbols."""
    rows = _rows(path)
    ids = [row[0] for row in rows]
    symbols = [row[1] if len(row) > 1 else row[0] for row in rows]
    return ids, symbols, [row[2] if len(row) > 2 else "" for row in rows]


def _h5_features(file: Any, path: Path) -> tuple[list[str], list[str], list[str]]:
    group = _group(file, path)
    if "features" in group:
        ids, symbols, types = (_texts(group["features"][name]) for name in ("id", "name", "feature_type"))
    else:  # Cell Ranger 2
        ids, symbols = _texts(group["genes"]), _texts(group["gene_names"])
        types = [""] * len(ids)
    if not len(ids) == len(symbols) == len(types):
        raise CountsError(f"{path} has {len(ids)} ids, {len(symbols)} symbols; expected one of each a feature.")
    return ids, symbols, types


def _group(file: Any, path: Path) -> Any:
    import h5py

    if "matrix" in file:
        return file["matrix"]
    genomes = [name for name in file if isinstance(file[name], h5py.Group) and "barcodes" in file[name]]
    if len(genomes) != 1:
        found = ", ".join(map(repr, file)) or "nothing"
        raise CountsError(f"{path} has {found} in it; expected the group 'matrix' of a 10x h5 file.")
    return file[genomes[0]]


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The file; what it raises while it is read, of damage within or of a part that is missing, is a `CountsError`."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, KeyError, RuntimeError, ValueError, TypeError, AttributeError) as error:
        raise CountsError(f"{path} is missing, damaged or no h5 file ({error}); expected a 10x matrix.") from error


def _array(dataset: Any, path: Path) -> Any:
    """All of a data set, unless it claims far more than the file holds."""
    n_bytes, stored = dataset.size * dataset.dtype.itemsize, dataset.id.get_storage_size()
    if n_bytes > _MAX_PACKING * stored:
        raise CountsError(
            f"{path} says it has {n_bytes:,} bytes of {dataset.name}, in {stored:,} stored; get it again."
        )
    return dataset[()]


def _texts(dataset: Any) -> list[str]:
    return [one.decode("utf-8") if isinstance(one, bytes) else str(one) for one in dataset[()].tolist()]


def _unpacked(path: Path) -> Any:
    return gzip.open(path) if path.suffix == ".gz" else path.open("rb")


def _part(folder: Path, names: tuple[str, ...]) -> Path:
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise CountsError(
        f"{folder} has no {' or '.join(names[:2])}; expected a whole 10x matrix: matrix, features, barcodes."
    )


def _rows(path: Path) -> list[list[str]]:
    try:
        with _unpacked(path) as stream:
            content = stream.read(_MAX_LIST_BYTES + 1)
        lines = content.decode("utf-8").splitlines()
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise CountsError(f"Cannot read {path}: {error}; expected a list, tab-separated. Get it again.") from error
    if len(content) > _MAX_LIST_BYTES:
        raise CountsError(f"{path} unpacks to more than {_MAX_LIST_BYTES:,} bytes; expected a list of names.")
    return [line.split("\t") for line in lines if line]


FORMAT = Format("10x", "feature-barcode matrix of Cell Ranger, a folder of mtx or h5 (cells)", _find)
