"""Checks that an index holds what its card says, and that the vectors searched match the tables."""

import numpy as np

from app.space_check import Check
from encoders.contracts import Modality
from indexer.index import Index

_UNIT_TOLERANCE = 1e-4
_SAMPLE = 10_000
_MODALITIES: tuple[Modality, ...] = ("image", "expression")


def check_index(uri: str) -> list[Check]:
    """Open an index, mend its sidecars if need be, and compare it with its card.

    Raises
    ------
    StoreError
        If the index cannot be opened at all.
    """
    index = Index.open(uri)
    ids = index.metadata().column("id").to_pylist()
    n_declared = sum(index.card.counts.values())
    n_slides, n_failed = index.slides().num_rows, index.failed().num_rows
    return [
        Check("items as the card counts them", len(ids) == n_declared, f"{len(ids):,} of {n_declared:,}"),
        Check("item ids differ", len(set(ids)) == len(ids), f"{len(set(ids)):,} different"),
        Check("slides as the card counts them", n_slides == index.card.n_slides, f"{n_slides}"),
        Check("genes as the card counts them", len(index.genes) == index.card.n_genes, f"{len(index.genes):,}"),
        *(_check_vectors(index, modality) for modality in _MODALITIES),
        Check("failed slides", n_failed == 0, f"{n_failed}"),
    ]


def _check_vectors(index: Index, modality: Modality) -> Check:
    """Unit rows of the sidecar, a sample of them read again from the table."""
    vectors = index.vectors(modality)
    sample = np.random.default_rng(0).permutation(len(vectors))[:_SAMPLE]
    searched = np.asarray(vectors.vectors)[sample]
    rows, stored = index.stored_vectors(modality)
    same = bool(np.array_equal(vectors.rows, rows) and np.array_equal(searched, stored[sample]))
    norms = np.linalg.norm(searched, axis=1)
    is_unit = bool(np.allclose(norms, 1, atol=_UNIT_TOLERANCE))
    return Check(f"{modality} vectors match the table and have norm 1", same and is_unit, f"{len(vectors):,} vectors")
