"""What a search of vectors gives."""

from typing import Literal, NamedTuple

from encoders.contracts import Floats
from indexer.vectors.probing import Trace
from indexer.vectors.selection import Rows

Strategy = Literal["exact", "ann"]


class Neighbours(NamedTuple):
    """Nearest items of each query, best first, ties in row order.

    Attributes
    ----------
    rows : int64 (q, k)
        Rows of the index; -1 where fewer may answer.
    scores : float32 (q, k)
        Cosines, descending.
    """

    rows: Rows
    scores: Floats


class Found(NamedTuple):
    """Nearest items of one query and how they were found.

    Attributes
    ----------
    rows : int64 (k,)
        Rows of the index.
    scores : float32 (k,)
        Cosines, descending, ties in row order.
    strategy : {"exact", "ann"}
        Whether every allowed vector was compared.
    trace : Trace
        What was looked at.
    """

    rows: Rows
    scores: Floats
    strategy: Strategy
    trace: Trace
