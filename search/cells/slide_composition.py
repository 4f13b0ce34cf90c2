"""The cell types of every place of a slide: the share of each type, and how far it may be off."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa

from search.cells.decomposition import ShareOf
from search.cells.manner import Method
from search.profiles import Doubles
from search.result import Findings

if TYPE_CHECKING:
    import pandas as pd

PLACE_COLUMNS = ("id", "kind", "x_px", "y_px")


@dataclass(frozen=True, slots=True)
class TypeShares:
    """Shares of cell types.

    Attributes
    ----------
    types : tuple of str
        Cell types.
    proportions, sd : float64 (n, n_types)
        Share of each type at each place, rows sum to 1, and its standard deviation, NaN where the method has none; a
        row of zeros where the place has no count of a gene that is used.
    """

    types: tuple[str, ...]
    proportions: Doubles
    sd: Doubles


@dataclass(frozen=True, slots=True)
class SlideComposition(Findings):
    """Cell types of the places of a slide: columns `id`, `kind`, `x_px`, `y_px`, `dominant`, `proportion`, `sd`.

    `dominant` is the most common type of the place (null if nothing can be told), `proportion` and `sd` are its own.

    Attributes
    ----------
    slide : str
        The slide.
    source : {"counts", "hits", "vectors"}
        Whether the counts of the places were decomposed, those of their hits, or their vectors compared with cells.
    method : str
        See `search.cells.manner.Manner`.
    of : {"cells", "rna"}
        What the proportions are shares of.
    n_markers : int
        Genes, or features, used.
    shares : TypeShares
        All types.
    coarse : TypeShares or None
        The same, summed to the coarser types of the reference.
    """

    slide: str
    source: Literal["counts", "hits", "vectors"]
    method: Method
    of: ShareOf
    n_markers: int
    shares: TypeShares
    coarse: TypeShares | None = None

    @property
    def proportions(self) -> "pd.DataFrame":
        """Share of each type (columns) at each place (rows, by id)."""
        return self._framed(self.shares.types, self.shares.proportions)

    @property
    def sd(self) -> "pd.DataFrame":
        """Standard deviation of each share."""
        return self._framed(self.shares.types, self.shares.sd)

    def overall(self) -> list[dict[str, Any]]:
        """Of each type, the most common first: mean share over the places, its spread, and where it is dominant."""
        told = self.shares.proportions[self.shares.proportions.any(axis=1)]
        mean = told.mean(axis=0) if len(told) else np.zeros(len(self.shares.types))
        low, high = np.quantile(told, (0.1, 0.9), axis=0) if len(told) else (mean, mean)
        n_dominant = np.bincount(told.argmax(axis=1), minlength=len(mean)) if len(told) else np.zeros(len(mean), int)
        return [
            {
                "type": self.shares.types[t],
                "mean": float(mean[t]),
                "tenth": float(low[t]),
                "ninetieth": float(high[t]),
                "n_dominant": int(n_dominant[t]),
            }
            for t in np.argsort(-mean, kind="stable")
        ]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready form: query, notes, figures, shares over the slide, and one row a place with its shares."""
        figures = {name: getattr(self, name) for name in ("slide", "source", "method", "of", "n_markers")}
        places = self.table.to_pylist()
        for place, values, spread in zip(places, self.shares.proportions, self.shares.sd, strict=True):
            place["proportions"] = dict(zip(self.shares.types, values.tolist(), strict=True))
            place["sds"] = dict(zip(self.shares.types, spread.tolist(), strict=True))
        if self.coarse is not None:
            for place, values in zip(places, self.coarse.proportions, strict=True):
                place["coarse"] = dict(zip(self.coarse.types, values.tolist(), strict=True))
        return {"query": self.query, "notes": list(self.notes), **figures, "overall": self.overall(), "rows": places}

    def _framed(self, types: Sequence[str], values: Doubles) -> "pd.DataFrame":
        import pandas as pd

        return pd.DataFrame(values, index=pd.Index(self.table.column("id").to_pylist(), name="id"), columns=list(types))


def places_table(places: Mapping[str, pa.Array], shares: TypeShares) -> pa.Table:
    """Places, from columns of them, with their most common type."""
    there = shares.proportions.sum(axis=1) > 0
    best = shares.proportions.argmax(axis=1)
    at = np.arange(len(best))
    names = [shares.types[t] if known else None for t, known in zip(best.tolist(), there.tolist(), strict=True)]
    return (
        pa.table({name: places[name] for name in PLACE_COLUMNS})
        .append_column("dominant", pa.array(names, pa.string()))
        .append_column("proportion", pa.array(shares.proportions[at, best], pa.float32(), mask=~there))
        .append_column("sd", pa.array(shares.sd[at, best], pa.float32(), mask=~there))
    )


def summed_shares(parents: Sequence[str], samples: Doubles, proportions: Doubles) -> TypeShares:
    """Shares of finer types added up to those they belong to; `samples` is float64 `(n_samples, n, n_types)`."""
    coarse = sorted(set(parents))
    member = np.array([[parent == name for name in coarse] for parent in parents], dtype=np.float64)
    return TypeShares(tuple(coarse), proportions @ member, (samples @ member).std(axis=0))
