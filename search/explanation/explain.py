"""Why an item is a hit of a query: what a person would want to check before believing it."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from encoders.contracts import Modality, Vectors
from encoders.given_space import FAMILY as GIVEN_VECTORS
from encoders.space import Space
from search.catalogue import Catalogue
from search.encoding import EncodedQuery, list_of, sentence_of
from search.errors import QueryError
from search.explanation.genes import Drivers, Profile, of_list, of_profile, of_sentence
from search.explanation.labelled import nearest_labelled, nearest_of_query
from search.explanation.pictures import Occlusion, Patch, occlusion, patch_of_item, patch_of_query
from search.expression.standouts import standout_genes
from search.gene_names import names_of
from search.item_rows import is_item
from search.profiles import PER, Doubles, has_counts
from search.query import GenesQuery, PatchQuery, ProfileQuery, Query, SentenceQuery
from search.result import Findings
from search.retrieval.slide_parts import AskedSlide, slide_parts
from search.state import State

_GENES_SHOWN = 30
_SECTION_ROWS = 1_000  # items of a slide that its mean is taken from
_STANDOUTS = 8


@dataclass(frozen=True, slots=True)
class Explanation(Findings):
    """Why an item is a hit of a query.

    Columns, the genes that make most of the score first: `gene`, `loss` (score less the score without the gene; null
    where no expression was compared), `query_per_10k`, `hit_per_10k` and `expected_per_10k` (the mean over the slides;
    null where there are no counts), `shared` (counted above that in both).

    Attributes
    ----------
    item : str
        Id of the hit.
    score : float
        Cosine of query and hit.
    using, target : {"image", "expression"}
        The sides compared.
    driven_by : str or None
        Where genes were left out: `query genes`, `query profile` or `hit profile`.
    hit : dict
        Slide, patient, label and position of the hit.
    standouts : tuple of dict
        Genes of the hit furthest above their mean over the slides, `gene` and `fold`.
    labelled : tuple of dict
        Labelled items of other patients nearest to the query: `item`, `label`, `patient`, `score`.
    query_items : tuple of dict
        Of a query made of several items, those nearest to the hit: `item`, `score`.
    occlusion : tuple of Occlusion
        Where the pictures make the score.
    parts : tuple of dict
        Of two slides, which part matched which; see `Engine.slide_parts`.
    """

    item: str
    score: float
    using: Modality
    target: Modality
    driven_by: str | None
    hit: dict[str, Any]
    standouts: tuple[dict[str, Any], ...]
    labelled: tuple[dict[str, Any], ...]
    query_items: tuple[dict[str, Any], ...]
    occlusion: tuple[Occlusion, ...]
    parts: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class _Pair:
    """A query and its hit: vectors, sides, and counts where there are some."""

    query: Query
    encoded: EncodedQuery
    row: int
    target: Modality
    hit_vector: Vectors
    query_counts: Doubles | None
    hit_counts: Doubles | None


def explain(
    state: State, query: Query, item: str, target: Modality | None = None, *, pictures: bool = True
) -> Explanation:
    """Tell why an item is a hit of a query; see `Engine.explain`."""
    catalogue, space = state.catalogue, state.space()
    encoded, row = state.encode(query), catalogue.row_of(item)
    side = target or _side(catalogue, row, encoded)
    pair = _Pair(
        query=query,
        encoded=encoded,
        row=row,
        target=side,
        hit_vector=catalogue.vector(row, side),
        query_counts=_query_counts(catalogue, query, encoded),
        hit_counts=_counts(catalogue, row),
    )
    encodes = state.index.card.space.recipe.get("family") != GIVEN_VECTORS
    drivers = _drivers(state, pair, space) if encodes else None
    seen = _pictures(catalogue, pair, space) if encodes and pictures else ()
    facts = catalogue.facts(row)
    return Explanation(
        table=_table(state, pair, drivers),
        query=encoded.description | {"target": side, "item_explained": item},
        notes=(*encoded.notes, *_notes(pair, drivers, seen), *catalogue.generated_note(np.array([row]))),
        item=item,
        score=float(encoded.vector @ pair.hit_vector),
        using=encoded.modality,
        target=side,
        driven_by=None if drivers is None else drivers.source,
        hit={name: facts[name] for name in ("kind", "slide", "patient", "label", "x_px", "y_px", "total_counts")},
        standouts=tuple(
            {"gene": one.symbol, "fold": round(one.fold, 3)}
            for one in standout_genes(catalogue, np.array([row]), state.mean_share, _STANDOUTS)[0]
        ),
        labelled=nearest_labelled(catalogue, encoded, side),
        query_items=nearest_of_query(catalogue, encoded, pair.hit_vector),
        occlusion=seen,
        parts=_parts(state, pair),
    )


def _parts(state: State, pair: _Pair) -> tuple[dict[str, Any], ...]:
    """Which part of a slide matched which of another; nothing for other pairs, and where slides have no parts."""
    row, other = pair.encoded.row, str(state.catalogue.value(pair.row, "slide"))
    both_slides = pair.encoded.whole_slide and state.catalogue.value(pair.row, "kind") == "slide"
    if row is None or not both_slides or state.parts.of(other, pair.target) is None:
        return ()
    asked = AskedSlide(str(state.catalogue.value(row, "slide")), pair.target)
    return tuple(slide_parts(state.parts, asked, other).table.to_pylist())


def _side(catalogue: Catalogue, row: int, encoded: EncodedQuery) -> Modality:
    """The other side than the query's where the item has it, as a search from picture to expression would compare."""
    sides = catalogue.modalities_of(row)
    if not sides:
        raise QueryError(f"Item {catalogue.value(row, 'id')!r} has no vector, so it is a hit of nothing.")
    others = [side for side in sides if side != encoded.modality]
    return others[0] if others and not encoded.whole_slide else sides[0]


def _query_counts(catalogue: Catalogue, query: Query, encoded: EncodedQuery) -> Doubles | None:
    """Counts of the query over the panel: its own, or the sum over the items it is made of."""
    if isinstance(query, ProfileQuery):
        place = {gene: column for column, gene in enumerate(catalogue.index.genes)}
        counts = np.zeros(len(place))
        names = names_of(catalogue.index.genes).read(query.genes).names
        for gene, count in zip(names, np.asarray(query.counts, dtype=np.float64).tolist(), strict=True):
            if gene in place:
                counts[place[gene]] += count
        return counts if counts.any() else None
    rows = np.array(encoded.rows, dtype=np.int64)
    rows = rows[has_counts(catalogue)[rows]] if len(rows) else rows
    if not len(rows):
        return None
    return np.asarray(catalogue.index.expression(rows).sum(axis=0), dtype=np.float64).ravel()


def _counts(catalogue: Catalogue, row: int) -> Doubles | None:
    counts = catalogue.index.expression(np.array([row])).toarray()[0].astype(np.float64)
    return counts if counts.any() else None


def _drivers(state: State, pair: _Pair, space: Space) -> Drivers | None:
    match pair.query:
        case GenesQuery():
            return of_list(list_of(pair.query, state.catalogue, space)[0], space, pair.hit_vector)
        case SentenceQuery():
            return of_sentence(sentence_of(pair.query, state.catalogue, space)[0], space, pair.hit_vector)
    genes = state.index.genes
    if pair.encoded.modality == "expression" and pair.query_counts is not None:
        profile = _profile(state, pair.query_counts, pair.encoded.slides if pair.encoded.rows else ())
        return of_profile(profile, genes, space, pair.hit_vector, "query profile")
    if pair.target == "expression" and pair.hit_counts is not None:
        profile = _profile(state, pair.hit_counts, (str(state.catalogue.value(pair.row, "slide")),))
        return of_profile(profile, genes, space, pair.encoded.vector, "hit profile")
    return None


def _profile(state: State, counts: Doubles, slides: tuple[str, ...]) -> Profile:
    """Counts with those of their section; what is of several slides, or a slide itself, stands by itself."""
    catalogue = state.catalogue
    if len(slides) != 1:
        return Profile(counts, state.mean_share, None)
    rows = catalogue.rows_where("slide", slides[0])
    rows = rows[(has_counts(catalogue) & is_item(catalogue))[rows]]
    if len(rows) < 2:
        return Profile(counts, state.mean_share, None)
    section = catalogue.index.expression(rows[:: -(-len(rows) // _SECTION_ROWS)])
    total = np.asarray(section.sum(axis=0), dtype=np.float64).ravel()
    return Profile(counts, total / total.sum(), section)


def _pictures(catalogue: Catalogue, pair: _Pair, space: Space) -> tuple[Occlusion, ...]:
    spec = space.image.patch
    found: list[Occlusion] = []
    sides: tuple[tuple[Literal["query", "hit"], Patch | None, Vectors], ...] = (
        ("query", _patch_of(catalogue, pair, space), pair.hit_vector),
        ("hit", patch_of_item(catalogue, pair.row, spec) if pair.target == "image" else None, pair.encoded.vector),
    )
    for of, patch, other in sides:
        if patch is not None:
            found.append(occlusion(patch, space, other, of))
    return tuple(found)


def _patch_of(catalogue: Catalogue, pair: _Pair, space: Space) -> Patch | None:
    """Pixels that the query was encoded from; none for queries of several items."""
    if isinstance(pair.query, PatchQuery):
        return patch_of_query(pair.query, catalogue, space.image.patch)
    row = pair.encoded.row
    return patch_of_item(catalogue, row, space.image.patch) if row is not None and _asks_by_picture(pair) else None


def _asks_by_picture(pair: _Pair) -> bool:
    return pair.encoded.modality == "image" and pair.encoded.null == "image"


def _table(state: State, pair: _Pair, drivers: Drivers | None) -> pa.Table:
    genes, expected = state.index.genes, PER * state.mean_share
    query, hit = (None if one is None else PER * one / one.sum() for one in (pair.query_counts, pair.hit_counts))
    place = {gene: column for column, gene in enumerate(genes)}
    losses = {} if drivers is None else dict(zip(drivers.genes, drivers.losses.tolist(), strict=True))
    above = [np.maximum(np.sqrt(one) - np.sqrt(expected), 0) for one in (query, hit) if one is not None]
    common = np.min(above, axis=0) if len(above) == 2 else np.zeros(len(genes))
    most_shared = [genes[i] for i in np.argsort(-common, kind="stable")[:_GENES_SHOWN] if common[i] > 0]
    driving = sorted(losses, key=lambda gene: -abs(losses[gene]))[:_GENES_SHOWN]
    shown = list(dict.fromkeys((*driving, *most_shared)))

    def values(of: Doubles | None) -> list[float | None]:
        return [None if of is None or gene not in place else float(of[place[gene]]) for gene in shown]

    return pa.table(
        {
            "gene": pa.array(shown, pa.string()),
            "loss": pa.array([losses.get(gene) for gene in shown], pa.float64()),
            "query_per_10k": pa.array(values(query), pa.float64()),
            "hit_per_10k": pa.array(values(hit), pa.float64()),
            "expected_per_10k": pa.array(values(expected), pa.float64()),
            "shared": pa.array([gene in place and bool(common[place[gene]] > 0) for gene in shown], pa.bool_()),
        }
    )


def _notes(pair: _Pair, drivers: Drivers | None, seen: tuple[Occlusion, ...]) -> tuple[str, ...]:
    notes = []
    score = float(pair.encoded.vector @ pair.hit_vector)
    if drivers is not None:
        how = "left out of the list" if drivers.source == "query genes" else "set to its share on the slide"
        notes.append(f"Loss: score {drivers.score:.3f} less the score with the gene {how}.")
        if abs(drivers.score - score) > 0.005:
            notes.append(f"The {drivers.source} was encoded anew; as indexed the score is {score:.3f}.")
    notes += [
        f"Picture of the {one.of}: score {one.score:.3f} from the {one.source}, {score:.3f} as indexed."
        for one in seen
        if abs(one.score - score) > 0.005
    ]
    return tuple(notes)
