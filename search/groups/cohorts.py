"""The groups a query sits nearest to: how many hits fall in each, against how many would by chance."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from search.catalogue import Catalogue, Mask, Rows
from search.errors import QueryError
from search.groups.hit_mixing import site_notes
from search.groups.permutation import label_permutation, sign_flip
from search.result import Findings, SearchResult
from search.retrieval.calibration import benjamini_hochberg
from search.retrieval.filters import candidates

By = Literal["cohort", "organ", "diagnosis", "patient", "label", "technology"]
BY: tuple[By, ...] = ("cohort", "organ", "diagnosis", "patient", "label", "technology")
Test = Literal["permutation over patients", "sign flip over patients", "none"]
_FEW_PATIENTS = 5
_K = 100
_SHARE = 4  # by default at most a quarter of the items, or every group would fill up to its base rate


@dataclass(frozen=True, slots=True)
class Cohorts(Findings):
    """Groups among the hits, the most enriched first.

    Columns: `group`, `n_hits`, `hit_fraction`, `base_fraction` (among all items that might have been hits),
    `enrichment` (their ratio), `patients_hit`, `patients_in_index`, `p_value`, `fdr` (Benjamini-Hochberg over the
    groups that could be tested), `patients` (who the hits are of and how many each has, such as `B (41), C (3)`).

    Attributes
    ----------
    by : str
        The column grouped by.
    test : str
        How the p-values were computed; see `cohorts_of`.
    n_hits, n_eligible : int
        Hits counted, and items that might have been hits.
    """

    by: By
    test: Test
    n_hits: int
    n_eligible: int


@dataclass(frozen=True, slots=True)
class _Tally:
    """Hits and eligible items of each patient in each group, int64 `(n_patients, n_groups)`."""

    groups: list[str]
    patients: list[str]
    hits: npt.NDArray[np.int64]
    eligible: npt.NDArray[np.int64]


def default_k(n_eligible: int) -> int:
    """Hits to count: 100, but at most a quarter of the items that may answer."""
    return max(1, min(_K, n_eligible // _SHARE))


def eligible_again(catalogue: Catalogue, result: SearchResult) -> Mask:
    """Items that might have been hits of a search made before, bool `(n_items,)`."""
    asked = result.query
    if asked["group_by"] is not None:
        raise QueryError("Cohorts are counted over all hits; search again without group_by.")
    mask = candidates(catalogue, asked["target"], asked["kind"], asked["where"])
    if (left_out := asked["left_out"]) is not None:
        mask &= ~catalogue.is_one_of(asked["exclude"], [left_out] if isinstance(left_out, str) else left_out)
    return mask


def cohorts_of(
    catalogue: Catalogue, hits: Rows, eligible: Mask, by: By, *, query: dict[str, Any], notes: tuple[str, ...] = ()
) -> Cohorts:
    """Count hits by group and test each group for enrichment, with the patient as unit.

    Where each patient has one label (organ, diagnosis, cohort, technology), labels are permuted over patients: the
    hits of a patient stay together. Where labels vary within patients (regions), each patient's hits are set against
    the share of the label among that patient's own items, and the signs of these excesses are flipped over patients:
    it tests enrichment within patients, and says nothing of differences between them. A patient cannot be permuted
    over patients: by `patient` there is no p-value.

    Parameters
    ----------
    catalogue : Catalogue
        Items of the index.
    hits : int64 (k,)
        Rows of the hits.
    eligible : bool (n_items,)
        Items that might have been hits.
    by : {"cohort", "organ", "diagnosis", "patient", "label", "technology"}
        Column to group by; items without a value are left out on both sides.
    query : dict
        What was asked.
    notes : tuple of str
        Said beside the notes of the count.
    """
    if by not in BY:
        raise QueryError(f"by={by!r} is not known; choose one of {', '.join(BY)}.")
    values = catalogue.column(by)
    named = np.array([value is not None for value in values], dtype=bool)
    unnamed = int((~named[hits]).sum())
    kept, pool = hits[named[hits]], np.flatnonzero(eligible & named)
    if not len(pool):
        raise QueryError(f"None of the items that may answer has a {by}; group by another column.")
    tally = _tally(values.astype(str), catalogue.column("patient").astype(str), kept, pool)
    p_values, test = _p_values(tally, by)
    n_patients = len(tally.eligible)
    extra = []
    if unnamed:
        extra.append(f"{unnamed:,} of {len(hits):,} hits have no {by} and are not counted.")
    if test == "none":
        extra.append(_why_untested(by))
    elif n_patients < _FEW_PATIENTS:
        extra.append(f"Only {n_patients} patients: p-values cannot be small.")
    return Cohorts(
        table=_table(tally, p_values),
        query=query | {"by": by},
        notes=(*notes, *extra, *site_notes(catalogue, hits, eligible), *catalogue.generated_note(kept)),
        by=by,
        test=test,
        n_hits=len(kept),
        n_eligible=len(pool),
    )


def _tally(values: npt.NDArray[Any], patients: npt.NDArray[Any], hits: Rows, pool: Rows) -> _Tally:
    groups, group = np.unique(values[pool], return_inverse=True)
    people, person = np.unique(patients[pool], return_inverse=True)
    eligible = np.zeros((len(people), len(groups)), dtype=np.int64)
    np.add.at(eligible, (person, group), 1)
    counted = np.zeros_like(eligible)
    np.add.at(counted, (np.searchsorted(people, patients[hits]), np.searchsorted(groups, values[hits])), 1)
    return _Tally(groups.tolist(), people.tolist(), counted, eligible)


def _p_values(tally: _Tally, by: By) -> tuple[list[float | None], Test]:
    hits, eligible = tally.hits, tally.eligible
    if by == "patient" or len(tally.groups) == 1:
        return [None] * len(tally.groups), "none"
    if ((eligible > 0).sum(axis=1) == 1).all():
        per_patient = hits.sum(axis=1)
        return [label_permutation(per_patient, column > 0) for column in eligible.T], "permutation over patients"
    expected = hits.sum(axis=1, keepdims=True) * eligible / eligible.sum(axis=1, keepdims=True)
    return [sign_flip(column) for column in (hits - expected).T], "sign flip over patients"


def _why_untested(by: By) -> str:
    if by == "patient":
        return "No p-values: the patient is the unit of the test, so it cannot be permuted over patients."
    return f"No p-values: all items that may answer have the same {by}."


def _table(tally: _Tally, p_values: list[float | None]) -> pa.Table:
    n_hits, n_eligible = tally.hits.sum(axis=0), tally.eligible.sum(axis=0)
    hit_fraction = n_hits / max(1, n_hits.sum())
    base_fraction = n_eligible / n_eligible.sum()
    tested = [i for i, p in enumerate(p_values) if p is not None]
    rates = benjamini_hochberg(np.array([p_values[i] for i in tested], dtype=np.float64))
    fdr: list[float | None] = [None] * len(p_values)
    for i, rate in zip(tested, rates.tolist(), strict=True):
        fdr[i] = rate
    table = pa.table(
        {
            "group": pa.array(tally.groups, pa.string()),
            "n_hits": pa.array(n_hits, pa.int32()),
            "hit_fraction": pa.array(hit_fraction, pa.float64()),
            "base_fraction": pa.array(base_fraction, pa.float64()),
            "enrichment": pa.array(hit_fraction / base_fraction, pa.float64()),
            "patients_hit": pa.array((tally.hits > 0).sum(axis=0), pa.int32()),
            "patients_in_index": pa.array((tally.eligible > 0).sum(axis=0), pa.int32()),
            "p_value": pa.array(p_values, pa.float64()),
            "fdr": pa.array(fdr, pa.float64()),
            "patients": pa.array([_patients(tally.patients, column) for column in tally.hits.T], pa.string()),
        }
    )
    return table.sort_by([("enrichment", "descending"), ("n_hits", "descending"), ("group", "ascending")])


def _patients(names: list[str], n_hits: npt.NDArray[np.int64]) -> str:
    """Patients with hits, those with most first, each with its number."""
    order = [i for i in np.argsort(-n_hits, kind="stable").tolist() if n_hits[i]]
    return ", ".join(f"{names[i]} ({n_hits[i]})" for i in order)
