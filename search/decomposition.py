"""Cell types of a spot or tile: non-negative least squares on a reference, genes weighted by how far they vary."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from search.errors import CellReferenceError
from search.profiles import Doubles
from search.reference import CellReference

Method = Literal["reweighted", "plain"]
METHODS: tuple[Method, ...] = ("reweighted", "plain")
_SD_FLOOR = 0.2  # counts per 10,000: keeps genes that hardly vary from deciding
_ROUNDS = 3
_MARKERS_PER_TYPE = 60


@dataclass(frozen=True, slots=True)
class MarkerSystem:
    """The reference cut to marker genes that the measured genes share.

    Attributes
    ----------
    genes : tuple of str
        Symbols used.
    columns : int64 (n_markers,)
        Their places among the measured genes.
    profiles : float64 (n_types, n_markers)
        Mean counts per 10,000.
    """

    genes: tuple[str, ...]
    columns: npt.NDArray[np.int64]
    profiles: Doubles


def marker_system(
    reference: CellReference, measured: Sequence[str], *, markers: Sequence[str] | None = None
) -> MarkerSystem:
    """Choose the genes to decompose on, among those both sides have.

    Without a list, each type gives the genes whose log profile lies furthest above the mean of the other types, at
    most 60.

    Parameters
    ----------
    reference : CellReference
        Cell types.
    measured : sequence of str
        Symbols of the counts to decompose.
    markers : sequence of str, optional
        Genes to use instead.

    Raises
    ------
    CellReferenceError
        If there are no shared genes, or none of the given markers is shared.
    """
    place = {symbol: column for column, symbol in enumerate(measured)}
    shared = [i for i, gene in enumerate(reference.genes) if gene in place]
    if not shared:
        raise CellReferenceError(
            f"The reference ({len(reference.genes):,} genes, such as {', '.join(reference.genes[:3])}) shares no gene "
            f"with the measured {len(measured):,} (such as {', '.join(list(measured)[:3])}). "
            "Bring both to the same symbols."
        )
    if markers is None:
        chosen = np.array(shared)[_specific(np.log1p(reference.profiles[:, shared]))]
    else:
        wanted = set(markers)
        chosen = np.array([i for i in shared if reference.genes[i] in wanted], dtype=np.int64)
        if not len(chosen):
            raise CellReferenceError(
                f"None of the {len(markers)} markers (such as {', '.join(list(markers)[:3])}) is among the "
                f"{len(shared):,} genes that the reference and the measured genes share."
            )
    genes = tuple(reference.genes[i] for i in chosen)
    columns = np.array([place[gene] for gene in genes], dtype=np.int64)
    return MarkerSystem(genes, columns, reference.profiles[:, chosen])


def _specific(log_profiles: Doubles) -> npt.NDArray[np.int64]:
    n_types = len(log_profiles)
    highest = log_profiles.max(axis=0)
    others = (log_profiles.sum(axis=0) - highest) / (n_types - 1)
    contrast, owner = highest - others, log_profiles.argmax(axis=0)
    chosen: list[int] = []
    for cell_type in range(n_types):
        own = np.flatnonzero((owner == cell_type) & (contrast > 0))
        chosen += own[np.argsort(-contrast[own], kind="stable")][:_MARKERS_PER_TYPE].tolist()
    return np.array(sorted(chosen), dtype=np.int64)


def proportions(system: MarkerSystem, values: Doubles, *, method: Method = "reweighted") -> Doubles:
    """Shares of the cell types in each row.

    A row is taken as a sum of profiles, `y = sum_t a_t p_t`, solved for `a >= 0` with gene `g` weighted by
    `1 / (sd_g + 0.2)`, the spread of the gene over the types (`plain`). Counts are noisier the higher they are, so
    `reweighted` solves three times more with weights `1 / sqrt(fitted_g + 0.2)`, the Poisson weights at the last
    solution (iteratively reweighted least squares).

    Parameters
    ----------
    system : MarkerSystem
        Profiles of the types.
    values : float64 (n, n_markers)
        Counts per 10,000 of the marker genes.
    method : {"reweighted", "plain"}
        Which weights.

    Returns
    -------
    float64 (n, n_types)
        Rows sum to 1; a row of zeros where no type explains anything.
    """
    from scipy.optimize import nnls  # slow to import, and not needed for a search

    profiles = system.profiles
    first = 1.0 / (profiles.std(axis=0) + _SD_FLOOR)
    amounts = np.zeros((len(values), len(profiles)))
    for i, row in enumerate(values):
        amounts[i] = nnls((profiles * first).T, row * first)[0]
        for _ in range(_ROUNDS if method == "reweighted" else 0):
            weights = 1.0 / np.sqrt(amounts[i] @ profiles + _SD_FLOOR)
            amounts[i] = nnls((profiles * weights).T, row * weights)[0]
    totals = amounts.sum(axis=1, keepdims=True)
    shares = np.zeros_like(amounts)
    np.divide(amounts, totals, out=shares, where=totals > 0)
    return shares
