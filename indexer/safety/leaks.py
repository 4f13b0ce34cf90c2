"""Slides that are in an index twice, and patients in two cohorts: what makes a figure better than it is.

A split by patient keeps a patient's slides together, but not the copy of one that goes by another name. Pictures are
told by a fingerprint that does not change when they are turned, mirrored or scaled, and then laid on each other
(`indexer.safety.registration`); counts by being the same, gene by gene; patients by their names.
"""

import hashlib
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

import numpy as np

from encoders.contracts import Vectors
from indexer.index import Index
from indexer.progress import Progress, Silent
from indexer.safety.compared import Compared, pair_of
from indexer.safety.fingerprints import Floats, distances, fingerprint
from indexer.safety.registration import Registered, register

LeakKind = Literal["picture", "counts", "name", "patient"]

#: Fingerprints farther apart than this are of different sections; copies that lost a quarter of a side lie within it.
_NEAR = 0.16
#: Of a slide with its own copies; sections of different tumours have about 0 in the default space.
_MIN_COSINE = 0.5
_N_NEAREST = 5
_AT_ONCE = 256  # slides whose counts are read together
_SHORT_NAME = 4
_BARCODE = re.compile(r"(tcga-[a-z0-9]{2}-[a-z0-9]{4}|gtex-[a-z0-9]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Leak:
    """Two slides, or more, that are not independent though their names say so.

    Attributes
    ----------
    kind : str
        `picture` or `counts` that are there twice, one `name` written in two ways, a `patient` in two cohorts.
    slides, patients, cohorts : tuple of str
        Which slides, of whom, and where they come from; each name once.
    evidence : str
        What was found, in words.
    crosses : bool
        Whether they go by different patients: then a split by patient does not keep them together.
    """

    kind: LeakKind
    slides: tuple[str, ...]
    patients: tuple[str, ...]
    cohorts: tuple[str, ...]
    evidence: str
    crosses: bool

    def sentence(self) -> str:
        """The leak in one line, with what to do."""
        step = (
            "Give them one patient in the table of slides, or delete one: `histoseek index delete --slide`."
            if self.crosses
            else "A split by patient keeps them together; they count twice."
        )
        if self.kind == "patient":
            step = "If they are one person, leave-one-cohort-out figures leak; a split by patient does not."
        return f"{_some(self.slides)}: {self.evidence}. {step}"


def find_leaks(
    index: Index, *, new: Collection[str] | None = None, progress: Progress | None = None
) -> tuple[Leak, ...]:
    """What is in an index twice.

    What was compared before is remembered beside the index, so that only new slides cost time: about 0.1 s each and
    0.1 s for each of at most five others that look like it.

    Parameters
    ----------
    index : Index
        The index.
    new : collection of str, optional
        Slides; only leaks that one of them takes part in are looked for.
    progress : Progress, optional
        Is told of every advance, as the stage `leaks`.

    Returns
    -------
    tuple of Leak
        Those that cross patients first.
    """
    slides = _slides(index)
    asked = None if new is None else set(new)
    found = [
        *_pictures(index, slides, asked, progress or Silent()),
        *_counts(index, slides),
        *_names(slides),
        *_patients(slides),
    ]
    wanted = [leak for leak in found if asked is None or asked & set(leak.slides)]
    return tuple(sorted(wanted, key=lambda leak: not leak.crosses))


def _slides(index: Index) -> list[Mapping[str, Any]]:
    columns = ["slide", "patient", "cohort", "content_sha256", "mpp", "thumbnail_scale"]
    rows: list[Mapping[str, Any]] = index.store.read("slides", columns)[0].to_pylist()
    return rows


def _pictures(
    index: Index, slides: Sequence[Mapping[str, Any]], new: set[str] | None, progress: Progress
) -> Iterator[Leak]:
    """Slides whose pictures show the same section."""
    shown = [row for row in slides if row["mpp"] and row["thumbnail_scale"]]
    known = Compared(index.location)
    pictures = _Pictures(index)
    for done, row in enumerate(missing := [row for row in shown if row["content_sha256"] not in known.fingerprints]):
        progress.update("leaks", done, len(missing), row["slide"])
        known.fingerprints[row["content_sha256"]] = fingerprint(*pictures.of(row))
    prints = np.array([known.fingerprints[row["content_sha256"]] for row in shown], dtype=np.float32)
    asked = [place for place, row in enumerate(shown) if new is None or row["slide"] in new]
    pairs = _candidates(prints, asked, _vectors(index, [row["slide"] for row in shown]))
    for done, ((first, second), cosine) in enumerate(pairs.items()):
        one, other = shown[first], shown[second]
        progress.update("leaks", done, len(pairs), one["slide"])
        key = pair_of(one["content_sha256"], other["content_sha256"])
        if key not in known.verdicts:
            known.verdicts[key] = register(pictures.of(one), pictures.of(other))
        if known.verdicts[key].is_same:
            yield _leak("picture", (one, other), _seen(known.verdicts[key], cosine))
    progress.update("leaks", 1, 1, "")
    known.keep(row["content_sha256"] for row in slides)


def _candidates(prints: Floats, asked: Sequence[int], vectors: Vectors) -> dict[tuple[int, int], float]:
    """Pairs that may be one section, the smaller place first, each with the cosine of its slide vectors."""
    pairs: dict[tuple[int, int], float] = {}
    for place in asked:
        apart = distances(prints[place], prints)
        apart[place] = np.inf
        cosines = vectors @ vectors[place]
        apart[cosines < _MIN_COSINE] = np.inf  # NaN where a slide has no vector: then the picture alone decides
        for other in np.argsort(apart, kind="stable")[:_N_NEAREST]:
            if apart[other] <= _NEAR:
                pairs[min(place, int(other)), max(place, int(other))] = float(cosines[other])
    return pairs


class _Pictures:
    """Thumbnails of slides, read when asked for; the last few are kept."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._read: dict[str, bytes] = {}

    def of(self, row: Mapping[str, Any]) -> tuple[bytes, float]:
        """JPEG of a slide and its micrometres per pixel."""
        slide = str(row["slide"])
        if slide not in self._read:
            if len(self._read) >= 2 * _N_NEAREST:
                self._read.pop(next(iter(self._read)))
            self._read[slide] = self._jpeg(slide)
        return self._read[slide], float(row["mpp"]) / float(row["thumbnail_scale"])

    def _jpeg(self, slide: str) -> bytes:
        where = f"slide = '{slide.replace(chr(39), chr(39) * 2)}'"
        found = self._index.store.take("slides", self._index.store.matching("slides", where), ["thumbnail"])
        return bytes(found["thumbnail"][0].as_py())


def _vectors(index: Index, slides: Sequence[str]) -> Vectors:
    """Image vector of each slide `(n, dim)`, NaN where it has none."""
    found = np.full((len(slides), index.card.space.dim), np.nan, dtype=np.float32)
    places = {slide: place for place, slide in enumerate(slides)}
    rows = np.flatnonzero(index.filter_rows("kind = 'slide'"))
    taken = index.store.take("items", index.columns.row_ids[rows], ["slide", "image_vector"])
    for slide, vector in zip(taken["slide"].to_pylist(), taken["image_vector"].to_pylist(), strict=True):
        if vector is not None and slide in places:
            found[places[slide]] = vector
    return found


def _counts(index: Index, slides: Sequence[Mapping[str, Any]]) -> Iterator[Leak]:
    """Slides whose summed counts are the same, gene by gene."""
    facts = {row["slide"]: row for row in slides}
    rows = np.flatnonzero(index.filter_rows("kind = 'slide' AND total_counts > 0"))
    taken = index.store.take("items", index.columns.row_ids[rows], ["slide", "total_counts"])
    names, totals = taken["slide"].to_pylist(), np.asarray(taken["total_counts"])
    _, groups, times = np.unique(totals, return_inverse=True, return_counts=True)
    alike = np.flatnonzero(times[groups] > 1)  # counts that are the same have the same sum, which is at hand
    same: dict[str, list[str]] = defaultdict(list)
    for start in range(0, len(alike), _AT_ONCE):
        some = alike[start : start + _AT_ONCE]
        counts = index.expression(rows[some])
        for place, name in enumerate(names[one] for one in some):
            row = slice(*counts.indptr[place : place + 2])
            if row.stop > row.start:
                digest = hashlib.sha256(counts.indices[row].tobytes() + counts.data[row].tobytes())
                same[digest.hexdigest()].append(name)
    for group in same.values():
        if len(group) > 1:
            yield _leak("counts", [facts[name] for name in group], "their counts are the same, gene by gene")


def _names(slides: Sequence[Mapping[str, Any]]) -> Iterator[Leak]:
    """Slides whose names differ in case, punctuation or what stands behind a point."""
    for group in _grouped(slides, lambda row: _plain(str(row["slide"]).partition(".")[0])):
        yield _leak("name", group, "their names are one name written in several ways")


def _patients(slides: Sequence[Mapping[str, Any]]) -> Iterator[Leak]:
    """Patients who are in several cohorts."""
    for group in _grouped(slides, lambda row: patient_key(str(row["patient"]))):
        cohorts = sorted({row["cohort"] for row in group})
        if len(cohorts) > 1:
            name = str(group[0]["patient"])
            chance = " (a short name: this may be chance)" if len(_plain(name)) < _SHORT_NAME else ""
            yield _leak("patient", group, f"patient {name!r} is in the cohorts {_some(cohorts)}{chance}")


def patient_key(name: str) -> str:
    """A patient's name without case, punctuation and, in barcodes of TCGA and GTEx, the sample."""
    barcode = _BARCODE.match(name)
    return _plain(barcode.group(1) if barcode else name)


def _grouped(slides: Sequence[Mapping[str, Any]], key: Any) -> Iterator[list[Mapping[str, Any]]]:
    groups: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in slides:
        groups[key(row)].append(row)
    return (group for name, group in groups.items() if name and len(group) > 1)


def _leak(kind: LeakKind, rows: Sequence[Mapping[str, Any]], evidence: str) -> Leak:
    names = {part: tuple(dict.fromkeys(str(row[part]) for row in rows)) for part in ("slide", "patient", "cohort")}
    crosses = any(patient_key(a) != patient_key(b) for a, b in combinations(names["patient"], 2))
    return Leak(kind, names["slide"], names["patient"], names["cohort"], evidence, crosses)


def _seen(found: Registered, cosine: float) -> str:
    how = f"turned by {found.turned_deg:.0f}°" if found.turned_deg else "as it is"
    mirrored = " and mirrored" if found.mirrored else ""
    vectors = "" if np.isnan(cosine) else f", slide vectors {cosine:.2f}"
    return f"they show the same section ({how}{mirrored}; detail correlates by {found.correlation:.2f}{vectors})"


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.lower())


def _some(names: Sequence[str]) -> str:
    listed = ", ".join(names[:4])
    return listed if len(names) <= 4 else f"{listed} and {len(names) - 4} more"
