"""Classes of tiles and spots, each held against what the tissue of other patients scores."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from encoders.contracts import Floats
from encoders.space import Calibration, Space
from search.annotation.classes import UNASSIGNED, Classes, MarkerClasses, check_names
from search.annotation.items import Chosen, Using, choose_items, null_items
from search.annotation.published import bulk_over_tiles, bulk_scaled, marker_probabilities, softmax
from search.annotation.scores import Scorer, SpaceScorer, class_vectors, counts_scorer
from search.annotation.smoothing import places_of, smoothed
from search.catalogue import Catalogue
from search.errors import AnnotationError
from search.gene_names import names_of
from search.item_rows import vectors_of
from search.profiles import Doubles
from search.result import Findings
from search.retrieval.calibration import benjamini_hochberg, tail_probabilities

Mode = Literal["calibrated", "loki", "loki-tensor"]
MODES: tuple[Mode, ...] = ("calibrated", "loki", "loki-tensor")
#: Items of other patients below which they say nothing of a tail.
FEWEST_NULL = 200


@dataclass(frozen=True, slots=True)
class Annotating:
    """How items are annotated.

    Attributes
    ----------
    using : {"counts", "expression", "image"}, optional
        See `search.annotation.items.choose_items`.
    kind : str, optional
        Kind of the items.
    mode : {"calibrated", "loki", "loki-tensor"}
        `loki` is the published softmax of cosines for markers, and for bulk the published formula with
        `tensor=False`; `loki-tensor` the one with `tensor=True`. They leave nothing unassigned.
    temperature : float
        Of the softmax over the classes, in standard deviations of the null; of `loki-tensor` as published.
    rate : float
        Share of the items of other patients that would be given a class; an item below their rank is unassigned.
        1 gives each item its best class.
    smooth : bool
        Whether scores are averaged over neighbours, those of the null too.
    """

    using: Using | None = None
    kind: str | None = None
    mode: Mode = "calibrated"
    temperature: float = 1.0
    rate: float = 0.5
    smooth: bool = False


@dataclass(frozen=True, slots=True)
class Annotation(Findings):
    """A class for each item.

    Columns: `id`, `slide`, `x_px`, `y_px` (centre, level-0 pixels), `class` (or `unassigned`), `best_class`, `margin`
    (probability of the best class less that of the next), `p_value` (share of the items of other patients whose best
    class stands out as much), `fdr`, and `prob_<class>` for each class.

    Attributes
    ----------
    classes : tuple of str
        In the order of the columns.
    using, kind, mode
        What was compared, of which items, and how.
    rate : float
        As asked; 1 where there is no null.
    null : str
        What scores were held against.
    n_null : int
        Its items.
    n_unassigned : int
        Items of no class.
    """

    classes: tuple[str, ...]
    using: Using
    kind: str
    mode: Mode
    rate: float
    null: str
    n_null: int
    n_unassigned: int

    @property
    def probabilities(self) -> Doubles:
        """Probability of each class, float64 `(n, n_classes)`."""
        return np.column_stack([self.table.column(f"prob_{name}").to_numpy() for name in self.classes])


@dataclass(frozen=True, slots=True)
class _Scored:
    """Scores in standard deviations of the null, and for each item how rare its best is; `None` without a null."""

    z: Doubles
    p_values: Floats | None
    null: str
    n_null: int


def annotate_items(
    catalogue: Catalogue,
    space: Callable[[], Space],
    where: str | Sequence[str],
    classes: Classes,
    manner: Annotating,
) -> Annotation:
    """Annotate items; see `Engine.annotate`."""
    _check(classes, manner)
    chosen = choose_items(catalogue, where, classes, manner.using, manner.kind)
    if not isinstance(classes, MarkerClasses):
        return _annotated(catalogue, space, chosen, classes, manner)
    panel = catalogue.index.genes
    by_counts = chosen.using == "counts" and manner.mode == "calibrated"
    known = () if by_counts else space().expression.query_genes
    classes, renamed = classes.under(names_of(known or panel), lambda: panel)
    found = _annotated(catalogue, space, chosen, classes, manner)
    return replace(found, notes=(*renamed, *found.notes))


def _annotated(
    catalogue: Catalogue, space: Callable[[], Space], chosen: Chosen, classes: Classes, manner: Annotating
) -> Annotation:
    if manner.mode != "calibrated":
        return _published(catalogue, space, chosen, classes, manner)
    others = null_items(catalogue, chosen)
    enough = len(others) >= FEWEST_NULL
    scorer: Scorer
    null: Doubles | None = None
    table = None
    if chosen.using == "counts" and isinstance(classes, MarkerClasses):
        scorer, of_reference, unknown = counts_scorer(classes, catalogue, others if enough else chosen.rows)
        null = of_reference if enough else None
    else:
        vectors, unknown = class_vectors(classes, catalogue, space)
        scorer = SpaceScorer(catalogue, chosen.side, vectors)
        source = "genes" if isinstance(classes, MarkerClasses) else "expression"
        null = scorer(others) if enough else None
        table = (space().card.calibration, f"{source}->{chosen.side}") if not enough else None
    scores = scorer(chosen.rows)
    if manner.smooth:
        scores = smoothed(catalogue, chosen.rows, scores)
        null = None if null is None else smoothed(catalogue, others, null)
    if null is not None:
        scored = _against(scores, null, f"{len(null):,} {chosen.kind}s of other patients")
    else:
        scored = _without_others(scores, table)
    probabilities = softmax(scored.z / manner.temperature, axis=1)
    notes = _unknown_notes(unknown)
    return _annotation(catalogue, chosen, classes, manner, _Outcome(probabilities, scored.z, scored, notes))


@dataclass(frozen=True, slots=True)
class _Outcome:
    probabilities: Doubles
    order: Doubles
    scored: _Scored
    notes: tuple[str, ...]


def _against(scores: Doubles, null: Doubles, name: str) -> _Scored:
    """Standardise each class over the null, and rank each item's best class among the null's best."""
    mean, sd = null.mean(axis=0), np.maximum(null.std(axis=0), 1e-12)
    z = (scores - mean) / sd
    best = np.sort(((null - mean) / sd).max(axis=1))
    above = len(best) - np.searchsorted(best, z.max(axis=1), side="left")
    return _Scored(z, ((1 + above) / (1 + len(best))).astype(np.float32), name, len(null))


def _without_others(scores: Doubles, table: tuple[Calibration, str] | None) -> _Scored:
    """Hold scores against the space's own null, or where it has none against each other."""
    if table is None or table[1] not in table[0].quantiles:
        mean, sd = scores.mean(axis=0), np.maximum(scores.std(axis=0), 1e-12)
        return _Scored((scores - mean) / sd, None, "the annotated items themselves", 0)
    calibration, key = table
    even = np.interp(np.linspace(0.005, 0.995, 100), calibration.probabilities, calibration.quantiles[key])
    z = (scores - even.mean()) / max(float(even.std()), 1e-12)
    single = tail_probabilities(scores.max(axis=1).astype(np.float32), calibration, key).astype(np.float64)
    # Sidak (1967): the best of several classes is high by being the best.
    p_values = (1 - (1 - single) ** scores.shape[1]).astype(np.float32)
    return _Scored(z, p_values, f"the space's mismatched pairs ({key})", calibration.n_pairs)


def _published(
    catalogue: Catalogue, space: Callable[[], Space], chosen: Chosen, classes: Classes, manner: Annotating
) -> Annotation:
    if chosen.using == "counts":
        chosen = Chosen(chosen.rows, chosen.kind, "expression")
    vectors, unknown = class_vectors(classes, catalogue, space)
    items = vectors_of(catalogue, chosen.rows, chosen.side)
    if isinstance(classes, MarkerClasses):
        found = marker_probabilities(items, vectors)
    elif manner.mode == "loki":
        found = bulk_scaled(items, vectors)
    else:
        found = bulk_over_tiles(items, vectors, temperature=manner.temperature)
    notes = list(_unknown_notes(unknown))
    if not isinstance(classes, MarkerClasses):
        over = (
            "scaled to 0 to 1 over the tiles"
            if manner.mode == "loki"
            else "shares of the tiles, summing to 1 for a class"
        )
        notes.append(f"As published, the numbers of a bulk profile are {over}: they are no probabilities of classes.")
    scored = _Scored(found, None, "nothing, as published", 0)
    return _annotation(catalogue, chosen, classes, manner, _Outcome(found, found, scored, tuple(notes)))


def _annotation(
    catalogue: Catalogue, chosen: Chosen, classes: Classes, manner: Annotating, outcome: _Outcome
) -> Annotation:
    names, scored = np.array(classes.names, dtype=object), outcome.scored
    best = names[outcome.order.argmax(axis=1)]
    ranked = np.sort(outcome.probabilities, axis=1)
    margin = ranked[:, -1] - (ranked[:, -2] if ranked.shape[1] > 1 else 0.0)
    given, p_values, fdr, rate = best.copy(), None, None, 1.0
    if scored.p_values is not None:
        p_values, fdr, rate = scored.p_values, benjamini_hochberg(scored.p_values), manner.rate
        given[p_values > rate] = UNASSIGNED
    n_unassigned = int((given == UNASSIGNED).sum())
    xy = places_of(catalogue, chosen.rows)
    columns: dict[str, Any] = {
        "id": pa.array(catalogue.index.columns.take(chosen.rows)["id"]),
        "slide": pa.array(catalogue.column("slide")[chosen.rows].tolist(), pa.string()),
        "x_px": pa.array(xy[:, 0]),
        "y_px": pa.array(xy[:, 1]),
        "class": pa.array(given.tolist(), pa.string()),
        "best_class": pa.array(best.tolist(), pa.string()),
        "margin": pa.array(margin),
        "p_value": pa.nulls(len(best), pa.float32()) if p_values is None else pa.array(p_values),
        "fdr": pa.nulls(len(best), pa.float32()) if fdr is None else pa.array(fdr),
    }
    columns |= {f"prob_{name}": pa.array(outcome.probabilities[:, i]) for i, name in enumerate(classes.names)}
    said = (*_said(scored, n_unassigned, len(best), rate), *outcome.notes, *catalogue.generated_note(chosen.rows))
    return Annotation(
        table=pa.table(columns),
        query=classes.describe() | {"mode": manner.mode, "rate": rate, "smooth": manner.smooth},
        notes=said,
        classes=classes.names,
        using=chosen.using,
        kind=chosen.kind,
        mode=manner.mode,
        rate=rate,
        null=scored.null,
        n_null=scored.n_null,
        n_unassigned=n_unassigned,
    )


def _said(scored: _Scored, n_unassigned: int, n: int, rate: float) -> tuple[str, ...]:
    if scored.p_values is None:
        return (f"Scores are held against {scored.null}: no p-value, and every item is given its best class.",)
    named = f"{n - n_unassigned:,} of {n:,} items stand out from {scored.null}, of whom {rate:.0%} would"
    return (f"{named}; the other {n_unassigned:,} are unassigned.",)


def _unknown_notes(unknown: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    listed = "; ".join(f"{name}: {', '.join(genes)}" for name, genes in unknown.items())
    return (f"Genes left out because they are not known here: {listed}.",) if unknown else ()


def _check(classes: Classes, manner: Annotating) -> None:
    if manner.mode not in MODES:
        raise AnnotationError(f"mode={manner.mode!r} is not known; choose one of {', '.join(MODES)}.")
    if not 0 < manner.rate <= 1:
        raise AnnotationError(f"rate is {manner.rate}; expected a share above 0 and up to 1, such as 0.5.")
    if not (np.isfinite(manner.temperature) and manner.temperature > 0):
        raise AnnotationError(f"temperature is {manner.temperature}; expected a positive number, such as 1.")
    if manner.mode != "calibrated" and manner.using == "counts":
        raise AnnotationError(f"Mode {manner.mode!r} compares vectors; leave using=counts to mode calibrated.")
    if manner.mode == "calibrated":
        check_names(classes.names, "the classes")
