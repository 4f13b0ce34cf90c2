"""Cell types of a spot or tile: non-negative least squares on a reference, weighted by how far genes can be off."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from search.cells.least_squares import nonnegative
from search.cells.reference import CellReference
from search.errors import CellReferenceError
from search.profiles import Doubles

Weighting = Literal["reweighted", "plain"]
ShareOf = Literal["cells", "rna"]
SHARES: tuple[ShareOf, ...] = ("cells", "rna")
_SD_FLOOR = 0.2  # counts per 10,000: keeps genes that hardly vary from deciding
_DISPERSION = 0.3  # variance over squared mean of a gene between a type's cells and the average that stands for them
_ROUNDS = 4
_SCALE_ROUNDS = 2
_SCALE_RANGE = (0.05, 20.0)
MIN_SCALE_ROWS = 30  # fewer rows say too little of how two technologies differ in a gene
_MARKERS_PER_TYPE = 60
_CHUNK = 2_048
_SAME = 1 - 1e-9  # cosine of two profiles
_DEPENDENT = 1e-6  # smallest singular value of unit profiles; twice as many digits are lost when they are squared


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
        Counts per 10,000.
    counts_per_cell : float64 (n_types,)
        Mean counts of a cell.
    """

    genes: tuple[str, ...]
    columns: npt.NDArray[np.int64]
    profiles: Doubles
    counts_per_cell: Doubles


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
        If there are no shared genes, none of the given markers is shared, or these cannot tell the types apart.
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
    profiles = reference.profiles[:, chosen]
    _check_told_apart(reference.types, profiles)
    return MarkerSystem(genes, columns, profiles, np.array(reference.counts_per_cell))


def _check_told_apart(types: Sequence[str], profiles: Doubles) -> None:
    """Raise `CellReferenceError` if a share of one type may as well be one of others."""
    lengths = np.linalg.norm(profiles, axis=1)
    if not lengths.all():
        silent = ", ".join(np.array(types)[lengths == 0])
        raise CellReferenceError(
            f"The types {silent} express none of the {profiles.shape[1]} marker genes that are shared, so their share "
            "cannot be told; give markers of theirs, or leave them out."
        )
    along = profiles / lengths[:, None]
    alike = np.triu(along @ along.T, k=1)
    first, second = np.unravel_index(alike.argmax(), alike.shape)
    if alike[first, second] > _SAME:
        raise CellReferenceError(
            f"The types {types[first]} and {types[second]} are the same on the {profiles.shape[1]} marker genes that "
            "are shared, so they cannot be told apart; merge them."
        )
    if np.linalg.matrix_rank(along, tol=_DEPENDENT) < len(types):
        raise CellReferenceError(
            f"The {len(types)} types ({', '.join(types[:3])}, ...) cannot be told apart on the {profiles.shape[1]} "
            "marker genes that are shared: one profile is a sum of others. Give more markers, or merge types."
        )


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


def amounts_of(
    system: MarkerSystem, values: Doubles, *, method: Weighting = "reweighted", scales: Doubles | None = None
) -> Doubles:
    """How much RNA each type gives to each row, in the units of `values`.

    A row is taken as a sum of profiles, `y = sum_t a_t p_t`, solved for `a >= 0` with gene `g` weighted by
    `1 / (sd_g + 0.2)`, the spread of the gene over the types (`plain`). A gene is the further off the higher it is:
    by the noise of counting, and because the cells of a type are not all alike. So `reweighted` solves four times
    more with weights `1 / sqrt(m + 0.3 m^2 + 0.2)`, the inverse standard deviation of a negative binomial at the last
    fitted value `m` (iteratively reweighted least squares).

    Parameters
    ----------
    system : MarkerSystem
        Profiles of the types.
    values : float64 (n, n_markers)
        Counts per 10,000 of the marker genes.
    method : {"reweighted", "plain"}
        Which weights.
    scales : float64 (n_markers,), optional
        Factor of each gene between the reference and these rows; see `gene_scales`.

    Returns
    -------
    float64 (n, n_types)
    """
    profiles = system.profiles if scales is None else system.profiles * scales
    amounts = [_solved(profiles, values[i : i + _CHUNK], method) for i in range(0, len(values), _CHUNK)]
    return np.concatenate(amounts) if amounts else np.empty((0, len(profiles)))


def _solved(profiles: Doubles, values: Doubles, method: Weighting) -> Doubles:
    amounts = nonnegative(profiles, values, _start_weights(profiles))
    for _ in range(_ROUNDS if method == "reweighted" else 0):
        amounts = nonnegative(profiles, values, negative_binomial_weights(amounts @ profiles), amounts)
    return amounts


def _start_weights(profiles: Doubles) -> Doubles:
    return np.asarray(1.0 / (profiles.std(axis=0) + _SD_FLOOR))


def negative_binomial_weights(fitted: Doubles) -> Doubles:
    """Inverse standard deviation of each value, given what is fitted to it; see `amounts_of`."""
    return np.asarray(1.0 / np.sqrt(fitted + _DISPERSION * fitted**2 + _SD_FLOOR))


def weights_at(profiles: Doubles, amounts: Doubles, method: Weighting) -> Doubles:
    """Weights that a fit ended with, float64 `(n, n_genes)`; see `amounts_of`."""
    if method == "plain":
        return np.broadcast_to(_start_weights(profiles), (len(amounts), profiles.shape[1]))
    return negative_binomial_weights(amounts @ profiles)


def gene_scales(system: MarkerSystem, values: Doubles) -> Doubles | None:
    """How much stronger each gene is read here than in the reference: two technologies do not see a gene alike.

    Amounts and factors are fitted in turn, twice: with the amounts given, the factor of a gene is the ratio of its
    sums, observed over fitted, kept within 1/20 and 20.

    Parameters
    ----------
    system : MarkerSystem
        Profiles of the types.
    values : float64 (n, n_markers)
        Counts per 10,000 of rows of one technology, such as the spots of a slide.

    Returns
    -------
    float64 (n_markers,) or None
        `None` for fewer than 30 rows.
    """
    if len(values) < MIN_SCALE_ROWS:
        return None
    scales = np.ones(len(system.genes))
    for _ in range(_SCALE_ROUNDS):
        fitted = amounts_of(system, values, scales=scales) @ system.profiles
        scales = np.clip((values.sum(axis=0) + 1.0) / (fitted.sum(axis=0) + 1.0), *_SCALE_RANGE)
    return scales


def shares_of(system: MarkerSystem, amounts: Doubles, of: ShareOf = "cells") -> Doubles:
    """Amounts of RNA as shares of the RNA, or of the cells it takes to give it.

    Parameters
    ----------
    amounts : float64 (n, n_types)
        From `amounts_of`.
    of : {"cells", "rna"}
        A type whose cells hold twice the RNA has half the share of cells.

    Returns
    -------
    float64 (n, n_types)
        Rows sum to 1; a row of zeros where no type explains anything.
    """
    parts = amounts / system.counts_per_cell if of == "cells" else amounts
    totals = parts.sum(axis=1, keepdims=True)
    shares = np.zeros_like(parts)
    np.divide(parts, totals, out=shares, where=totals > 0)
    return shares
