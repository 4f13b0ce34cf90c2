"""Public collections, and what would be fetched of one, as tables."""

from collections.abc import Iterable, Mapping
from typing import Any

from app.tables.view import NONE, Column, TableView, size_text
from indexer.datasets.collection import Collection, Plan
from indexer.datasets.receiving import Outlook

_SHOWN = 20  # slides of a plan, of which there may be thousands


def collection_row(one: Collection) -> dict[str, Any]:
    """What `histoseek data collections --json` says of one."""
    return {
        "name": one.name,
        "title": one.title,
        "licence": one.licence,
        "access": one.access,
        "size": one.size,
        "route": one.route,
        "choose_by": sorted(one.takes),
        "parts": dict(one.parts),
        "usual_parts": list(one.usual),
        "citation": one.citation,
        "page": one.page,
    }


def collections_table(collections: Iterable[Collection]) -> TableView:
    """Every collection on a line."""
    listed = list(collections)
    return TableView(
        title="Public collections",
        columns=(
            Column("name"),
            Column("what", wrap=True),
            Column("licence", wrap=True),
            Column("access", wrap=True),
            Column("size", wrap=True),
            Column("route", wrap=True),
            Column("parts (usual ones first)", wrap=True),
        ),
        rows=[
            (one.name, one.title, one.licence, one.access, one.size, one.route, ", ".join(_usual_first(one)))
            for one in listed
        ],
        caption="See what it would be with `histoseek data get NAME --to FOLDER --dry-run`, narrowed by --ids, --organ "
        "... Cite: " + "; ".join(f"{one.name}: {one.citation}" for one in listed),
    )


def plan_row(plan: Plan, ahead: Outlook) -> dict[str, Any]:
    """What `histoseek data get --json` says of a plan and of what is to come of it."""
    return {
        "collection": plan.collection.name,
        "revision": plan.revision,
        "licence": plan.licence,
        "access": plan.access,
        "files": [
            {"path": one.expected.path, "bytes": one.expected.bytes, "digest": one.expected.digest}
            for one in plan.files
        ],
        "bytes": plan.bytes,
        "files_to_come": ahead.n_files,
        "bytes_to_come": ahead.n_bytes,
        "bytes_free": ahead.free_bytes,
        "slides": [dict(row) for row in plan.slides],
        "samples": [dict(row) for row in plan.samples],
        "notes": list(plan.notes),
    }


def chosen_table(plan: Plan) -> TableView:
    """The first slides and samples of a plan, and what is known of them."""
    chosen = [*plan.slides, *plan.samples]
    columns = ("slide", "organ", "diagnosis", "technology", "species", "patient_id")
    left = len(chosen) - _SHOWN
    return TableView(
        title="Chosen",
        columns=[Column(name.removesuffix("_id"), wrap=True) for name in columns],
        rows=[[row[name] for name in columns] for row in chosen[:_SHOWN]],
        caption=f"... and {left:,} more; --json has them all." if left > 0 else "",
    )


def plan_table(plan: Plan, ahead: Outlook) -> TableView:
    """Files and sizes by folder, with licence and notes below."""
    sums: dict[str, list[int | None]] = {}
    for file in plan.files:
        folder, _, name = file.expected.path.rpartition("/")
        sums.setdefault(folder or name, []).append(file.expected.bytes)
    rows = [(folder, f"{len(sizes):,}", _size(sizes)) for folder, sizes in sums.items()]
    rows.append(("all", f"{len(plan.files):,}", _size([file.expected.bytes for file in plan.files])))
    who = [f"{len(rows):,} {what}" for what, rows in (("slides", plan.slides), ("samples", plan.samples)) if rows]
    lines = [
        f"To come: {ahead.n_files:,} files, {size_text(ahead.n_bytes)}; {size_text(ahead.free_bytes)} are free there.",
        f"Licence: {plan.licence}. Access: {plan.access}. Revision: {plan.revision}.",
        f"Cite: {plan.collection.citation}.",
        *plan.notes,
    ]
    return TableView(
        title=f"{plan.collection.title}: {', '.join(who) or 'files only'}",
        columns=(Column("folder"), Column("files", "right"), Column("size", "right")),
        rows=rows,
        caption="\n".join(lines),
    )


def failures_table(failed: Mapping[str, str]) -> TableView:
    """Files that did not come, each with its reason."""
    return TableView(
        title="Files that did not come",
        columns=(Column("file"), Column("reason", wrap=True)),
        rows=list(failed.items()),
    )


def _size(sizes: list[int | None]) -> str:
    """Sum of sizes, with how many are not known."""
    unknown = sum(size is None for size in sizes)
    known = size_text(sum(size or 0 for size in sizes)) if unknown < len(sizes) else NONE
    return f"{known} + {unknown:,} of unknown size" if unknown else known


def _usual_first(one: Collection) -> list[str]:
    return [*one.usual, *(part for part in one.parts if part not in one.usual)]
