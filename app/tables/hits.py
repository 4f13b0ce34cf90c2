"""Hits as a table with their provenance."""

from collections.abc import Iterable, Mapping
from typing import Any

from app.tables.view import NONE, Column, TableView, listed, number, p_text, text
from encoders.space import SpaceCard
from search.engine import Engine
from search.result import SearchResult

_COLUMNS = (
    Column("", "right"),
    Column("item"),
    Column("kind"),
    Column("score", "right"),
    Column("p", "right"),
    Column("FDR", "right"),
    Column("slide"),
    Column("patient"),
    Column("cohort"),
    Column("diagnosis", wrap=True),
    Column("label", wrap=True),
    Column("x, y (px)", "right"),
)
#: Left out where no hit has a value, such as positions of cells.
_OPTIONAL = ("label", "x, y (px)")


def hits_table(result: SearchResult, *, title: str, space: SpaceCard) -> TableView:
    """Hits best first; the caption says what was asked, how it was answered, and under which licences."""
    hits = result.table.to_pylist()
    cells = [_cells(hit) for hit in hits]
    shown = [
        place
        for place, column in enumerate(_COLUMNS)
        if column.heading not in _OPTIONAL or any(row[place] != NONE for row in cells)
    ]
    return TableView(
        title=title,
        columns=[_COLUMNS[place] for place in shown],
        rows=[[row[place] for place in shown] for row in cells],
        caption=" ".join((*said(result), provenance(hits, space=space))),
    )


def provenance(rows: Iterable[Mapping[str, Any]], *, space: SpaceCard) -> str:
    """Licences of the rows' data, the space with its licence, and whether any row was generated."""
    seen = list(rows)
    terms = sorted({f"{row['cohort']}: {row['licence']}" for row in seen})
    marked = "GENERATED DATA, not from tissue. " if any(row["generated"] for row in seen) else ""
    data = f"Data: {'; '.join(terms)}. " if terms else ""
    return f"{marked}{data}Space: {space.name} {space.revision}, {space.licence}."


def is_generated(engine: Engine) -> bool:
    """Whether any slide of the index was generated."""
    return any(engine.index.slides().column("generated").to_pylist())


def index_provenance(engine: Engine) -> str:
    """Provenance of an answer that draws on the whole index."""
    return provenance(engine.index.slides().to_pylist(), space=engine.space.card)


def said(result: SearchResult) -> list[str]:
    """What the user should read besides the hits: notes, genes, and how the search ran."""
    sentences = [note if note.endswith(".") else f"{note}." for note in result.notes]
    if result.genes is not None:
        sentences.append(f"Genes used: {listed(result.genes.used)}.")
        if result.genes.unknown:
            sentences.append(f"Unknown genes, left out: {listed(result.genes.unknown)}.")
        if result.genes.truncated:
            sentences.append(f"Genes cut off: {listed(result.genes.truncated)}.")
    plan = result.plan
    how = "Exact search" if plan.strategy == "exact" else "Approximate search, re-ranked,"
    sentences.append(f"{how} over {plan.n_scored:,} items in {sum(plan.stage_ms.values()):.0f} ms.")
    return sentences


def _cells(hit: Mapping[str, Any]) -> tuple[str, ...]:
    where = None if hit["x_px"] is None else f"{hit['x_px']:.0f}, {hit['y_px']:.0f}"
    return (
        str(hit["rank"]),
        hit["id"],
        hit["kind"],
        number(hit["score"]),
        p_text(hit["p_value"]),
        p_text(hit["fdr"]),
        f"{hit['slide']} (generated)" if hit["generated"] else hit["slide"],
        hit["patient"],
        hit["cohort"],
        text(hit["diagnosis"]),
        text(hit["label"]),
        text(where),
    )
