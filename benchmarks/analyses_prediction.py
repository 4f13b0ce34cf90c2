"""Expression of patient B's spots predicted from pictures, by an index and a space that have not seen B's counts.

All that is chosen (genes, temperature, number of neighbours, regressions) is chosen on the other patients, of whom C
alone has pictures.
"""

import io
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from PIL import Image

from benchmarks.report import Row
from encoders.contracts import unit_rows
from search.catalogue import Rows
from search.engine import Engine
from search.expression.averaging import Gallery, averaged
from search.expression.many import VectorsAsked
from search.expression.ridge import fit_ridge
from search.expression.temperature import Fit, columnwise_r, fit_weighting
from search.expression.weighting import Weighting
from search.item_rows import vectors_of
from search.profiles import Doubles, has_counts, log_per_10k
from search.quality.expression_quality import most_variable
from search.query import ItemQuery

_HELD_OUT, _SLIDE = "B", "B4"
_N_VARIABLE, _N_EXPRESSED, _N_TILES, _N_RANDOM = 50, 250, 10_000, 50


@dataclass(frozen=True, slots=True)
class _Task:
    """Rows of the spots asked about, of other patients' spots with pictures, and of all others' spots with counts."""

    asked: Rows
    pictured: Rows
    others: Rows
    fit: Fit


def prediction_rows(engine: Engine) -> Iterator[Row]:
    """Mean correlation over genes of each way to predict, in two units, and the time of 10,000 tiles."""
    catalogue = engine.catalogue
    patient = catalogue.column("patient").astype(str)
    spots = has_counts(catalogue) & (catalogue.column("kind") == "spot") & catalogue.has("expression")
    pictured = spots & catalogue.has("image")
    task = _Task(
        np.flatnonzero(pictured & (catalogue.column("slide") == _SLIDE)),
        np.flatnonzero(pictured & (patient != _HELD_OUT)),
        np.flatnonzero(spots & (patient != _HELD_OUT)),
        fit_weighting(catalogue, "image", without=(_HELD_OUT,)),
    )
    colours = _colours(engine, task.asked), _colours(engine, task.pictured)
    units = {
        "": log_per_10k(catalogue, np.arange(len(catalogue))[spots]),
        ", log1p of raw counts": _log_counts(engine, np.flatnonzero(spots)),
    }
    place = np.cumsum(spots) - 1
    for unit, values in units.items():
        training = sp.csr_matrix(values[place[task.pictured]], dtype=np.float64)
        expressed = np.argsort(-np.asarray(training.mean(axis=0)).ravel(), kind="stable")[:_N_EXPRESSED]
        for name, genes in (
            ("50 HVG", most_variable(training)),
            (f"{_N_EXPRESSED} most expressed", np.sort(expressed)),
        ):
            tables = [values[place[rows]][:, genes].toarray() for rows in (task.asked, task.pictured, task.others)]
            found = _predictions(engine, task, colours, tables)
            yield from _rows(f"predict PCC {name}{unit}", found, tables[0], task)
    yield from _times(engine)


def _predictions(
    engine: Engine, task: _Task, colours: tuple[Doubles, Doubles], tables: list[np.ndarray]
) -> Mapping[str, Doubles]:
    """Predicted values of each way, `(n_asked, n_genes)`; ours first."""
    _, training, values = tables
    catalogue = engine.catalogue
    images, seen = (vectors_of(catalogue, rows, "image") for rows in (task.asked, task.pictured))
    gallery = Gallery(task.others, vectors_of(catalogue, task.others, "expression"), values)
    S = (images @ gallery.vectors.T).astype(np.float64)
    random = np.random.default_rng(0).integers(len(values), size=(len(images), _N_RANDOM))
    ours = Weighting("softmax", task.fit.k, task.fit.temperature)
    return {
        "": averaged(images, gallery, ours).mean,
        "raw": (S @ values) / S.sum(axis=1, keepdims=True),
        "BLEEP mean of 50": averaged(images, gallery, Weighting("mean50")).mean,
        "ridge": fit_ridge(seen, training).predict(images),
        "colour ridge": fit_ridge(colours[1], training).predict(colours[0]),
        "mean expression": np.repeat(values.mean(axis=0)[None], len(images), axis=0),
        "random": values[random].mean(axis=1),
    }


def _rows(name: str, found: Mapping[str, Doubles], measured: np.ndarray, task: _Task) -> Iterator[Row]:
    for method, predicted in found.items():
        by_gene = columnwise_r(predicted, measured)
        value = None if method == "mean expression" else float(np.nanmean(by_gene))
        row = f"{name} ({method})" if method else name
        note = f"{len(measured)} spots of {_SLIDE}; {task.fit.said()}" if not method else ""
        yield Row("analyses", row, value, "r", f"{name} (random)" if not method else None, len(task.others), note)


def _times(engine: Engine) -> Iterator[Row]:
    catalogue = engine.catalogue
    pictures = vectors_of(catalogue, np.flatnonzero(catalogue.has("image")), "image")
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.05, (_N_TILES, pictures.shape[1])).astype(np.float32)
    tiles = unit_rows(pictures[rng.integers(len(pictures), size=_N_TILES)] + noise)
    genes = tuple(engine.predict_slide(_SLIDE, predictability=False).genes)
    asked = VectorsAsked("image", genes, patients=(_HELD_OUT,))
    engine.predict_vectors(tiles[:10], asked)  # what is fitted once
    wall, spent = time.perf_counter(), time.process_time()
    engine.predict_vectors(tiles, asked)
    wall, spent = time.perf_counter() - wall, time.process_time() - spent
    rows = np.flatnonzero((catalogue.column("slide") == _SLIDE) & (catalogue.column("kind") == "spot"))[:10]
    one = time.process_time()
    for row in rows.tolist():
        engine.predict_expression(ItemQuery(str(catalogue.column("id")[row]), "image"), genes=genes)
    one = (time.process_time() - one) / len(rows) * _N_TILES
    name, note = f"predict {_N_TILES:,} tiles", f"{len(genes)} genes with spread; processor time"
    yield Row("analyses", name, spent, "s", f"{name} (one by one)", int(has_counts(catalogue).sum()), note)
    yield Row("analyses", f"{name} (one by one)", one, "s", None, len(rows), "of ten of them")
    yield Row("analyses", f"{name} (wall clock)", wall, "s", None, _N_TILES)


def _log_counts(engine: Engine, rows: Rows) -> sp.csr_matrix:
    counts = engine.index.expression(rows)
    counts.data = np.log1p(counts.data)
    return counts


def _colours(engine: Engine, rows: Rows) -> Doubles:
    """Mean and standard deviation of red, green and blue of each patch, float64 `(n, 6)`."""
    found = []
    for jpeg in engine.index.thumbnails(rows):
        if jpeg is None:
            raise ValueError("The index was made without thumbnails.")
        pixels = np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB"), dtype=np.float64).reshape(-1, 3)
        found.append(np.concatenate([pixels.mean(axis=0), pixels.std(axis=0)]))
    return np.array(found)
