"""What stands for a whole slide: one vector or several with their shares, and the contract of what makes them."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from encoders.contracts import Floats, Modality, Vectors

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Aggregate:
    """Vectors that stand for a slide.

    Attributes
    ----------
    vectors : float32 (p, dim)
        Unit rows; of a learned aggregator in a space of its own.
    shares : float32 (p,)
        Part of the slide each stands for; sums to 1.
    nearest : int64 (p,)
        The tile that shows each best.
    """

    vectors: Vectors
    shares: Floats
    nearest: Rows


class SlideAggregator(Protocol):
    """Tiles of one slide to an `Aggregate`."""

    @property
    def name(self) -> str:
        """Name that opens the same aggregator again, kept in the card of every index made with it."""

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """The sides it can aggregate."""

    def aggregate(self, vectors: Vectors, features: Floats | None = None) -> Aggregate:
        """Aggregate one slide.

        Parameters
        ----------
        vectors : float32 (n, dim)
            Unit vectors in the space, centred on the training sections, at least one.
        features : float32 (n, feature_dim), optional
            Backbone features of the same tiles; an expression side has none.
        """
