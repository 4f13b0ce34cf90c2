"""Whether the hits of a query share a site more than a biology."""

import numpy as np

from search.catalogue import Catalogue, Mask, Rows
from search.profiles import Doubles

_SITES = ("cohort", "technology")
_LABELS = ("label", "organ", "diagnosis")
_DRAWS, _SEED, _SIGNIFICANT = 999, 0, 0.05


def site_notes(catalogue: Catalogue, hits: Rows, eligible: Mask) -> tuple[str, ...]:
    """A warning if hits lie at some sites more than their labels explain, and further from chance than their labels do.

    The distance of the hits' sites is half the summed difference of their shares from those of the eligible items that
    bear the hits' labels; its p-value deals the sites of the patients anew. The distance of the labels is held against
    all eligible items.
    """
    pool = np.flatnonzero(eligible)
    site_name = next((name for name in _SITES if len(np.unique(catalogue.codes(name)[0][pool])) > 1), None)
    if site_name is None or not len(hits):
        return ()
    label_name = next((name for name in _LABELS if len(np.unique(catalogue.codes(name)[0][pool])) > 1), None)
    site, patient = catalogue.codes(site_name)[0], catalogue.codes("patient")[0]
    label = np.zeros(len(catalogue), dtype=np.int64) if label_name is None else catalogue.codes(label_name)[0]
    units, unit = np.unique(patient[pool].astype(np.int64) * (site.max() + 1) + site[pool], return_inverse=True)
    labels, code = np.unique(label[pool], return_inverse=True)
    site_of = units % (site.max() + 1)
    table = np.zeros((len(units), len(labels)))
    np.add.at(table, (unit, code), 1.0)
    place = np.searchsorted(pool, hits)
    found = np.zeros_like(table)
    np.add.at(found, (unit[place], code[place]), 1.0 / len(hits))
    apart = _site_distance(table, found, site_of)
    by_label = float(np.abs(found.sum(axis=0) - table.sum(axis=0) / table.sum()).sum() / 2)
    if apart <= by_label:
        return ()
    random = np.random.default_rng(_SEED)
    drawn = [_site_distance(table, found, random.permutation(site_of)) for _ in range(_DRAWS)]
    p_value = (1 + sum(one >= apart - 1e-12 for one in drawn)) / (1 + _DRAWS)
    if p_value > _SIGNIFICANT:
        return ()
    more = f"share their {site_name} more than their {label_name or 'biology'}"
    far = f"(distance from chance {apart:.2f} and {by_label:.2f}, p {p_value:.2g})"
    return (f"Hits {more} {far}: they may be alike by lab or scanner. See `histoseek mixing`, or narrow `where`.",)


def _site_distance(table: Doubles, found: Doubles, site_of: Rows) -> float:
    sites, code = np.unique(site_of, return_inverse=True)
    pool, shares = np.zeros((len(sites), table.shape[1])), np.zeros(len(sites))
    np.add.at(pool, code, table)
    np.add.at(shares, code, found.sum(axis=1))
    expected = (pool / table.sum(axis=0)) @ found.sum(axis=0)
    return float(np.abs(shares - expected).sum() / 2)
