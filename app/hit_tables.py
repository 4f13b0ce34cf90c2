"""Hits as a table with their provenance."""

from collections.abc import Iterable, Mapping
from typing import Any

from app.table_view import Column, TableView, listed, number, p_text, text
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
    Column("licence", wrap=True),
)


def hits_table(result: SearchResult, *, title: str, space: str) -> TableView:
    """Hits best first; the caption says what was asked, how it was answered, and under which licences."""
    rows = result.table.to_pylist()
    return TableView(
        title=title,
        columns=_COLUMNS,
        rows=[_row(hit) for hit in rows],
        caption=" ".join((*_said(result), provenance(rows, space=space))),
    )


def provenance(rows: Iterable[Mapping[str, Any]], *, space: str) -> str:
    """Licences of the rows' data, the space, and whether any row was generated."""
    seen = list(rows)
    licences = sorted({str(row["licence"]) for row in seen if row.get("licence")})
    marked = "GENERATED DATA, not from tissue. " if any(row.get("generated") for row in seen) else ""
    data = f"Data: {listed(licences)}. " if licences else ""
    return f"{marked}{data}Space: {space}."


def index_provenance(engine: Engine) -> str:
    """Provenance of an answer that draws on the whole index."""
    return provenance(engine.index.slides().to_pylist(), space=engine.space.card.name)


def _row(hit: Mapping[str, Any]) -> tuple[str, ...]:
    where = "" if hit["x_px"] is None else f"{hit['x_px']:.0f}, {hit['y_px']:.0f}"
    slide = f"{hit['slide']} (generated)" if hit["generated"] else hit["slide"]
    return (
        str(hit["rank"]),
        hit["id"],
        hit["kind"],
        number(hit["score"]),
        p_text(hit["p_value"]),
        p_text(hit["fdr"]),
        slide,
        hit["patient"],
        hit["cohort"],
        text(hit["diagnosis"]),
        text(hit["label"]),
        text(where),
        hit["licence"],
    )


def _said(result: SearchResult) -> list[str]:
    said = [note if note.endswith(".") else f"{note}." for note in result.notes]
    if result.genes is not None:
        said.append(f"Genes used: {listed(result.genes.used)}.")
        if result.genes.unknown:
            said.append(f"Unknown genes, left out: {listed(result.genes.unknown)}.")
        if result.genes.truncated:
            said.append(f"Genes cut off: {listed(result.genes.truncated)}.")
    plan = result.plan
    said.append(f"{plan.strategy} search over {plan.n_scored:,} items in {sum(plan.stage_ms.values()):.0f} ms.")
    return said
