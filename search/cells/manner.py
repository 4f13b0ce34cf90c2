"""How cell types are told."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from search.cells.decomposition import SHARES, ShareOf, Weighting
from search.errors import QueryError

Source = Literal["auto", "counts", "hits"]
Method = Literal["reweighted", "plain", "tangram", "votes"]
METHODS: tuple[Method, ...] = ("reweighted", "plain", "tangram", "votes")


@dataclass(frozen=True, slots=True)
class Manner:
    """How cell types are told: genes to use (chosen from the reference if `None`), the method, what shares are of.

    Attributes
    ----------
    markers : sequence of str, optional
        Genes to decompose on.
    method : {"reweighted", "plain", "tangram", "votes"}
        Non-negative least squares, with genes weighted by how far off they can be or by their spread over the types
        (`search.cells.decomposition.amounts_of`); one mapping of the types onto all places of a slide
        (`search.cells.tangram`), on counts or on vectors; the nearest cells of a reference (`search.cells.votes`).
    of : {"cells", "rna"}
        What the proportions are shares of; of cells only for `tangram` and `votes`.
    nms : bool
        For `tangram`: keep only the most common type of a place, as Loki's non-maximum suppression does.

    Raises
    ------
    QueryError
        If the method or what shares are of is not known, or they do not go together.
    """

    markers: Sequence[str] | None = None
    method: Method = "reweighted"
    of: ShareOf = "cells"
    nms: bool = False

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise QueryError(f"method={self.method!r} is not known; choose one of {', '.join(METHODS)}.")
        if self.of not in SHARES:
            raise QueryError(f"of={self.of!r} is not known; choose one of {', '.join(SHARES)}.")
        if self.method in ("tangram", "votes") and self.of != "cells":
            raise QueryError(f"Method {self.method!r} gives shares of cells, not of RNA; choose of='cells'.")
        if self.nms and self.method != "tangram":
            raise QueryError(f"nms is a step of method 'tangram', not of {self.method!r}; leave it out.")

    @property
    def weighting(self) -> Weighting:
        """How genes are weighted in least squares; raises `QueryError` for the other methods."""
        if self.method == "reweighted" or self.method == "plain":  # noqa: PLR1714  # mypy narrows only this form
            return self.method
        raise QueryError(
            f"Method {self.method!r} does not decompose one profile: 'tangram' maps all places of a slide at once, "
            "'votes' needs the vectors of cells."
        )
