"""Whether many items have one direction: the length of their mean vector, against others of the same slides."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from encoders.contracts import Vectors
from search.catalogue import Rows
from search.profiles import Doubles

_N_DRAWS = 200
_MOST_READ = 2_000  # items of a random region that are read
_RARE = 0.05  # random items are this seldom as alike by chance
_LOW = 0.2  # share of random regions below which a region is called mixed
_DIGITS = 3
_MIXED = (
    "Not coherent: it holds several kinds of tissue, and its mean may resemble none of them. Search it by its parts "
    "(parts=3), or take in one kind."
)


@dataclass(frozen=True, slots=True)
class Coherence:
    """How alike items are whose mean is asked with.

    Attributes
    ----------
    n_items : int
        Items.
    resultant : float
        Length of the mean of their unit vectors: 1 if all are the same, near 0 if they point everywhere (Mardia &
        Jupp, Directional Statistics, 2000).
    random_items : float or None
        Resultant that 5 % of random items of the same slides reach, as many of each.
    random_regions : float or None
        Median resultant of random patches of the slide with as many items side by side.
    share_of_regions_below : float or None
        Share of these that are less alike.
    """

    n_items: int
    resultant: float
    random_items: float | None = None
    random_regions: float | None = None
    share_of_regions_below: float | None = None

    @property
    def coherent(self) -> bool:
        """Whether the items are more alike than random ones, and not more mixed than nearly all patches of tissue."""
        if self.random_items is None:
            return True
        if self.share_of_regions_below is not None and self.share_of_regions_below < _LOW:
            return False
        return self.resultant > self.random_items

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form."""
        return asdict(self) | {"coherent": self.coherent}

    def notes(self, what: str) -> tuple[str, ...]:
        """What the user should know before reading hits of the mean."""
        if self.random_items is None:
            return ()
        against = f"random items {self.random_items:.2f}"
        if self.random_regions is not None:
            against += f", random regions as large {self.random_regions:.2f}"
        found = f"{what}: {self.n_items:,} items, mean resultant length {self.resultant:.2f} ({against})."
        return (found if self.coherent else f"{found} {_MIXED}",)


def resultant(vectors: Vectors) -> float:
    """Length of the mean of unit vectors `(n, dim)`."""
    return float(np.linalg.norm(vectors.mean(axis=0, dtype=np.float64)))


def region_coherence(inside: Rows, xy_px: Doubles, vectors: Vectors) -> Coherence:
    """Coherence of some places of one slide.

    Parameters
    ----------
    inside : int64 (m,)
        The places asked with.
    xy_px : float64 (n, 2)
        Where all places of the slide lie.
    vectors : float32 (n, dim)
        Their unit vectors.
    """
    from scipy.spatial import cKDTree

    n, own = len(inside), round(resultant(vectors[inside]), _DIGITS)
    if n < 2 or n >= len(vectors):
        return Coherence(n, own, *((own,) if n >= 2 else ()))
    rng = np.random.default_rng(0)
    centres = xy_px[rng.integers(len(xy_px), size=_N_DRAWS)]
    tree = cKDTree(xy_px)
    regions = [resultant(vectors[_thinned(tree.query(centre, k=n)[1])]) for centre in centres]
    below = float(np.mean(np.round(regions, _DIGITS) < own))
    scattered = _rare(vectors, [(np.arange(len(vectors)), n)])
    return Coherence(n, own, scattered, round(float(np.median(regions)), _DIGITS), round(below, _DIGITS))


def group_coherence(inside: Rows, slide_of: Rows, vectors: Vectors) -> Coherence:
    """Coherence of items of several slides against random items, as many of each slide; arguments as above.

    `slide_of`, int64 `(n,)`, is the slide of each item that might have been one of the group.
    """
    n, own = len(inside), round(resultant(vectors[inside]), _DIGITS)
    if n < 2:
        return Coherence(n, own)
    slides, counts = np.unique(slide_of[inside], return_counts=True)
    draws = [(np.flatnonzero(slide_of == slide), count) for slide, count in zip(slides, counts.tolist(), strict=True)]
    return Coherence(n, own, _rare(vectors, draws))


def _rare(vectors: Vectors, draws: Sequence[tuple[Rows, int]]) -> float:
    """Resultant that random items seldom reach, with so many drawn from each pool."""
    share = min(1.0, _MOST_READ / sum(n for _, n in draws))

    def drawn() -> Iterator[float]:
        rng = np.random.default_rng(1)
        for _ in range(_N_DRAWS):
            chosen = [rng.choice(pool, max(1, round(share * n)), replace=False) for pool, n in draws]
            yield resultant(vectors[np.concatenate(chosen)])

    return round(float(np.quantile(list(drawn()), 1 - _RARE)), _DIGITS)


def _thinned(rows: Rows) -> Rows:
    return rows if len(rows) <= _MOST_READ else rows[:: -(-len(rows) // _MOST_READ)]
