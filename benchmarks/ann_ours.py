"""HistoSeek as it is used: `indexer.index_vectors`, then `Engine.search` with its defaults. There is no knob."""

import time
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.ann_data import Data, Floats, K, slide_facts
from benchmarks.ann_worker import condition, memory_mb
from encoders.given_space import given_space
from indexer.building.given_vectors import GivenVectors, index_vectors
from indexer.slides import SlideFacts
from search.engine import Engine
from search.query import VectorQuery

_SPACE = "generated vectors"
#: `u` is kept in the one column of an item that is a plain number.
_COLUMN = {"u": "total_counts"}


class HistoSeek:
    """The engine under test."""

    knobs = ("defaults",)

    def __init__(self) -> None:
        self._engine: Engine | None = None

    def build(self, data: Data, folder: Path) -> None:
        """Index all rows, slide by slide, and open the index."""
        space = given_space(_SPACE, data.vectors.shape[1]).card
        index_vectors(folder / "histoseek", _slides(data, 0, len(data.vectors)), space)
        self._engine = Engine.open(folder / "histoseek")

    def ask(self, query: Floats, name: str, own: str, knob: object) -> list[int]:  # noqa: ARG002  # there is none
        """One search; a hit carries all its metadata."""
        engine, found = self._opened(), condition(name, own)
        if name == "own-slide exclusion":
            result = engine.search(VectorQuery(query, slide=own), target="image", k=K)
        elif found is None:
            result = engine.search(VectorQuery(query), target="image", k=K)
        else:
            column, operator, value = found
            where = f"{_COLUMN.get(column, column)} {operator} {value!r}"
            result = engine.search(VectorQuery(query), target="image", k=K, where=where)
        return [int(hit["id"].rsplit("/", maxsplit=1)[1]) for hit in result.to_list()]

    def ask_many(self, queries: Floats, knob: object) -> list[list[int]]:  # noqa: ARG002
        """All queries as one batch; each hit carries all its metadata."""
        return self._many(queries, exact=False)

    def _many(self, queries: Floats, *, exact: bool) -> list[list[int]]:
        asked = [VectorQuery(query) for query in queries]
        table = self._opened().search_many(asked, target="image", k=K, exact=exact).table
        found: list[list[int]] = [[] for _ in queries]
        for place, item in zip(table["query_index"].to_pylist(), table["id"].to_pylist(), strict=True):
            found[place].append(int(item.rsplit("/", maxsplit=1)[1]))
        return found

    def reopen(self, data: Data, folder: Path) -> dict[str, Any]:
        """Milliseconds from opening the index to the first answer."""
        start, before = time.perf_counter(), time.process_time()
        self._engine = Engine.open(folder / "histoseek")
        self.ask(data.queries[0], "unfiltered", "", None)
        return {"ms": 1_000 * (time.perf_counter() - start), "cpu_ms": 1_000 * (time.process_time() - before)}

    def opened(self, data: Data, folder: Path) -> dict[str, Any]:
        """MiB that opening adds to the imports, before the first query and after twenty."""
        for name in ("lancedb", "faiss"):
            import_module(name)
        before = memory_mb()
        self._engine = Engine.open(folder / "histoseek")
        ready = memory_mb()
        for i in range(min(20, len(data.queries))):
            self.ask(data.queries[i], "unfiltered", "", None)
        asked = memory_mb()
        return {
            "rss": ready["rss"] - before["rss"],
            "anonymous": ready["anonymous"] - before["anonymous"],
            "rss_asked": asked["rss"] - before["rss"],
            "anonymous_asked": asked["anonymous"] - before["anonymous"],
        }

    def append(self, data: Data, folder: Path) -> dict[str, Any]:
        """Rows a second of 10,000 more rows, until one of them is found; the index has them from then on."""
        n = 10_000
        rng = np.random.default_rng(9)
        vectors = rng.normal(size=(n, data.vectors.shape[1])).astype(np.float32)
        new = GivenVectors(_facts(0, name="slide-new"), [str(i) for i in range(n)], vectors)
        import_module("lancedb")
        start, before = time.perf_counter(), time.process_time()
        index_vectors(folder / "histoseek", [new], given_space(_SPACE, data.vectors.shape[1]).card)
        engine = Engine.open(folder / "histoseek")
        found = engine.search(VectorQuery(vectors[-1]), target="image", k=1).table.column("id").to_pylist()
        seconds = time.perf_counter() - start
        cpu_ms = 1_000 * (time.process_time() - before)
        return {"rows_per_s": n / seconds, "cpu_ms": cpu_ms, "found": found == [f"slide-new/tile/{n - 1}"]}

    def scan(self, data: Data, folder: Path) -> dict[str, Any]:
        """Milliseconds of one exact search to hits with metadata, and its recall; `self` is warm after one of them."""
        engine = self._engine = Engine.open(folder / "histoseek")
        times, found = [], []
        for query in (data.queries[0], *data.queries):
            start = time.perf_counter()
            result = engine.search(VectorQuery(query), target="image", k=K, exact=True)
            times.append(1_000 * (time.perf_counter() - start))
            found.append([int(hit["id"].rsplit("/", maxsplit=1)[1]) for hit in result.to_list()])
        return {"ms": float(np.median(times[1:])), "recall": _recall(data, found[1:])}

    def exact_many(self, data: Data, folder: Path) -> dict[str, Any]:
        """Queries a second of one exact batch to hits with metadata, and its recall; PyTorch is imported before."""
        import_module("torch")
        self._engine = Engine.open(folder / "histoseek")
        self._many(data.queries, exact=True)
        start = time.perf_counter()
        found = self._many(data.queries, exact=True)
        return {"qps": len(found) / (time.perf_counter() - start), "recall": _recall(data, found)}

    def _opened(self) -> Engine:
        if self._engine is None:
            raise RuntimeError("there is no index yet: build it first")
        return self._engine


def _recall(data: Data, found: list[list[int]]) -> float:
    true = data.truth("unfiltered").tolist()
    return float(np.mean([len(set(hits) & set(its)) / K for hits, its in zip(found, true, strict=True)]))


def _slides(data: Data, start: int, stop: int) -> Any:
    slide_of = data.slide_of[start:stop]
    numbers, first = np.unique(slide_of, return_index=True)
    ends = [*first[1:], stop - start]
    for number, begin, end in zip(numbers.tolist(), first.tolist(), ends, strict=True):
        rows = slice(start + begin, start + end)
        facts = _facts(number)
        label = slide_facts(number)["label"]
        columns: dict[str, Any] = {"total_counts": data.u[rows], "label": [label] * (end - begin)}
        names = [str(row) for row in range(rows.start, rows.stop)]
        yield GivenVectors(facts, names, data.vectors[rows], columns=columns)


def _facts(number: int, *, name: str | None = None) -> SlideFacts:
    known = slide_facts(number)
    return SlideFacts(
        slide=name or known["slide"],
        patient=known["patient"],
        cohort=known["cohort"],
        organ=known["organ"],
        diagnosis=known["diagnosis"],
        technology=known["technology"],
        species="none",
        licence="CC0-1.0",
        citation="generated",
        generated=True,
    )
