"""How far predictions miss, gene by gene, kept for those who are asked about next."""

from collections import OrderedDict
from functools import cached_property
from threading import Lock
from typing import NamedTuple

import numpy as np

from encoders.contracts import Modality
from search.catalogue import Catalogue, Rows
from search.expression.intervals import Misses, misses
from search.expression.temperature import Fit, evenly
from search.profiles import has_counts, log_per_10k

_MOST_KEPT = 8  # patients left out, by the side asked with; up to 8 MB each
_MOST_GENES = 4_096
_LIKELY, _SAMPLED = 2_000, 1_000


class _Known(NamedTuple):
    """Genes, ascending, and how far predictions of them miss; `None` if too few spots tell."""

    columns: Rows
    misses: Misses | None


class KeptMisses:
    """Misses of one state of an index, for several threads at once.

    What is measured is the same for every query of a patient, but each shows other genes; to read their counts takes as
    long as to read those of many. So the second list that has a new gene is measured together with the genes that vary
    most, which are most of what is ever shown.
    """

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._kept: OrderedDict[tuple[Modality, int, float, tuple[str, ...]], _Known] = OrderedDict()
        self._lock = Lock()

    def of(self, columns: Rows, fit: Fit, without: tuple[str, ...]) -> Misses | None:
        """Misses of some genes of the panel; see `search.expression.intervals.misses`."""
        if len(columns) > _MOST_GENES:
            return misses(self._catalogue, columns, fit=fit, without=without)
        key = (fit.modality, fit.k, fit.temperature, without)
        with self._lock:
            known = self._kept.get(key)
            if known is None or (known.misses is not None and not np.isin(columns, known.columns).all()):
                known = self._measured(np.unique(columns), known, fit, without)
            self._kept[key] = known
            self._kept.move_to_end(key)
            if len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
        return None if known.misses is None else known.misses.at(np.searchsorted(known.columns, columns))

    def _measured(self, columns: Rows, known: _Known | None, fit: Fit, without: tuple[str, ...]) -> _Known:
        """What is known of these genes and, where they fit, of those known before."""
        before = None if known is None else known.misses
        if known is None or before is None:
            return _Known(columns, misses(self._catalogue, columns, fit=fit, without=without))
        new = np.setdiff1d(np.union1d(columns, self._likely), known.columns)
        measured = misses(self._catalogue, new, fit=fit, without=without)
        if measured is None:
            return known
        both, found = np.concatenate([known.columns, new]), before.beside(measured)
        kept = np.flatnonzero(np.isin(both, columns)) if len(both) > _MOST_GENES else np.arange(len(both))
        order = kept[np.argsort(both[kept])]
        return _Known(both[order], found.at(order))

    @cached_property
    def _likely(self) -> Rows:
        """Genes of the panel whose log-expression varies most over the items, ascending."""
        catalogue = self._catalogue
        rows = evenly(np.flatnonzero(has_counts(catalogue) & catalogue.has("expression")), _SAMPLED)
        values = log_per_10k(catalogue, rows)
        variance = np.asarray(values.power(2).mean(axis=0) - np.square(values.mean(axis=0))).ravel()
        return np.sort(np.argsort(-variance, kind="stable")[:_LIKELY])
