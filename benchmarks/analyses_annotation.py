"""The pathologist's regions of her2st's spots from marker genes alone, beside what knows nothing and what knows labels.

Labels of one section of each of seven patients (B to H) are held against the classes of the marker set
`breast-regions`, which was written down before it was measured; undetermined spots are left out. No label is used but
by the rows that say so. The shipped space has not seen patient B; own counts need no space.
"""

from collections.abc import Iterator, Sequence
from io import BytesIO
from itertools import pairwise

import numpy as np
import pandas as pd
from scipy.spatial import cKDTree

from benchmarks.report import Row
from search.annotation.annotate import Annotating
from search.annotation.classes import marker_set
from search.annotation.items import Using
from search.catalogue import Rows
from search.engine import Engine
from search.item_rows import vectors_of
from search.profiles import Doubles, log_per_10k
from search.quality.label_neighbours import Labels, commonest_label, nearest_labels
from search.quality.label_retrieval import f1_by_class, votes
from search.quality.log_count_neighbours import KNN_CENTRED, count_similarities

_LABELLED = ("B1", "C1", "D1", "E1", "F1", "G2", "H1")
_PICTURED, _UNSEEN = ("C2", "C3", "C4", "C5", "C6", "B3", "B4"), "B"
#: Sections whose spots are labelled, and those that labels are carried over to.
ANNOTATED_SLIDES = (*_LABELLED, *_PICTURED)
_CLASSES = marker_set("breast-regions")
_NEIGHBOURS, _NEAR_UM, _DRAWS = 10, 150.0, 20
_RATES = (0.1, 0.5)
_WAYS: tuple[tuple[Using, bool], ...] = (
    ("counts", False),
    ("counts", True),
    ("expression", False),
    ("expression", True),
)


def annotation_rows(engine: Engine, *, smooth: bool) -> Iterator[Row]:
    """Macro-F1 and balanced accuracy over the spots of all labelled patients, and of the unseen one."""
    rows, true = _labelled(engine)
    patients = engine.catalogue.column("patient")[rows].astype(str)
    every = np.ones(len(rows), dtype=np.bool_)
    given: dict[str, Rows] = {}
    for using, smoothed in _WAYS:
        if smoothed and not smooth:
            continue
        best, p_values = _annotated(engine, rows, using, smooth=smoothed)
        name = f"{using} smoothed" if smoothed else using
        given["" if name == "counts" else name] = best
        for rate in _RATES if not smoothed else ():
            kept = p_values <= rate
            note = f"{kept.mean():.0%} of the spots are given a class at rate {rate:g}"
            row = f"annotate macro-F1 of assigned, {name}, rate {rate:g}"
            yield Row("analyses", row, _f1(true[kept], best[kept]), "F1", "annotate macro-F1", int(kept.sum()), note)
    given |= _baselines(engine, rows, true, patients)
    note = f"{len(np.unique(true))} regions of {len(np.unique(patients))} patients; no label used but by kNN"
    yield from _figures("annotate", true, given, every, note)
    unseen = patients == _UNSEEN
    yield from _figures(f"annotate patient {_UNSEEN}", true, given, unseen, "its spots are in no training")


def _figures(name: str, true: Rows, given: dict[str, Rows], kept: np.ndarray, note: str) -> Iterator[Row]:
    for metric, unit, figure in (("macro-F1", "F1", _f1), ("balanced accuracy", "share", _balanced)):
        title = f"{name} {metric}"
        against = f"{title} (most common)"
        draws = np.random.default_rng(0).integers(0, len(_CLASSES.names), (_DRAWS, len(true)))
        for method, best in given.items():
            value = figure(true[kept], best[kept])
            row = f"{title} ({method})" if method else title
            yield Row("analyses", row, value, unit, None if method == "most common" else against, int(kept.sum()), note)
        chance = float(np.mean([figure(true[kept], drawn[kept]) for drawn in draws]))
        yield Row("analyses", f"{title} (random)", chance, unit, None, int(kept.sum()))


def _annotated(engine: Engine, rows: Rows, using: Using, *, smooth: bool) -> tuple[Rows, Doubles]:
    """Best class and p-value of each spot, a slide at a time."""
    best, p_values = np.zeros(len(rows), dtype=np.int64), np.ones(len(rows))
    slides = engine.catalogue.column("slide")[rows].astype(str)
    place = {name: i for i, name in enumerate(engine.index.columns.take(rows)["id"].to_pylist())}
    for slide in np.unique(slides).tolist():
        found = engine.annotate(slide, _CLASSES, Annotating(using=using, kind="spot", rate=1, smooth=smooth))
        for name, one, p in zip(
            *(found.table.column(c).to_pylist() for c in ("id", "best_class", "p_value")), strict=True
        ):
            if name in place:
                best[place[name]], p_values[place[name]] = _CLASSES.names.index(one), p
    return best, p_values


def _baselines(engine: Engine, rows: Rows, true: Rows, patients: Labels) -> dict[str, Rows]:
    slides = engine.catalogue.column("slide")[rows].astype(str)
    by_counts = count_similarities(log_per_10k(engine.catalogue, rows), slides)[KNN_CENTRED]
    every = np.ones(len(rows), dtype=np.bool_)
    order = np.concatenate([np.flatnonzero(patients == one) for one in dict.fromkeys(patients.tolist())])
    found = {}
    for name, neighbours in (
        ("most common", commonest_label(true, patients, every)),
        ("kNN on labels by centred counts", nearest_labels(by_counts, true, patients, every)),
    ):
        best = np.zeros(len(rows), dtype=np.int64)
        best[order] = votes(neighbours.top, _NEIGHBOURS)
        found[name] = best
    return found


def picture_rows(engine: Engine) -> Iterator[Row]:
    """Regions of B4 from its picture; labels are carried over from B1, and for the colours' kNN from C1 to C2-C6."""
    gallery = [_carried(engine, "C1", slide) for slide in _PICTURED if slide.startswith("C")]
    known, labels = (np.concatenate(part) for part in zip(*gallery, strict=True))
    rows, true = _carried(engine, "B1", "B3", "B4")
    best, _ = _annotated(engine, rows, "image", smooth=False)
    smooth, _ = _annotated(engine, rows, "image", smooth=True)
    counts, _ = _annotated(engine, rows, "counts", smooth=False)
    colours = _colours(engine, np.concatenate([known, rows]))
    colours = (colours - colours[: len(known)].mean(axis=0)) / colours[: len(known)].std(axis=0)
    images = vectors_of(engine.catalogue, np.concatenate([known, rows]), "image").astype(np.float64)
    common = np.full(len(rows), np.bincount(labels).argmax())
    given = {"": best, "smoothed": smooth, "own counts": counts, "most common": common}
    given["kNN on labels by colour"] = _voted(colours, labels)
    given["kNN on labels by image"] = _voted(images, labels)
    note = "B4 by its picture; labels laid over from B1 by expression, over B3; kNN knows labels of C2-C6, from C1"
    yield from _figures("annotate picture", true, given, np.ones(len(rows), dtype=np.bool_), note)


def _voted(vectors: Doubles, labels: Rows) -> Rows:
    """Majority label of the nearest of the first `len(labels)` rows, for each of the others."""
    _, near = cKDTree(vectors[: len(labels)]).query(vectors[len(labels) :], k=_NEIGHBOURS)
    return votes(labels[near], _NEIGHBOURS)


def _carried(engine: Engine, *chain: str) -> tuple[Rows, Rows]:
    """Spots of the last slide of a chain of neighbouring sections with the label that is carried over to them.

    Each section is laid over the next by expression; a spot takes the label of the nearest one within 150 um.
    """
    catalogue = engine.catalogue
    rows, labels = _labelled(engine, chain[:1])
    for before, slide in pairwise(chain):
        moved = engine.align(before, slide, using=("expression", "expression"), model="rigid").to_pandas()
        named = pd.Series(labels, index=engine.index.columns.take(rows)["id"].to_pylist())
        moved = moved[moved["id"].isin(named.index)]
        spots = catalogue.rows_where("slide", slide)
        spots = spots[catalogue.column("kind")[spots] == "spot"]
        xy = np.column_stack([catalogue.column(name)[spots] for name in ("x_px", "y_px")])
        apart, near = cKDTree(moved[["moved_x_px", "moved_y_px"]]).query(xy)
        close = apart * float(catalogue.column("mpp")[spots[0]]) <= _NEAR_UM
        rows, labels = spots[close], named[moved["id"]].to_numpy()[near[close]]
    return rows, labels


def _colours(engine: Engine, rows: Rows) -> Doubles:
    from PIL import Image

    pictures = [np.asarray(Image.open(BytesIO(jpeg or b"")), np.float64) for jpeg in engine.index.thumbnails(rows)]
    return np.array([[*p.mean(axis=(0, 1)), *p.std(axis=(0, 1))] for p in pictures])


def _labelled(engine: Engine, slides: Sequence[str] = _LABELLED) -> tuple[Rows, Rows]:
    """Spots with a label of the classes, and its number."""
    catalogue = engine.catalogue
    mask = catalogue.is_one_of("label", _CLASSES.names) & catalogue.is_one_of("slide", slides)
    rows = np.flatnonzero(mask)
    return rows, np.array([_CLASSES.names.index(label) for label in catalogue.column("label")[rows]])


def _f1(true: Rows, best: Rows) -> float:
    return float(np.nanmean(f1_by_class(true, best, len(_CLASSES.names))))


def _balanced(true: Rows, best: Rows) -> float:
    return float(np.mean([(best[true == one] == one).mean() for one in np.unique(true)]))
