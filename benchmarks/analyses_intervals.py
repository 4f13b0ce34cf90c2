"""Whether intervals of predicted expression hold the share they state, on patients they were not measured on."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.report import Row
from encoders.registry import open_space
from indexer.building.build import build_index
from indexer.datasets.manifest import load_manifest
from indexer.sources import open_sources
from search.catalogue import Rows
from search.engine import Engine
from search.expression.intervals import Misses, misses
from search.expression.temperature import Fit, fit_weighting
from search.profiles import log_per_10k, mean_log_expression
from search.query import ItemQuery
from search.training.run import MINI_DATA

COVERAGE = 0.9
_N_GENES = 250
#: Two patients with pictures, and a section of each of the others.
_QUICK_SLIDES = ("A1", "B4", "C2", "D1", "E1", "F1", "G2", "H1")


def interval_rows(*, n_spots: int, quick: bool) -> Iterator[Row]:
    """Share of measured values inside their intervals, of each patient with pictures."""
    with tempfile.TemporaryDirectory() as folder:
        db = Path(folder, "index")
        slides = list(_QUICK_SLIDES) if quick else None
        build_index(db, open_sources(MINI_DATA, manifest=load_manifest(), slides=slides), open_space("mini"))
        engine = Engine.open(db)
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
    names = [engine.index.genes[gene] for gene in genes]
    true = log_per_10k(engine.catalogue, rows)[:, genes].toarray()
    inside = []
    for row, measured in zip(rows.tolist(), true, strict=True):
        query = ItemQuery(str(engine.catalogue.column("id")[row]), "image")
        table = engine.predict_expression(query, genes=names, exclude="patient").to_pandas()
        half = known.half_widths(table["sd"].to_numpy(np.float64), COVERAGE)
        inside.append(np.abs(measured - table["predicted"].to_numpy(np.float64)) <= half)
    return float(np.mean(inside))
