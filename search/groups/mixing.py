"""Whether neighbours share a site (lab, scanner, technology, patient) rather than a biology."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from encoders.contracts import Modality
from search.catalogue import Catalogue, Mask, Rows
from search.errors import QueryError
from search.groups.site_shares import Pairs, Shares, effective_sites, shares_of, shuffled_sites
from search.item_rows import vectors_of
from search.profiles import Doubles
from search.result import Findings
from search.retrieval.calibration import benjamini_hochberg
from search.retrieval.filters import DEFAULT_KINDS, candidates

Site = Literal["cohort", "technology", "patient"]
Label = Literal["label", "organ", "diagnosis"]
SITES: tuple[Site, ...] = ("cohort", "technology", "patient")
LABELS: tuple[Label, ...] = ("label", "organ", "diagnosis")
NO_LABEL = "(none)"
_ASKED, _GALLERY, _CHUNK, _SEED = 2_000, 20_000, 256, 0
_FEW_UNITS, _SIGNIFICANT, _MOSTLY = 5, 0.05, 0.5


@dataclass(frozen=True, slots=True)
class Mixing(Findings):
    """How well sites are mixed among neighbours.

    Columns: `stratum` (`all`, `site` or `label`), `group`, `n_items` asked, `n_units` behind them, `same_site` (share
    of their neighbours of their own site), `expected` (share of the other units' items with the neighbours' labels that
    are of that site), `enrichment` (the ratio), `effective_sites`, `expected_effective` (see
    `search.groups.site_shares.effective_sites`), `p_value`, `fdr` (Benjamini-Hochberg over sites, and over labels).

    Attributes
    ----------
    site, label : str
        Columns: what should not matter, and what may.
    unit : {"patient", "slide"}
        What is dealt anew for p-values, and never its own neighbour.
    modality : {"image", "expression"}
        The side compared.
    k : int
        Neighbours of each item.
    """

    site: Site
    label: Label | None
    unit: Literal["patient", "slide"]
    modality: Modality
    k: int


@dataclass(frozen=True, slots=True)
class MixingQuestion:
    """The arguments of `Engine.mixing`."""

    site: Site = "cohort"
    label: Label | None = None
    target: Modality = "expression"
    kind: str | Sequence[str] | None = None
    k: int = 10
    where: str | None = None


def mixing_of(catalogue: Catalogue, asked: MixingQuestion) -> Mixing:
    """Measure how sites are mixed among neighbours; see `Engine.mixing`.

    Neighbours of up to 2,000 items, drawn evenly, are looked for among 20,000 of other units.

    Raises
    ------
    QueryError
        If a column is not known, k is below 1, or all items are of one site or of one unit.
    """
    _check(asked)
    pool = _pool(catalogue, asked)
    label = asked.label or _label(catalogue, pool)
    unit: Literal["patient", "slide"] = "slide" if asked.site == "patient" else "patient"
    groups = _Groups.of(catalogue, pool, asked.site, unit, label)
    if len(groups.sites) == 1:
        raise QueryError(
            f"All {len(pool):,} items are of {asked.site} {groups.sites[0]!r}, so there is nothing to mix; "
            f"ask for site={_other(asked.site)} or ingest slides of another {asked.site}."
        )
    if len(groups.own_units) < 3:
        raise QueryError(f"The items are of {len(groups.own_units)} {unit}s; mixing needs at least 3.")
    pairs = _neighbours(catalogue, pool, groups, asked)
    dealt = shuffled_sites(pairs)
    n_asked = int(pairs.item.max()) + 1
    notes = [f"Neighbours of {n_asked:,} items among {len(pool):,}, of other {unit}s; matched on {label or 'nothing'}."]
    if dealt is None:
        notes.append(f"No p-values: each {label} is at one {asked.site} only, so the two cannot be told apart.")
    elif len(groups.own_units) < _FEW_UNITS:
        notes.append(f"Only {len(groups.own_units)} {unit}s: p-values cannot be small.")
    table = _table(pairs, groups, dealt)
    return Mixing(
        table=table,
        query={"site": asked.site, "label": label, "target": asked.target, "k": asked.k, "where": asked.where},
        notes=(*notes, _verdict(table, asked.site, label, pairs.confounded()), *catalogue.generated_note(pool)),
        site=asked.site,
        label=label,
        unit=unit,
        modality=asked.target,
        k=asked.k,
    )


@dataclass(frozen=True, slots=True)
class _Groups:
    """Codes of the pool's items: site, unit (a patient at two sites is two), who is never a neighbour, label."""

    sites: list[str]
    labels: list[str]
    own_units: list[str]
    site_of: Rows
    unit: Rows
    own: Rows
    label: Rows

    @classmethod
    def of(cls, catalogue: Catalogue, pool: Rows, site: Site, unit: str, label: Label | None) -> "_Groups":
        sites, site_code = np.unique(catalogue.column(site)[pool].astype(str), return_inverse=True)
        own_units, own = np.unique(catalogue.column(unit)[pool].astype(str), return_inverse=True)
        both, unit_code = np.unique(own * len(sites) + site_code, return_inverse=True)
        named = np.full(len(pool), NO_LABEL, dtype=object) if label is None else catalogue.column(label)[pool].copy()
        named[np.array([value is None for value in named], dtype=bool)] = NO_LABEL
        labels, label_code = np.unique(named.astype(str), return_inverse=True)
        return cls(sites.tolist(), labels.tolist(), own_units.tolist(), both % len(sites), unit_code, own, label_code)


def _neighbours(catalogue: Catalogue, pool: Rows, groups: _Groups, asked: MixingQuestion) -> Pairs:
    vectors = vectors_of(catalogue, pool, asked.target)
    chosen = np.unique(np.linspace(0, len(pool) - 1, min(_ASKED, len(pool))).astype(np.int64))
    k = min(asked.k, int(len(pool) - np.bincount(groups.own).max()))
    found = []
    for start in range(0, len(chosen), _CHUNK):
        part = chosen[start : start + _CHUNK]
        scores = vectors[part] @ vectors.T
        scores[groups.own[part][:, None] == groups.own[None, :]] = -np.inf
        found.append(np.argpartition(-scores, k - 1, axis=1)[:, :k])
    near = np.concatenate(found).ravel()
    items = np.repeat(chosen, k)
    table = np.zeros((int(groups.unit.max()) + 1, len(groups.labels)), dtype=np.int64)
    np.add.at(table, (groups.unit, groups.label), 1)
    return Pairs(
        item=np.repeat(np.arange(len(chosen)), k),
        unit=groups.unit[items],
        other=groups.unit[near],
        label=groups.label[items],
        other_label=groups.label[near],
        pool=table,
        site=groups.site_of,
    )


def _table(pairs: Pairs, groups: _Groups, dealt: list[Rows] | None) -> pa.Table:
    of_all, of_sites, of_labels = shares_of(pairs, dealt)
    effective, expected = effective_sites(pairs)
    first = np.flatnonzero(np.diff(pairs.item, prepend=-1))
    site, label, unit = pairs.site[pairs.unit[first]], pairs.label[first], pairs.unit[first]
    rows: list[dict[str, Any]] = []
    strata: list[tuple[str, list[str], Rows, Shares]] = [
        ("all", ["all"], np.zeros_like(site), of_all),
        ("site", groups.sites, site, of_sites),
        ("label", groups.labels, label, of_labels),
    ]
    for stratum, names, code, shares in strata:
        rates = _rates(shares.p_value)
        for i, name in enumerate(names):
            own = code == i
            if own.any():
                means = {"effective_sites": effective[own].mean(), "expected_effective": expected[own].mean()}
                rows.append(
                    {"stratum": stratum, "group": name, "n_items": int(own.sum()), "n_units": len(np.unique(unit[own]))}
                    | _shown(shares, i, rates[i])
                    | {key: float(value) for key, value in means.items()}
                )
    return pa.Table.from_pylist(rows)


def _shown(shares: Shares, i: int, fdr: float | None) -> dict[str, float | None]:
    same, expected, p_value = (float(values[i]) for values in (shares.same, shares.expected, shares.p_value))
    ratio = same / expected if expected > 0 else None
    known = None if np.isnan(p_value) else p_value
    return {"same_site": same, "expected": expected, "enrichment": ratio, "p_value": known, "fdr": fdr}


def _rates(p_values: Doubles) -> list[float | None]:
    found: list[float | None] = [None] * len(p_values)
    tested = np.flatnonzero(np.isfinite(p_values))
    for place, rate in zip(tested.tolist(), benjamini_hochberg(p_values[tested]).tolist(), strict=True):
        found[place] = rate
    return found


def _verdict(table: pa.Table, site: Site, label: Label | None, confounded: float) -> str:
    whole = table.to_pylist()[0]
    shares = f"{whole['same_site']:.0%} of neighbours are of the item's own {site}, {whole['expected']:.0%} expected"
    if whole["p_value"] is None:
        return f"{shares}."
    if label and confounded > _MOSTLY and whole["p_value"] > _SIGNIFICANT:
        return (
            f"{shares}. But {confounded:.0%} of neighbours bear a {label} that one {site} alone has: it cannot be told."
        )
    if whole["p_value"] <= _SIGNIFICANT:
        beyond = f" beyond what their {label} explains" if label else ""
        return f"Neighbours share their {site}{beyond}: {shares} (p {whole['p_value']:.2g})."
    return f"No sign that neighbours share their {site}: {shares} (p {whole['p_value']:.2g})."


def _pool(catalogue: Catalogue, asked: MixingQuestion) -> Rows:
    kinds = (asked.kind,) if isinstance(asked.kind, str) else tuple(asked.kind or DEFAULT_KINDS[asked.target])
    mask: Mask = candidates(catalogue, asked.target, kinds, asked.where)
    rows = np.flatnonzero(mask)
    if not len(rows):
        raise QueryError(f"No {' or '.join(kinds)} with an {asked.target} vector is left; widen kind or where.")
    if len(rows) > _GALLERY:
        rows = np.sort(np.random.default_rng(_SEED).choice(rows, _GALLERY, replace=False))
    return rows


def _label(catalogue: Catalogue, pool: Rows) -> Label | None:
    """The first column that says different things of the items, or `None`."""
    return next((name for name in LABELS if len(np.unique(catalogue.codes(name)[0][pool])) > 1), None)


def _other(site: Site) -> Site:
    return "patient" if site != "patient" else "cohort"


def _check(asked: MixingQuestion) -> None:
    if asked.site not in SITES:
        raise QueryError(f"site={asked.site!r} is not known; choose one of {', '.join(SITES)}.")
    if asked.label is not None and asked.label not in LABELS:
        raise QueryError(f"label={asked.label!r} is not known; choose one of {', '.join(LABELS)}.")
    if asked.k < 1:
        raise QueryError(f"k is {asked.k}; expected at least 1 neighbour.")
