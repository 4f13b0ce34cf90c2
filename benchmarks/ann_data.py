"""Vectors shaped like those of image-text spaces, with metadata, filters, and the true nearest rows.

Unit vectors lie in heavy-tailed clusters, each of which varies in a low-dimensional subspace of its own, with noise in
all directions: the nearest rows have cosines of about .8 that differ little, as in CLIP-like spaces. Rows come slide by
slide. An organ is a set of clusters, so a filter by organ allows rows of few clusters; `u` is independent of them.
Files are plain NumPy, so that an engine in another environment can read them.
"""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]

DIM, K = 512, 10
N_ORGANS, SLIDES_AN_ORGAN = 10, 50
TEXT_COLUMNS = ("slide", "patient", "organ", "cohort", "diagnosis", "technology", "label")
#: Name of each filter: column, operator, value; `own` is the slide of the query.
FILTERS: dict[str, tuple[str, str, float | str] | None] = {
    "unfiltered": None,
    "filtered-1%": ("u", "<", 0.01),
    "filtered-10%": ("u", "<", 0.10),
    "filtered-50%": ("u", "<", 0.50),
    "correlated-filter": ("organ", "=", "organ-7"),
    "own-slide exclusion": ("slide", "!=", "own"),
}
_BASIS, _WIDTH = 256, 48
_SPREAD, _NOISE = 0.75, 0.30
#: Of a flat space: shares of the direction all rows have, in rows and in queries, and of a query's own cluster in it.
_OF_ROWS, _OF_QUERIES, _MATCHED = np.float32(0.8), np.float32(0.425), np.float32(0.125)
_CHUNK = 65_536


@dataclass(frozen=True)
class Data:
    """What `generate` wrote into a folder."""

    folder: Path

    @cached_property
    def vectors(self) -> Floats:
        """Unit rows `(n, 512)`, a memory map."""
        found: Floats = np.load(self.folder / "vectors.npy", mmap_mode="r")
        return found

    @cached_property
    def queries(self) -> Floats:
        """Unit rows `(q, 512)`, not among the vectors."""
        found: Floats = np.load(self.folder / "queries.npy")
        return found

    @cached_property
    def u(self) -> Floats:
        """Uniform numbers in [0, 1), one a row."""
        found: Floats = np.load(self.folder / "u.npy")
        return found

    @cached_property
    def slide_of(self) -> npt.NDArray[np.int32]:
        """Number of each row's slide; ascending."""
        return np.asarray(np.load(self.folder / "slide_of.npy"))

    @cached_property
    def query_slides(self) -> list[str]:
        """Slide that each query is said to be of."""
        names: list[str] = json.loads((self.folder / "query_slides.json").read_text())
        return names

    def text(self, column: str) -> npt.NDArray[np.object_]:
        """Values of a column of text, one a row."""
        facts = [slide_facts(number)[column] for number in range(N_ORGANS * SLIDES_AN_ORGAN)]
        return np.array(facts, dtype=object)[self.slide_of]

    def truth(self, name: str) -> Rows:
        """Nearest rows under a filter, `int64 (q, 10)`, -1 where fewer are allowed."""
        return self._truths[name]

    @cached_property
    def _truths(self) -> dict[str, Rows]:
        # Read once: a file opened between two queries would push the engine out of the processor's caches.
        with np.load(self.folder / "truth.npz") as truths:
            return {name: np.asarray(truths[name]) for name in truths.files}

    def allowed(self, name: str, query: int) -> npt.NDArray[np.bool_] | None:
        """Rows that a filter allows a query; `None` for all."""
        condition = FILTERS[name]
        if condition is None:
            return None
        column, _, value = condition
        if column == "u":
            return np.asarray(self.u < float(value))
        if column == "organ":
            return np.asarray(self.slide_of // SLIDES_AN_ORGAN == int(str(value).rsplit("-", maxsplit=1)[1]))
        return np.asarray(self.slide_of != int(self.query_slides[query].rsplit("-", maxsplit=1)[1]))


def slide_facts(number: int) -> dict[str, str]:
    """Metadata of a slide, which all its rows share."""
    return {
        "slide": f"slide-{number}",
        "patient": f"patient-{number // 2}",
        "organ": f"organ-{number // SLIDES_AN_ORGAN}",
        "cohort": f"cohort-{number % 7}",
        "diagnosis": f"diagnosis-{number % 31}",
        "technology": f"technology-{number % 3}",
        "label": f"label-{number % 11}",
    }


def generate(folder: Path, n: int, n_queries: int = 200, seed: int = 0, *, flat: bool = False) -> Data:
    """Write `n` vectors, their metadata, held-out queries and exact answers into a folder; the same each time.

    With `flat` the queries are of another modality than the rows, as in CLIP-like spaces: all rows share one direction,
    and a query has a little of it, hardly anything of its cluster, and much that no row has. Cosines of pairs of one
    cluster are then about .34 to .42, of others .30 to .38.
    """
    rng = np.random.default_rng(seed)
    clusters = _Clusters(rng, n_clusters=int(np.clip(n // 100, 40, 2_000)))
    folder.mkdir(parents=True, exist_ok=True)
    modality = _Modality(np.random.default_rng(seed + 1)) if flat else None
    cluster_of = clusters.draw(rng, n)
    slide_of = (clusters.organ_of[cluster_of] * SLIDES_AN_ORGAN + rng.integers(0, SLIDES_AN_ORGAN, n)).astype(np.int32)
    order = np.argsort(slide_of, kind="stable")
    cluster_of, slide_of = cluster_of[order], slide_of[order]
    vectors = np.lib.format.open_memmap(folder / "vectors.npy", mode="w+", dtype=np.float32, shape=(n, DIM))
    for start in range(0, n, _CHUNK):
        points = clusters.points(rng, cluster_of[start : start + _CHUNK])
        vectors[start : start + _CHUNK] = points if modality is None else modality.rows(points)
    vectors.flush()
    of_queries = clusters.draw(rng, n_queries)
    queries = clusters.points(rng, of_queries)
    if modality is not None:
        queries = modality.queries(queries)
    own = clusters.organ_of[of_queries] * SLIDES_AN_ORGAN + rng.integers(0, SLIDES_AN_ORGAN, n_queries)
    np.save(folder / "queries.npy", queries)
    np.save(folder / "u.npy", rng.random(n, dtype=np.float32))
    np.save(folder / "slide_of.npy", slide_of)
    (folder / "query_slides.json").write_text(json.dumps([f"slide-{number}" for number in own.tolist()]))
    data = Data(folder)
    answers: dict[str, Any] = {name: _exact(data, name) for name in FILTERS}
    np.savez(folder / "truth.npz", **answers)
    return data


class _Clusters:
    def __init__(self, rng: np.random.Generator, n_clusters: int) -> None:
        basis = np.linalg.qr(rng.normal(size=(DIM, _BASIS)))[0].T
        self._basis = basis.astype(np.float32)
        decay = 1 / np.sqrt(1 + np.arange(_BASIS) / 32)
        centres = rng.normal(size=(n_clusters, _BASIS)) * decay
        self._centres = (centres / np.linalg.norm(centres, axis=1, keepdims=True)).astype(np.float32)
        scales = 1 / (1 + np.arange(_WIDTH)) ** 0.6
        self._scales = (_SPREAD * scales / np.linalg.norm(scales)).astype(np.float32)
        self._axes = np.stack([rng.choice(_BASIS, _WIDTH, replace=False) for _ in range(n_clusters)])
        shares = rng.lognormal(sigma=1.2, size=n_clusters)
        self._shares = shares / shares.sum()
        # Organs of about equal size, each a set of whole clusters.
        self.organ_of = np.minimum((np.cumsum(self._shares) * N_ORGANS).astype(np.int64), N_ORGANS - 1)

    def draw(self, rng: np.random.Generator, n: int) -> Rows:
        return rng.choice(len(self._shares), size=n, p=self._shares).astype(np.int64)

    def points(self, rng: np.random.Generator, cluster_of: Rows) -> Floats:
        n = len(cluster_of)
        places = self._centres[cluster_of].copy()
        moved = rng.normal(size=(n, _WIDTH)).astype(np.float32) * self._scales
        np.add.at(places, (np.arange(n)[:, None], self._axes[cluster_of]), moved)
        points = places @ self._basis
        points += rng.normal(size=points.shape).astype(np.float32) * np.float32(_NOISE / np.sqrt(DIM))
        return _unit(points)


class _Modality:
    """What sets the rows apart from queries of another modality."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._direction = _unit(rng.normal(size=(1, DIM)).astype(np.float32))

    def rows(self, points: Floats) -> Floats:
        return _unit(_OF_ROWS * self._direction + np.float32(np.sqrt(1 - _OF_ROWS**2)) * points)

    def queries(self, points: Floats) -> Floats:
        others = _unit(self._rng.normal(size=points.shape).astype(np.float32))
        rest = np.float32(np.sqrt(1 - _OF_QUERIES**2 - _MATCHED**2))
        return _unit(_OF_QUERIES * self._direction + _MATCHED * points + rest * others)


def _unit(vectors: Floats) -> Floats:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)


def _exact(data: Data, name: str) -> Rows:
    queries = data.queries
    best = np.full((len(queries), K), -np.inf, dtype=np.float32)
    rows = np.full((len(queries), K), -1, dtype=np.int64)
    shared = None if name == "own-slide exclusion" else data.allowed(name, 0)
    own = np.array([int(slide.rsplit("-", maxsplit=1)[1]) for slide in data.query_slides])
    for start in range(0, len(data.vectors), _CHUNK):
        part = slice(start, start + _CHUNK)
        scores = queries @ np.asarray(data.vectors[part]).T
        if shared is not None:
            scores[:, ~shared[part]] = -np.inf
        if name == "own-slide exclusion":
            scores[data.slide_of[part][None, :] == own[:, None]] = -np.inf
        numbers = np.broadcast_to(np.arange(start, start + scores.shape[1]), scores.shape)
        all_scores, all_rows = np.hstack([best, scores]), np.hstack([rows, numbers])
        top = np.argpartition(-all_scores, K - 1, axis=1)[:, :K]
        best, rows = np.take_along_axis(all_scores, top, 1), np.take_along_axis(all_rows, top, 1)
    rows[~np.isfinite(best)] = -1
    return rows
