"""What predictions rest on that is learned from an index once: weightings, regressions, how far predictions miss."""

from threading import Lock

from encoders.contracts import Modality
from search.catalogue import Catalogue, Rows
from search.expression.intervals import Misses
from search.expression.kept_fits import kept, recalled
from search.expression.kept_misses import KeptMisses
from search.expression.ridge import Ridge, ridge_of_others
from search.expression.temperature import Fit, fit_weighting, unfitted
from search.expression.weighting import Mode


class Learned:
    """Fits of one committed state of an index; `without` are the patients they must not have seen."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._fits: dict[tuple[Modality, tuple[str, ...]], Fit] = {}
        self._ridges: dict[tuple[str, ...], Ridge] = {}
        self._misses = KeptMisses(catalogue)
        self._lock = Lock()

    def fit(self, modality: Modality, without: tuple[str, ...], mode: Mode = "softmax") -> Fit:
        """Weighting of mode `softmax`; kept in the cache folder too, so that each index and space is fitted once.

        Other modes have nothing to fit.
        """
        if mode != "softmax":
            return unfitted(modality)
        key = (modality, without)
        with self._lock:
            if key not in self._fits:
                found = recalled(self._catalogue.index, modality, without)
                if found is None:
                    found = fit_weighting(self._catalogue, modality, without=without)
                    kept(self._catalogue.index, found, without)
                self._fits[key] = found
            return self._fits[key]

    def misses(self, columns: Rows, fit: Fit, without: tuple[str, ...]) -> Misses | None:
        """How far predictions of some genes of the panel miss; see `search.expression.intervals.misses`."""
        return self._misses.of(columns, fit, without)

    def ridge(self, without: tuple[str, ...]) -> Ridge:
        """Regression of expression on image vectors; raises as `ridge_of_others`."""
        with self._lock:
            if without not in self._ridges:
                self._ridges[without] = ridge_of_others(self._catalogue, without)
            return self._ridges[without]
