"""Whether intervals of predicted expression hold the share they state, on patients they were not measured on."""

from collections.abc import Iterator

import numpy as np

from benchmarks.report import Row
from search.catalogue import Rows
from search.engine import Engine
from search.expression.intervals import Misses, misses
from search.expression.many import VectorsAsked
from search.expression.temperature import Fit, fit_weighting
from search.item_rows import vectors_of
from search.profiles import log_per_10k, mean_log_expression

COVERAGE = 0.9
_N_GENES = 250


def interval_rows(engine: Engine, *, n_spots: int) -> Iterator[Row]:
    """Share of measured values inside their intervals, of each patient with pictures."""
    shares = {}
    for patient in ("B", "C"):
        genes = np.argsort(-mean_log_expression(engine.catalogue), kind="stable")[:_N_GENES]
        known = misses(engine.catalogue, genes, fit=_fit(engine, patient), without=(patient,))
        if known is None:
            raise ValueError("her2st has too few spots with counts.")
        shares[patient] = _share_inside(engine, known, genes, _spots_of(engine, patient, n_spots))
        note = f"the {_N_GENES} most expressed genes; measured on {known.n_patients} other patients"
        row = f"interval coverage at {COVERAGE:.0%}, patient {patient}"
        yield Row("analyses", row, shares[patient], "share", None, n_spots, note)
    note = "mean of both patients; with one patient's pictures left to measure on, no more can be promised"
    mean = float(np.mean(list(shares.values())))
    yield Row("analyses", f"interval coverage at {COVERAGE:.0%}", mean, "share", None, 2 * n_spots, note)


def _fit(engine: Engine, patient: str) -> Fit:
    return fit_weighting(engine.catalogue, "image", without=(patient,))


def _spots_of(engine: Engine, patient: str, n_spots: int) -> Rows:
    catalogue = engine.catalogue
    wanted = (catalogue.column("kind") == "spot") & (catalogue.column("patient") == patient) & catalogue.has("image")
    rows = np.flatnonzero(wanted)
    return np.asarray(rows[np.linspace(0, len(rows) - 1, n_spots).astype(np.int64)])


def _share_inside(engine: Engine, known: Misses, genes: Rows, rows: Rows) -> float:
    names = tuple(engine.index.genes[gene] for gene in genes)
    true = log_per_10k(engine.catalogue, rows)[:, genes].toarray()
    patients = tuple(np.unique(engine.catalogue.column("patient")[rows].astype(str)).tolist())
    asked = VectorsAsked("image", names, patients=patients)
    found = engine.predict_vectors(vectors_of(engine.catalogue, rows, "image"), asked)
    half = np.stack([known.half_widths(one, COVERAGE) for one in found.predicted.astype(np.float64)])
    return float(np.mean(np.abs(true - found.predicted) <= half))
