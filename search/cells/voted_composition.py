"""The cell types of one query by the reference cells its vector is nearest to."""

import numpy as np

from search.cells.cell_vectors import CellVectors
from search.cells.composition import Composition, coarse_rows, shares_table
from search.cells.manner import Manner
from search.cells.votes import votes_of
from search.encoding import EncodedQuery
from search.errors import QueryError

_N_BOOTSTRAP = 100


def decompose_by_votes(query: EncodedQuery, cells: CellVectors, manner: Manner) -> Composition:
    """Let the nearest cells vote; the spread is that of which cells the reference has.

    Raises
    ------
    QueryError
        If the method is another.
    """
    if manner.method != "votes":
        raise QueryError(
            f"Method {manner.method!r} cannot tell one query from the vectors of cells; choose 'votes', or give a "
            "CellReference."
        )
    votes = votes_of(query.vector[None], cells, n_samples=_N_BOOTSTRAP)
    shares = np.vstack([votes.shares, votes.samples[:, 0]])
    dropped = f"Types left out of the reference for too few cells: {', '.join(cells.dropped)}."
    return Composition(
        table=shares_table(cells.types, shares, cells.n_cells),
        query=query.description | {"method": "votes"},
        notes=(*query.notes, *((dropped,) if cells.dropped else ())),
        source="vectors",
        method="votes",
        of=manner.of,
        n_markers=cells.vectors.shape[1],
        fit=float(votes.cosine[0]),
        coarse=coarse_rows(cells.parents, cells.n_cells, shares),
        n_effective=float(votes.n_effective[0]),
    )
