"""Measuring searches on an index's own vectors against exact comparison, and setting how far they look."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from encoders.contracts import Modality, Vectors
from indexer.errors import StoreError
from indexer.index import Index
from indexer.vectors.ann import files_of
from indexer.vectors.evidence import Evidence
from indexer.vectors.knobs import Tuning, write_tuning
from indexer.vectors.sidecar_card import sidecar_folder
from indexer.vectors.vector_set import VectorSet

Source = Literal["own", "other side"]
_TOLERANCES = (0.3, 0.1, 0.05, 0.03, 0.02, 0.01, 0.005, 0.003, 0.001, 0.0003, 0.0001)


@dataclass(frozen=True, slots=True)
class TuningRow:
    """One setting measured with one kind of query.

    Attributes
    ----------
    tolerance : float
        Share of the hits that may be expected in lists not scanned; 0 where every vector is compared.
    queries : {"own", "other side"}
        Rows of this modality, or vectors of the same index's other modality.
    recall : float
        Share of the `k` nearest found.
    p50_ms, p95_ms : float
        Time of one search of the vectors, on one core.
    is_set : bool
        Whether this is the setting in use now.
    """

    tolerance: float
    queries: Source
    recall: float
    p50_ms: float
    p95_ms: float
    is_set: bool


def tune(
    index: Index, modality: Modality, *, recall: float = 0.99, k: int = 10, n_queries: int = 100
) -> list[TuningRow]:
    """Find the fastest setting that reaches a recall on this index's own vectors, and keep it beside the sidecar.

    Rows of the index are asked with themselves left out, and vectors of the other modality as they are. The setting
    must reach the recall for both.

    Parameters
    ----------
    index : Index
        The index; its tables and its card are not touched.
    modality : {"image", "expression"}
        Vectors that are searched.
    recall : float
        Share of the `k` nearest that must be found, above 0 and at most 1.
    k : int
        Hits a query wants.
    n_queries : int
        Queries of each kind.

    Raises
    ------
    StoreError
        If an argument is out of range, or there is no vector of this modality.
    WriteError
        If the setting cannot be written.
    """
    if not 0 < recall <= 1:
        raise StoreError(f"A recall of {recall} cannot be reached; expected above 0 and at most 1, such as 0.99.")
    if k < 1 or n_queries < 1:
        raise StoreError(f"k is {k} and n_queries {n_queries}; expected at least 1 of each.")
    vectors = index.vectors(modality)
    if len(vectors) <= k:
        raise StoreError(f"The index has {len(vectors)} {modality} vectors; expected more than k={k} to measure on.")
    asked = _queries(index, modality, n_queries)
    truth = {source: _answers(vectors, queries, k, exact=True)[0] for source, queries in asked.items()}
    if vectors.strategy() == "exact" or vectors.evidence is None:
        return [_row(vectors, 0.0, source, queries, truth[source], k) for source, queries in asked.items()]
    rows: list[TuningRow] = []
    for tolerance in _TOLERANCES:
        _set(vectors, vectors.evidence, tolerance)
        rows += [_row(vectors, tolerance, source, queries, truth[source], k) for source, queries in asked.items()]
        if min(row.recall for row in rows if row.tolerance == tolerance) >= recall:
            break
    chosen = rows[-len(asked) :]
    folder = sidecar_folder(index.folder, modality, index.vector_table())
    if folder is None:
        raise StoreError(f"The {modality} vectors have no sidecar to keep a setting for. Make the folder writable.")
    write_tuning(
        folder,
        Tuning(
            tolerance=tolerance,
            wanted_recall=recall,
            recall=min(row.recall for row in chosen),
            p50_ms=max(row.p50_ms for row in chosen),
            p95_ms=max(row.p95_ms for row in chosen),
            bytes_per_vector=_bytes_of(folder, files_of(vectors.ann.kind)) / len(vectors),
            n_queries=n_queries,
            k=k,
        ),
    )
    return [replace(row, is_set=row.tolerance == tolerance) for row in rows]


def _bytes_of(folder: Path, names: Sequence[str]) -> int:
    return sum((folder / name).stat().st_size for name in names if (folder / name).exists())


def _queries(index: Index, modality: Modality, n: int) -> dict[Source, Vectors]:
    asked: dict[Source, Vectors] = {"own": _some(index.vectors(modality), n)}
    other = index.vectors("expression" if modality == "image" else "image")
    return asked | ({"other side": _some(other, n)} if len(other) else {})


def _some(vectors: VectorSet, n: int) -> Vectors:
    rows = vectors.rows[np.unique(np.linspace(0, len(vectors) - 1, n).astype(np.int64))]
    return np.stack([vectors.vector_of(int(row)) for row in rows])


def _answers(
    vectors: VectorSet, queries: Vectors, k: int, *, exact: bool
) -> tuple[list[npt.NDArray[np.int64]], list[float]]:
    rows, times = [], []
    for query in queries:
        start = time.perf_counter()
        rows.append(vectors.nearest(query, k + 1, exact=exact).rows)  # one more: a row finds itself
        times.append(1000 * (time.perf_counter() - start))
    return rows, times


def _row(
    vectors: VectorSet, tolerance: float, source: Source, queries: Vectors, truth: list[npt.NDArray[np.int64]], k: int
) -> TuningRow:
    found, times = _answers(vectors, queries, k, exact=False)
    shares = [len(np.intersect1d(a, b)) / len(b) for a, b in zip(found, truth, strict=True)]
    p50, p95 = np.quantile(times, [0.5, 0.95])
    return TuningRow(tolerance, source, float(np.mean(shares)), float(p50), float(p95), is_set=True)


def _set(vectors: VectorSet, evidence: Evidence, tolerance: float) -> None:
    vectors.use(evidence.model_copy(update={"tolerance": tolerance}))
