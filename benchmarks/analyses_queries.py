"""What queries made of several things gain over one spot: examples that are right or wrong, and regions.

The pathologist's labels of her2st say what is right. Spots of one patient ask, spots of the others answer; patient B,
whom the space has not seen, asks first of all.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.report import Row
from encoders.contracts import Vectors, unit_rows
from search.catalogue import Catalogue, Mask, Rows
from search.composing.coherence import region_coherence
from search.engine import Engine
from search.item_rows import vectors_of
from search.profiles import Doubles, log_per_10k
from search.quality.evaluated_items import NO_LABEL
from search.query import ROCCHIO

_HELD_OUT = "B"
_TEXTBOOK = (1.0, 0.75, 0.15)
_EXAMPLES, _SHOWN, _HITS = 3, 20, 10
_AROUND = 25  # spots of a region, the asking one among them
_BASELINE_GENES = 2_000
_EVERY = 6  # spots of seen patients that ask


@dataclass(frozen=True, slots=True)
class Spots:
    """Labelled spots: vectors `(n, dim)`, their cosines and those of log counts `(n, n)`, and where they are from."""

    vectors: Vectors
    cosines: Vectors
    log_counts: Vectors
    labels: npt.NDArray[np.str_]
    patients: npt.NDArray[np.str_]
    xy_px: Doubles


def query_rows(engine: Engine, *, every: int, seen: bool) -> Iterator[Row]:
    """Precision at 10 of Rocchio queries and region queries, beside a single spot, log counts and chance.

    One in `every` spots of the unseen patient asks, and where the `seen` ones are to ask too, one in six of theirs.
    """
    spots = _read(engine)
    asked = {f"patient {_HELD_OUT}, unseen by the space": np.flatnonzero(spots.patients == _HELD_OUT)[::every]}
    if seen:
        asked["patients C to H"] = np.flatnonzero(spots.patients != _HELD_OUT)[::_EVERY]
    for who, queries in asked.items():
        suffix = "" if who.startswith(f"patient {_HELD_OUT}") else f", {who}"
        yield from _example_rows(spots, queries, f"examples precision@10{suffix}", who)
        yield from _region_rows(spots, queries, f"region precision@10{suffix}", who)


def _read(engine: Engine) -> Spots:
    catalogue = engine.catalogue
    named = [label is not None and str(label).lower() not in NO_LABEL for label in catalogue.column("label")]
    rows = np.flatnonzero(catalogue.is_one_of("kind", ["spot"]) & np.array(named))
    vectors = vectors_of(catalogue, rows, "expression")
    counted = _centred_log_counts(catalogue, rows)
    return Spots(
        vectors=vectors,
        cosines=vectors @ vectors.T,
        log_counts=counted @ counted.T,
        labels=catalogue.column("label")[rows].astype(str),
        patients=catalogue.column("patient")[rows].astype(str),
        xy_px=np.column_stack([catalogue.column(name)[rows] for name in ("x_px", "y_px")]).astype(np.float64),
    )


def _centred_log_counts(catalogue: Catalogue, rows: Rows) -> Vectors:
    """Log counts of the genes with the most counts, centred on the section, as unit vectors."""
    values = log_per_10k(catalogue, rows)
    most = np.argsort(-np.asarray(values.sum(axis=0)).ravel(), kind="stable")[:_BASELINE_GENES]
    found: Vectors = values[:, np.sort(most)].toarray()
    slides = catalogue.codes("slide")[0][rows]
    for slide in np.unique(slides):
        found[slides == slide] -= found[slides == slide].mean(axis=0)
    return unit_rows(found)


def _example_rows(spots: Spots, queries: Rows, name: str, who: str) -> Iterator[Row]:
    """Three right and three wrong ones among the first 20 hits are told, and left out of what is counted after."""
    methods = (
        ("", spots.cosines, ROCCHIO),
        (" (weights 1, 0.75, 0.15)", spots.cosines, _TEXTBOOK),
        (" (one spot)", spots.cosines, (1.0, 0.0, 0.0)),
        (" (log counts)", spots.log_counts, ROCCHIO),
        (" (log counts, one spot)", spots.log_counts, (1.0, 0.0, 0.0)),
    )
    found: dict[str, list[float]] = {}
    for query in queries.tolist():
        gallery, right = _gallery(spots, query)
        for label, cosines, weights in methods:
            shown = gallery[_ranked(cosines[query, gallery], _SHOWN)]
            same = _same(spots, shown, query)
            told = [shown[same][:_EXAMPLES], shown[~same][:_EXAMPLES]]
            rest = gallery[~np.isin(gallery, np.concatenate(told))]
            best = rest[_ranked(_moved(cosines, query, told, weights)[rest], _HITS)]
            found.setdefault(label, []).append(float(_same(spots, best, query).mean()))
        found.setdefault(" (random)", []).append(float(right.mean()))
    note = f"{len(queries)} spots of {who}; 3 right and 3 wrong of the first 20 hits were told"
    yield from _told(found, name, " (one spot)", len(spots.labels), note)


def _moved(cosines: Vectors, query: int, told: list[Rows], weights: tuple[float, float, float]) -> Doubles:
    """Scores of all spots for a query moved by examples, but for its length, which changes no order."""
    a, b, c = weights
    scores = a * cosines[query].astype(np.float64)
    for weight, rows in ((b, told[0]), (-c, told[1])):
        if len(rows):
            scores += weight * cosines[rows].mean(axis=0, dtype=np.float64)
    return np.asarray(scores)


def _region_rows(spots: Spots, queries: Rows, name: str, who: str) -> Iterator[Row]:
    """25 spots around the asking one: those of its own label, as a pathologist would draw, or whatever is nearest."""
    found: dict[str, list[float]] = {}
    purity: dict[bool, list[float]] = {True: [], False: []}
    for query in queries.tolist():
        own = np.flatnonzero(spots.patients == spots.patients[query])
        gallery, right = _gallery(spots, query)
        order = np.argsort(np.linalg.norm(spots.xy_px[own] - spots.xy_px[query], axis=1), kind="stable")
        drawn, blind = order[_same(spots, own[order], query)][:_AROUND], order[:_AROUND]
        regions = {"": drawn, " (whatever is nearest)": blind, " (one spot)": order[:1]}
        for label, region in regions.items():
            found.setdefault(label, []).append(_precision(spots, spots.cosines, own[region], query, gallery))
        found.setdefault(" (log counts)", []).append(_precision(spots, spots.log_counts, own[drawn], query, gallery))
        found.setdefault(" (random)", []).append(float(right.mean()))
        coherent = region_coherence(blind, spots.xy_px[own], spots.vectors[own]).coherent
        purity[coherent].append(float(np.unique(spots.labels[own[blind]], return_counts=True)[1].max() / len(blind)))
    note = f"{len(queries)} spots of {who} with the {_AROUND - 1} nearest of their label"
    yield from _told(found, name, " (one spot)", len(spots.labels), note)
    named = f"{name.replace('precision@10', 'purity')}, called coherent"
    told = {"": purity[True], " (called not coherent)": purity[False]}
    note = f"share of the commonest label among {_AROUND} nearest spots; {len(purity[False])} are called not coherent"
    yield from _told({k: v for k, v in told.items() if v}, named, " (called not coherent)", len(spots.labels), note)


def _precision(spots: Spots, cosines: Vectors, region: Rows, query: int, gallery: Rows) -> float:
    scores = cosines[region].mean(axis=0, dtype=np.float64)
    return float(_same(spots, gallery[_ranked(scores[gallery], _HITS)], query).mean())


def _gallery(spots: Spots, query: int) -> tuple[Rows, Mask]:
    """Spots of the other patients, and which of them bear the label of the query."""
    gallery = np.flatnonzero(spots.patients != spots.patients[query])
    return gallery, _same(spots, gallery, query)


def _same(spots: Spots, rows: Rows, query: int) -> Mask:
    return np.asarray(spots.labels[rows] == spots.labels[query])


def _ranked(scores: Doubles | Vectors, n: int) -> Rows:
    return np.argsort(-scores, kind="stable")[:n]


def _told(found: dict[str, list[float]], name: str, against: str, n: int, note: str) -> Iterator[Row]:
    for label in sorted(found, key=bool):
        baseline = None if label in (against, " (random)") else f"{name}{against}"
        yield Row("analyses", f"{name}{label}", float(np.mean(found[label])), "share", baseline, n, note)
