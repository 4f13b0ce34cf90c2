"""What was measured, as rows: recall and p50 of every engine, and how many times as fast HistoSeek is."""

import os
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from benchmarks.ann_data import FILTERS, Data
from benchmarks.ann_peers import EngineProcess
from benchmarks.ann_rounds import Measured
from benchmarks.environments import PeerError
from benchmarks.report import Row

OURS = "HistoSeek"
_LANCE = ("LanceDB IVF_RQ", "LanceDB IVF_HNSW_SQ")
_ENOUGH = 0.99
_SCAN_FLOATS = 64 * 2**20


def rows_of(measured: Mapping[str, Measured], n: int) -> Iterator[Row]:
    """Rows of every engine and of HistoSeek against it; a peer that could not be measured has a row with the reason."""
    ours = measured[OURS]
    for name in FILTERS:
        yield Row("ann", f"{name} recall@10", ours.mean_recall(name), "share", None, n, ours.missing.get(name, ""))
        yield Row("ann", f"{name} p50", ours.p(name), "ms", None, n, f"p95 {ours.p(name, 95) or 0:.2f} ms")
        yield Row("ann", f"{name} p50, asked for the first time", ours.first_p50(name), "ms", None, n)
        lance = _best_lance(measured, name)
        if lance is not None:
            yield _speed_up(measured, name, lance, n, called="LanceDB")
        for peer, found in measured.items():
            if peer != OURS and name in found.ms:
                first = f"{found.first_p50(name) or 0:.2f} ms asked for the first time"
                note = f"set to {found.knobs[name]}; p95 {found.p(name, 95) or 0:.2f} ms; {first}"
                yield Row("ann", f"{name} recall@10 ({peer})", found.mean_recall(name), "share", None, n, note)
                yield Row("ann", f"{name} p50 ({peer})", found.p(name), "ms", None, n, note)
                if peer not in _LANCE:
                    yield _speed_up(measured, name, peer, n, called=peer)
    yield from _worst(measured, n)
    yield from _costs(measured, n)
    for peer, found in measured.items():
        for name, reason in found.missing.items():
            yield Row("ann", f"{name or 'anything'} ({peer})", None, "", None, n, reason)


def own_rows(data: Data, folder: Path, measured: Mapping[str, Measured], n: int) -> Iterator[Row]:
    """Rows that HistoSeek alone has: opening, memory, appending, the exact scan."""
    if measured[OURS].build_s is None:
        return
    start = time.perf_counter()
    for verb in ("opened", "reopen", "scan", "exact_many", "append"):
        process = EngineProcess(OURS, data.folder, folder / OURS)
        try:
            found = process.ask(do="special", verb="reopen") if verb == "reopen" else {}
            if verb == "reopen":
                cold = time.perf_counter() - start
                yield Row("ann", "open to first answer, cold process", cold, "s", None, n, "interpreter and imports in")
            found = process.ask(do="special", verb=verb)
        except PeerError as error:
            yield Row("ann", verb, None, "", None, n, str(error))
            continue
        finally:
            process.close()
            start = time.perf_counter()
        yield from _own(verb, found, data, n)
        flat = measured.get("FAISS Flat")
        if verb == "exact_many" and flat is not None and flat.many:
            ratio = found["qps"] / flat.many["qps"]
            yield Row("ann", "exact batched throughput over FAISS Flat", ratio, "times", None, n)


def _own(verb: str, found: dict[str, float], data: Data, n: int) -> Iterator[Row]:
    if verb == "opened":
        note = f"beyond the imports; {found['rss_asked']:.0f} MiB after 20 queries"
        yield Row("ann", "resident memory before the first query", found["rss"], "MiB", None, n, note)
        note = f"{found['anonymous_asked']:.0f} MiB after 20 queries"
        yield Row("ann", "anonymous memory before the first query", found["anonymous"], "MiB", None, n, note)
    elif verb == "reopen":
        yield Row("ann", "open to first answer, running process", found["ms"], "ms", None, n)
    elif verb == "append":
        note = "found at once" if found["found"] else "NOT FOUND"
        yield Row("ann", "append 10,000 rows until found", found["rows_per_s"], "rows/s", None, n, note)
    elif verb == "exact_many":
        note = f"recall {found['recall']:.4f}"
        yield Row("ann", "exact batched throughput", found["qps"], "queries/s", None, n, note)
    else:
        floor = 1_000 * data.vectors.nbytes / _bandwidth()
        yield Row("ann", "exact scan recall@10", found["recall"], "share", None, n)
        note = f"{found['ms']:.2f} ms; reading the fp32 vectors once takes {floor:.2f} ms"
        yield Row("ann", "exact scan over fp32 bandwidth floor", found["ms"] / floor, "times", None, n, note)


def _speed_up(measured: Mapping[str, Measured], name: str, peer: str, n: int, *, called: str) -> Row:
    ours, theirs = measured[OURS].p(name), measured[peer].p(name)
    value = theirs / ours if ours and theirs else None
    recalls = [measured[engine].mean_recall(name) or 0 for engine in (OURS, peer)]
    note = f"recall {recalls[0]:.3f} against {recalls[1]:.3f} ({peer})"
    return Row("ann", f"{name} p50 speed-up over {called}", value, "times", f"{name} p50 ({peer})", n, note)


def _best_lance(measured: Mapping[str, Measured], name: str) -> str | None:
    there = [peer for peer in _LANCE if peer in measured and measured[peer].ms.get(name)]
    good = [peer for peer in there if (measured[peer].mean_recall(name) or 0) >= _ENOUGH]
    return min(good or there, key=lambda peer: measured[peer].p(name) or np.inf, default=None)


def _worst(measured: Mapping[str, Measured], n: int) -> Iterator[Row]:
    for peer, found in measured.items():
        recalls = {name: found.mean_recall(name) or 0.0 for name in found.recall}
        if recalls:
            name = min(recalls, key=lambda known: recalls[known])
            row = "worst recall@10 over all filters" + ("" if peer == OURS else f" ({peer})")
            yield Row("ann", row, recalls[name], "share", None, n, name)


def _costs(measured: Mapping[str, Measured], n: int) -> Iterator[Row]:
    ours = measured[OURS]
    for peer, found in measured.items():
        suffix = "" if peer == OURS else f" ({peer})"
        if found.build_s is not None:
            yield Row("ann", f"build{suffix}", found.build_s, "s", None, n, "metadata and its indexes in")
        for part, size in found.memory.items():
            yield Row(
                "ann", f"{part} memory after the queries{suffix}", size, "MiB", None, n, "beyond an empty process"
            )
        if found.many:
            note = f"recall {found.many['recall']:.3f}"
            yield Row("ann", f"batched throughput{suffix}", found.many["qps"], "queries/s", None, n, note)
        if suffix and found.many and ours.many:
            ratio = ours.many["qps"] / found.many["qps"]
            yield Row("ann", f"batched throughput over {peer}", ratio, "times", f"batched throughput{suffix}", n)
        if suffix and found.build_s and ours.build_s:
            yield Row("ann", f"build speed-up over {peer}", found.build_s / ours.build_s, "times", f"build{suffix}", n)


def _bandwidth() -> float:
    """Bytes a second that all cores read from memory: the best of several dot products of a large array with itself."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    parts = np.array_split(np.ones(_SCAN_FLOATS, dtype=np.float32), cores)
    best = 0.0
    with ThreadPoolExecutor(cores) as pool:
        for _ in range(7):
            start = time.perf_counter()
            list(pool.map(lambda part: float(part @ part), parts))
            best = max(best, 4 * _SCAN_FLOATS / (time.perf_counter() - start))
    return best
