"""One measured figure of quality, its interval, and how sections, patients and the whole are summed up."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]
#: Resamples behind an interval, and the share of them it covers.
N_DRAWS, COVERED = 500, 0.95
RANDOM = "random"


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure; every baseline beside it is a figure of its own with another `method`.

    Attributes
    ----------
    question : str
        What was asked: `image->expression`, `niche image->expression`, `label from expression`, `10 genes->image`.
    metric : str
        `R@10%`, `MRR`, `macro-F1 @5`; recall at a number and at a share never bear the same name.
    method : str
        The space by its name, or the baseline.
    group : str
        `section B4`, `patient C`, `all patients`, or a class.
    value : float or None
        `None` where it is not defined; the note says why.
    low, high : float or None
        Bootstrap interval of 95 %.
    n_queries, n_gallery : int
        Queries, and answers each of them is chosen from (the mean where galleries differ).
    trained_on : bool
        Whether the space was trained on a patient of the group.
    note : str
        What else must be known to read it.
    """

    question: str
    metric: str
    method: str
    group: str
    value: float | None
    low: float | None
    high: float | None
    n_queries: int
    n_gallery: int
    trained_on: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class SectionFigures:
    """All metrics of one method on one section.

    Attributes
    ----------
    values : dict of str to float
        By metric; NaN where undefined.
    drawn : float64 (N_DRAWS, n_metrics)
        The same metrics over resampled queries, in the order of `values`; no row where there is no interval.
    """

    slide: str
    patient: str
    trained_on: bool
    values: Mapping[str, float]
    drawn: Doubles
    n_queries: int
    n_gallery: int
    note: str = ""


def summed_up(sections: Sequence[SectionFigures], *, question: str, method: str, seed: int = 0) -> list[Figure]:
    """Figures of each section, of each patient with several, and of all patients if there are several.

    A patient's value is the mean of its sections, the whole is the mean of the patients. Intervals come from a nested
    bootstrap: patients, sections of a patient, and queries of a section are each drawn with replacement.
    """
    rng = np.random.default_rng(seed)
    figures = [f for s in sections for f in _figures(question, method, f"section {s.slide}", [s], s.values, s.drawn)]
    patients: dict[str, list[SectionFigures]] = {}
    for section in sections:
        patients.setdefault(section.patient, []).append(section)
    means, drawn = [], []
    for patient, own in patients.items():
        means.append(_mean([s.values for s in own]))
        drawn.append(_redrawn([s.drawn for s in own], rng))
        if len(own) > 1:
            figures += _figures(question, method, f"patient {patient}", own, means[-1], drawn[-1])
    if len(patients) > 1:
        figures += _figures(question, method, "all patients", sections, _mean(means), _redrawn(drawn, rng))
    return figures


def interval(drawn: Doubles) -> tuple[float | None, float | None]:
    """Bootstrap interval of one metric from its resampled values; none without values."""
    finite = drawn[np.isfinite(drawn)]
    if not len(finite):
        return None, None
    low, high = np.quantile(finite, [(1 - COVERED) / 2, (1 + COVERED) / 2])
    return float(low), float(high)


def headline_group(figures: Iterable[Figure]) -> str | None:
    """The widest group that figures of one question were summed up over."""
    groups = list(dict.fromkeys(figure.group for figure in figures))
    for wanted in ("all patients", "patient ", "section "):
        found = [group for group in groups if group.startswith(wanted)]
        if found:
            return found[0]
    return None


def _figures(
    question: str,
    method: str,
    group: str,
    sections: Sequence[SectionFigures],
    values: Mapping[str, float],
    drawn: Doubles,
) -> list[Figure]:
    notes = [s.note for s in sections if s.note]
    sizes = sorted({s.n_gallery for s in sections})
    if len(sections) > 1:
        spread = f"{sizes[0]:,}" if len(sizes) == 1 else f"{sizes[0]:,} to {sizes[-1]:,}"
        notes.insert(0, f"mean over {len(sections)} sections, galleries of {spread}")
    trained = [s.trained_on for s in sections]
    if any(trained) and not all(trained):
        notes.append("some of these patients were trained on, some not")
    found = []
    for column, (metric, value) in enumerate(values.items()):
        low, high = interval(drawn[:, column]) if len(drawn) else (None, None)
        found.append(
            Figure(
                question=question,
                metric=metric,
                method=method,
                group=group,
                value=float(value) if np.isfinite(value) else None,
                low=low,
                high=high,
                n_queries=sum(s.n_queries for s in sections),
                n_gallery=round(float(np.mean([s.n_gallery for s in sections]))),
                trained_on=any(trained),
                note="; ".join(dict.fromkeys(notes)),
            )
        )
    return found


def _mean(values: Sequence[Mapping[str, float]]) -> dict[str, float]:
    return {metric: float(np.mean([v[metric] for v in values])) for metric in values[0]}


def _redrawn(children: Sequence[Doubles], rng: np.random.Generator) -> Doubles:
    """Mean over children drawn with replacement, each by one of its own resamples, `(N_DRAWS, n_metrics)`."""
    if len(children) == 1 or not all(len(child) for child in children):
        return children[0][: 0 if len(children) > 1 else None]
    stacked = np.stack(children)
    n, n_draws = stacked.shape[:2]
    child, draw = rng.integers(n, size=(n_draws, n)), rng.integers(n_draws, size=(n_draws, n))
    mean: Doubles = stacked[child, draw].mean(axis=1)
    return mean
