"""How often neighbours are of one site, against how often they would be for their labels, with patients as the unit."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from search.catalogue import Rows
from search.profiles import Doubles

_DRAWS, _SEED = 999, 0


@dataclass(frozen=True, slots=True)
class Pairs:
    """Items and their neighbours, a pair each, with the pool that neighbours come from.

    Attributes
    ----------
    item : int64 (n_pairs,)
        Number of the item, from 0.
    unit, other : int64 (n_pairs,)
        Unit (patient) of the item, and of its neighbour.
    label, other_label : int64 (n_pairs,)
        Label of the item, and of its neighbour.
    pool : int64 (n_units, n_labels)
        Items that may be neighbours.
    site : int64 (n_units,)
        Site of each unit.
    """

    item: Rows
    unit: Rows
    other: Rows
    label: Rows
    other_label: Rows
    pool: npt.NDArray[np.int64]
    site: Rows

    @property
    def n_sites(self) -> int:
        """Number of sites."""
        return int(self.site.max()) + 1

    def same(self, site: Rows) -> Doubles:
        """Whether each pair is of one site, 0 or 1, if units were at these sites."""
        return np.asarray(site[self.unit] == site[self.other], dtype=np.float64)

    def expected(self, site: Rows) -> Doubles:
        """Share of the pool with the neighbour's label, the item's own unit left out, that is of the item's site."""
        at_site = np.zeros((self.n_sites, self.pool.shape[1]))
        np.add.at(at_site, site, self.pool)
        own = self.pool[self.unit, self.other_label]
        here = at_site[site[self.unit], self.other_label] - own
        shares: Doubles = np.asarray(here / (self.pool.sum(axis=0)[self.other_label] - own), dtype=np.float64)
        return shares

    def distinct(self) -> "tuple[Pairs, Rows]":
        """One pair of each two units and their labels, and how many there are of it, int64 `(n,)`.

        Sites are dealt to units, so that pairs of the same two fare alike: a thousand draws over a few of them.
        """
        columns = (self.unit, self.other, self.label, self.other_label)
        key = np.ravel_multi_index(columns, [int(column.max()) + 1 for column in columns])
        _, first, times = np.unique(key, return_index=True, return_counts=True)
        unit, other, label, other_label = (column[first] for column in columns)
        return Pairs(self.item[first], unit, other, label, other_label, self.pool, self.site), times

    def confounded(self) -> float:
        """Share of the pairs whose neighbour bears a label that one site alone has."""
        at_site = np.zeros((self.n_sites, self.pool.shape[1]))
        np.add.at(at_site, self.site, self.pool)
        return float(((at_site > 0).sum(axis=0) == 1)[self.other_label].mean())


@dataclass(frozen=True, slots=True)
class Shares:
    """Of some groups of pairs: `same` and `expected` share of one site, and the p-value.

    The p-value is NaN where sites cannot be dealt anew, or no neighbour could have been of the item's site.
    """

    same: Doubles
    expected: Doubles
    p_value: Doubles


def shuffled_sites(pairs: Pairs) -> list[Rows] | None:
    """Sites dealt anew among the units; `None` if each dealing is the same one.

    Where each unit has one label, sites are dealt among the units of that label; a label that is at one site only then
    says nothing of either.
    """
    random, labels = np.random.default_rng(_SEED), pairs.pool > 0
    single = bool((labels.sum(axis=1) == 1).all())
    strata = labels.argmax(axis=1) if single else np.zeros(len(pairs.site), dtype=np.int64)
    groups = [np.flatnonzero(strata == stratum) for stratum in np.unique(strata)]
    if all(len(np.unique(pairs.site[group])) == 1 for group in groups):
        return None
    dealt = []
    for _ in range(_DRAWS):
        site = pairs.site.copy()
        for group in groups:
            site[group] = random.permutation(pairs.site[group])
        dealt.append(site)
    return dealt


def shares_of(pairs: Pairs, dealt: list[Rows] | None) -> tuple[Shares, Shares, Shares]:
    """Shares over all pairs, by the item's site, and by the item's label; see `shuffled_sites` for `dealt`."""
    pairs, times = pairs.distinct()
    n_labels = pairs.pool.shape[1]

    def excess(site: Rows) -> tuple[Doubles, Doubles]:
        """Mean `same` and `expected` of all, of each site, and of each label, one after the other."""
        same, expected = pairs.same(site), pairs.expected(site)
        found = []
        for values in (same, expected):
            by_site = _means(values, times, site[pairs.unit], pairs.n_sites)
            by_label = _means(values, times, pairs.label, n_labels)
            found.append(np.concatenate([[np.average(values, weights=times)], by_site, by_label]))
        return found[0], found[1]

    same, expected = excess(pairs.site)
    p_values = np.full(len(same), np.nan)
    if dealt is not None:
        known = np.isfinite(same) & (expected > 0)
        above = np.ones(len(same))
        for site in dealt:
            drawn = excess(site)
            above += np.nan_to_num(drawn[0] - drawn[1], nan=-np.inf) >= same - expected - 1e-12
        p_values[known] = above[known] / (1 + len(dealt))
    cuts = [1, 1 + pairs.n_sites]
    parts = [Shares(*of) for of in zip(*(np.split(v, cuts) for v in (same, expected, p_values)), strict=True)]
    return parts[0], parts[1], parts[2]


def effective_sites(pairs: Pairs) -> tuple[Doubles, Doubles]:
    """Effective number of sites among the neighbours of each item, and as expected for their labels.

    The inverse Simpson index, as in LISI (Korsunsky et al., Nat Methods 2019) with equal weights; the expectation is
    that of `k` draws from the mixture of the sites of the neighbours' labels, the item's own unit left out.

    Returns
    -------
    float64 (n_items,), float64 (n_items,)
    """
    n_items = int(pairs.item.max()) + 1
    k = np.bincount(pairs.item, minlength=n_items)[:, None]
    found, drawn = np.zeros((n_items, pairs.n_sites)), np.zeros((n_items, pairs.n_sites))
    np.add.at(found, (pairs.item, pairs.site[pairs.other]), 1.0)
    at_site = np.zeros((pairs.n_sites, pairs.pool.shape[1]))
    np.add.at(at_site, pairs.site, pairs.pool)
    left = at_site[:, pairs.other_label].T.copy()
    left[np.arange(len(left)), pairs.site[pairs.unit]] -= pairs.pool[pairs.unit, pairs.other_label]
    np.add.at(drawn, pairs.item, left / left.sum(axis=1, keepdims=True))
    simpson, mixture = ((found / k) ** 2).sum(axis=1), ((drawn / k) ** 2).sum(axis=1)
    return 1 / simpson, 1 / (mixture + (1 - mixture) / k[:, 0])


def _means(values: Doubles, times: Rows, group: Rows, n: int) -> Doubles:
    counts = np.bincount(group, weights=times, minlength=n)
    sums = np.bincount(group, weights=values * times, minlength=n)
    means: Doubles = np.divide(sums, counts, out=np.full(n, np.nan), where=counts > 0)
    return means
