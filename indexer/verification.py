"""Does an index hold what it says? Compares tables, card, genes and vectors with each other."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from encoders.aggregators import MEAN
from encoders.contracts import Modality, Vectors
from indexer.building.slide_aggregates import aggregate_problems
from indexer.genes.panel import Panel
from indexer.index import Index
from indexer.store.lance_index import lance_index
from indexer.store.versions import history, read_tags
from indexer.upkeep.inventory import leftovers, version_problems
from indexer.vectors.sidecar_card import MODALITIES
from indexer.vectors.vector_set import VectorSet

_UNIT_TOLERANCE = 1e-3
_ASKED = 16


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at, what was found, and sentences about what is wrong with it, none if all is well."""

    what: str
    found: str
    problems: tuple[str, ...]


def examine(index: Index) -> list[Finding]:
    """Look at everything an index holds; reads the whole tables, so it takes as long as a copy of them."""
    of_rows = _rows(index)
    pa.default_memory_pool().release_unused()  # what reading the names of all items took
    return [
        *of_rows,
        Finding(
            "genes are those of the card's panel",
            f"panel {index.card.panel_sha256[:12]}",
            tuple(_gene_problems(index)),
        ),
        *(_vectors(index, modality) for modality in MODALITIES),
        *_lance_indexes(index),
        *_aggregates(index),
        *_versions(index),
    ]


def _rows(index: Index) -> list[Finding]:
    items, slides = index.store.read("items", ["id", "slide", "kind"])[0], index.slides()
    n_ids = pc.count_distinct(items["id"]).as_py()
    return [
        Finding(
            "items, slides, genes and failures as the card counts them",
            f"{items.num_rows:,} items, {slides.num_rows:,} slides, {len(index.genes):,} genes",
            tuple(_count_problems(index, items)),
        ),
        Finding(
            "items and slides are there once and belong together",
            f"{n_ids:,} different items",
            tuple(_row_problems(items, slides, n_ids)),
        ),
    ]


def find_problems(index: Index) -> list[str]:
    """Sentences about what is wrong with an index; empty if nothing is."""
    return [problem for finding in examine(index) for problem in finding.problems]


def _aggregates(index: Index) -> list[Finding]:
    name = index.card.aggregator
    if name == MEAN:
        return []
    problems = tuple(aggregate_problems(index))
    return [Finding("every slide has what stands for it", f"{name} of {index.slides().num_rows:,} slides", problems)]


def _count_problems(index: Index, items: pa.Table) -> list[str]:
    card = index.card
    kinds = pc.value_counts(items["kind"])
    found = {row["values"]: row["counts"] for row in kinds.to_pylist()}
    pairs = {
        "items by kind": (card.counts, found),
        "slides": (card.n_slides, index.slides().num_rows),
        "failed slides": (card.n_failed, index.failed().num_rows),
        "genes": (card.n_genes, len(index.genes)),
    }
    return [
        f"The card counts {said} {what}, the tables hold {held}."
        for what, (said, held) in pairs.items()
        if said != held
    ]


def _row_problems(items: pa.Table, slides: pa.Table, n_ids: int) -> list[str]:
    problems = []
    if n_ids != items.num_rows:
        problems.append(f"{items.num_rows - n_ids} items have an id that another item has.")
    committed = slides["slide"].to_pylist()
    if len(set(committed)) != len(committed):
        problems.append(f"{len(committed) - len(set(committed))} slides are there more than once.")
    of_items = set(pc.unique(items["slide"]).to_pylist())
    if orphans := sorted(of_items - set(committed)):
        problems.append(f"Slides {', '.join(orphans)} have items but no row of their own.")
    if empty := sorted(set(committed) - of_items):
        problems.append(f"Slides {', '.join(empty)} have no items.")
    return problems


def _gene_problems(index: Index) -> list[str]:
    problems = []
    if Panel(index.genes, index.ensembl_ids).sha256 != index.card.panel_sha256:
        problems.append("The genes are not those of the panel whose digest is in the card.")
    parts = (pc.list_flatten(batch.column(0)) for batch in index.store.batches("items", ["gene_index"]))
    if any(len(part) and (pc.min(part).as_py() < 0 or pc.max(part).as_py() >= len(index.genes)) for part in parts):
        problems.append(f"Some counts belong to gene numbers outside 0 to {len(index.genes) - 1}.")
    return problems


def _vectors(index: Index, modality: Modality) -> Finding:
    problems = []
    searched = index.vectors(modality)
    n_stored = n_wrong = n_same = 0
    for rows, stored in index.stream_vectors(modality):
        n_stored += len(rows)
        n_wrong += int((~(np.abs(np.linalg.norm(stored, axis=1) - 1) < _UNIT_TOLERANCE)).sum())
        n_same += _n_same(searched, rows, stored)
    if n_wrong:
        problems.append(f"{n_wrong} {modality} vectors are not of norm 1.")
    if not n_same == n_stored == len(searched):
        problems.append(
            f"The {modality} sidecar does not hold the vectors of the table. Delete {index.folder / 'sidecar'}: it is "
            "made again when the index is opened."
        )
    if searched.ann.n_rows > n_stored:
        problems.append(f"The {modality} FAISS index holds {searched.ann.n_rows} vectors, the table {n_stored}.")
    return Finding(f"{modality} vectors match the table and have norm 1", f"{n_stored:,} vectors", tuple(problems))


def _n_same(searched: VectorSet, rows: npt.NDArray[np.int64], stored: Vectors) -> int:
    """How many of some rows have the vector that is searched."""
    places = searched.places_of(rows)
    n_base = len(searched.base)
    n = 0
    for part, first in ((searched.base, 0), (searched.tail, n_base)):
        its = np.flatnonzero((places >= first) & (places < first + len(part)))
        n += int((part[places[its] - first] == stored[its]).all(axis=1).sum()) if len(its) else 0
    return n


def _lance_indexes(index: Index) -> list[Finding]:
    """Whether LanceDB's own indexes hold every row, and rows find themselves in them."""
    findings = []
    for modality in MODALITIES:
        if (lance := lance_index(index.store, modality)) is None:
            continue
        stored = index.vectors(modality)
        rows = stored.rows[np.linspace(0, len(stored) - 1, min(len(stored), _ASKED)).astype(np.int64)]
        lost = 0
        for row in rows.tolist():
            query = stored.vector_of(row)
            vectors = lance.nearest(query, _ASKED, probes=lance.n_lists, where=None)[1]
            lost += not len(vectors) or float((vectors @ query).max()) < 1 - _UNIT_TOLERANCE
        problems = []
        if lance.n_indexed + lance.n_beside != len(index):
            problems.append(
                f"LanceDB's {modality} index counts {lance.n_indexed + lance.n_beside:,} rows, not {len(index):,}."
            )
        if lost:
            problems.append(f"{lost} of {len(rows)} {modality} vectors do not find themselves in LanceDB's index.")
        remedy = ["Run `histoseek index optimize --lance-index`, which makes it again."] if problems else []
        found = f"{lance.n_indexed:,} rows in {lance.n_lists} lists, {lance.n_beside:,} beside"
        findings.append(Finding(f"LanceDB's own {modality} index", found, (*problems, *remedy)))
    return findings


def _versions(index: Index) -> list[Finding]:
    left = leftovers(index)
    swept = "; harmless, the next write or `histoseek index optimize` removes them"
    n_versions, n_tags = len(history(index.location)), len(read_tags(index.location))
    return [
        Finding(
            "versions and tags can be opened", f"{n_versions} versions, {n_tags} tags", tuple(version_problems(index))
        ),
        Finding("leftovers of killed writers", f"{', '.join(left)}{swept}" if left else "none", ()),
    ]
