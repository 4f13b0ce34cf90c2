"""Checks that an index holds what its card says, and that the vectors searched match the tables."""

from app.space_check import Check
from indexer.index import Index
from indexer.verification import examine


def check_index(uri: str) -> list[Check]:
    """Open an index, mend its sidecars if need be, and compare it with its card.

    Raises
    ------
    StoreError
        If the index cannot be opened at all.
    """
    index = Index.open(uri)
    n_failed = index.failed().num_rows
    return [
        *(Check(row.what, not row.problems, " ".join(row.problems) or row.found) for row in examine(index)),
        Check("failed slides", n_failed == 0, f"{n_failed}"),
    ]
