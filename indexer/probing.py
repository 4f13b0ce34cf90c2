"""Searching inverted lists until the scores say that nothing better is left.

The nearest lists that hold an allowed row are scanned, their best candidates compared on full-precision vectors, and
the score of the k-th hit is then held against what the next list could still hold (`indexer.evidence`): lists are added
until none could. Likewise candidates are compared as long as the error of their code could hide a better score. A
search never stops because it has found k rows.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from encoders.contracts import Floats, Vectors
from indexer.ann import AnnIndex, dots_at
from indexer.evidence import Approach, Evidence, Radii, approach, needed
from indexer.selection import Packed, Selection

Rows = npt.NDArray[np.int64]
_FIRST_DEPTH = 16  # candidates for each hit wanted, at first
_FEWEST = 160
_DEEPER = 8
_GROWTH = 3


@dataclass(frozen=True, slots=True)
class Trace:
    """What a search over lists looked at.

    Attributes
    ----------
    lists_probed, lists_allowed : int
        Lists scanned, and lists that hold a row that may answer.
    n_scanned : int
        Codes in the lists scanned.
    n_compared : int
        Rows compared on full-precision vectors.
    rounds : int
        Scans it took.
    stopped : str
        Why it stopped, as a sentence.
    """

    lists_probed: int
    lists_allowed: int
    n_scanned: int
    n_compared: int
    rounds: int
    stopped: str


NOTHING = Trace(0, 0, 0, 0, 0, "Nothing was scanned.")


class Prober:
    """Searches one index; keeps what is the same for every query."""

    def __init__(self, ann: AnnIndex, vectors: Vectors, evidence: Evidence, radii: Radii) -> None:
        self.ann = ann
        self.vectors = vectors
        self.evidence = evidence
        self._radii = radii

    def search(self, query: Vectors, k: int, selection: Selection) -> tuple[Rows, Floats, Trace]:
        """Find the rows most like a unit query `(dim,)`.

        Returns
        -------
        int64 (m,), float32 (m,), Trace
            At least `k` rows if there are as many, with their cosines, in no order.
        """
        lists = self.ann.lists
        near = approach(lists, self._radii, query)
        allowed = lists.sizes if selection.is_all else selection.list_counts(lists.list_of, len(lists.sizes))
        run = _Run(self, query, k, near, None if selection.is_all else selection.packed)
        is_open = allowed > 0
        n_open = int(is_open.sum())
        best = float(near.scores[is_open].max()) if n_open else -np.inf
        allowance = self.evidence.tolerance * k
        take = _highest(np.where(is_open, near.scores, -np.inf), min(self.evidence.first_lists, n_open))
        probed = rounds = scanned = 0
        left = 0.0
        while len(take):
            run.scan(take, int(allowed[take].sum()))
            is_open[take] = False
            probed, rounds, scanned = probed + len(take), rounds + 1, scanned + int(lists.sizes[take].sum())
            if run.least == -np.inf:
                wanted = _highest(np.where(is_open, near.scores, -np.inf), int(is_open.sum()))
            else:
                could = is_open & (near.scores + lists.max_radii >= run.least)  # no row of the others can be better
                expected = np.where(could, self.evidence.expected(near, run.least, best, n_open / len(allowed)), 0)
                wanted = needed(expected, allowance)
                left = float(expected.sum() - expected[wanted].sum())
            take = np.ascontiguousarray(wanted[: max(_GROWTH * probed, self.evidence.first_lists)])
        stopped = (
            self._why(run.least, left, k) if is_open.any() else "Every list that holds an allowed row was scanned."
        )
        return run.rows, run.scores, Trace(probed, n_open, scanned, len(run.rows), rounds + run.rescans, stopped)

    def _why(self, least: float, left: float, k: int) -> str:
        return (
            f"The last hit scores {least:.4f}; {left:.3f} of {k} better rows are expected in the lists not scanned "
            f"(of {self.evidence.n_queries:,} held-out searches {self.evidence.list_miss:.2%} of hits lay there)."
        )


class _Run:
    """Candidates of one query so far."""

    def __init__(self, prober: Prober, query: Vectors, k: int, near: Approach, packed: Packed | None) -> None:
        self._ann, self._vectors = prober.ann, prober.vectors
        self._evidence = prober.evidence
        self._query, self._k, self._near, self._packed = np.ascontiguousarray(query), k, near, packed
        self._depth = max(_FIRST_DEPTH * k, _FEWEST)
        self.rows: Rows = np.empty(0, dtype=np.int64)
        self.scores: Floats = np.empty(0, dtype=np.float32)
        self.least = -np.inf
        self.rescans = 0

    def scan(self, lists: Rows, n_allowed: int) -> None:
        """Scan some lists, deeper and deeper until what is left in them cannot be better."""
        coarse = np.ascontiguousarray(self._near.scores[lists])
        kept = (self.rows, self.scores)
        while True:
            depth = min(self._depth, n_allowed)
            estimates, found = self._ann.scan(self._query[None], lists[None], coarse[None], depth, self._packed)
            there = found[0] >= 0
            last = float(estimates[0][there][-1]) if there.any() else -np.inf
            self.rows, self.scores = kept
            self._compare(estimates[0][there], found[0][there])
            hidden = last + self._error() * float(self._near.error[lists].max())
            if depth >= n_allowed or hidden < self.least:
                return
            self._depth *= _DEEPER
            self.rescans += 1

    def _compare(self, estimates: Floats, found: Rows) -> None:
        """Compare the best of the candidates, then those that may be better than the last hit."""
        first = max(4 * self._k, 32)
        self._add(found[:first])
        rest, guesses = found[first:], estimates[first:]
        errors = self._near.error[self._ann.lists.list_of[rest]] * np.float32(self._error())
        self._add(rest[guesses + errors >= self.least])

    def _add(self, rows: Rows) -> None:
        rows = np.ascontiguousarray(rows)
        self.rows = np.concatenate([self.rows, rows])
        self.scores = np.concatenate([self.scores, dots_at(self._vectors, self._query, rows)])
        if len(self.rows) >= self._k:
            place = len(self.scores) - self._k
            self.least = float(np.partition(self.scores, place)[place])

    def _error(self) -> float:
        if self._ann.kind == "ivf_flat":
            return 1e-4  # nothing but rounding
        return self._evidence.code_error_at(self._near.standing(self.least))


def _highest(values: Floats, n: int) -> Rows:
    """Places of the `n` highest values, in no order."""
    if n >= len(values):
        return np.arange(len(values))
    return np.argpartition(values, len(values) - n)[len(values) - n :].astype(np.int64)
