"""Why an item is a hit, as tables."""

from collections import Counter

from app.tables.analyses import caption
from app.tables.view import NONE, Column, TableView, number, text
from search.explanation.explain import Explanation

_GENES = 15


def explanation_tables(found: Explanation, *, asked: str, provenance: str) -> list[TableView]:
    """Genes of the score, then labelled examples, the query's own items, and parts of slides, where there are some."""
    tables = [_genes(found, asked, provenance)]
    if found.labelled:
        tables.append(_labelled(found))
    if found.query_items:
        rows = [(one["id"], number(one["score"])) for one in found.query_items]
        tables.append(
            TableView("Items of the query nearest to the hit", (Column("item"), Column("cosine", "right")), rows)
        )
    if found.parts:
        tables.append(_parts(found))
    return tables


def _genes(found: Explanation, asked: str, provenance: str) -> TableView:
    rows = [
        (
            row["gene"],
            number(row["loss"]),
            number(row["query_per_10k"], 1),
            number(row["hit_per_10k"], 1),
            number(row["expected_per_10k"], 1),
            "yes" if row["shared"] else NONE,
        )
        for row in found.table.to_pylist()[:_GENES]
    ]
    standing = ", ".join(f"{one['gene']} ({one['fold']:.1f}x)" for one in found.standouts)
    told = [*found.notes, f"Stand out in the hit: {standing}." if standing else "The hit has no counts."]
    told += [_picture_line(found, i) for i in range(len(found.occlusion))]
    return TableView(
        title=f"{asked} ({found.using}) -> {found.item} ({found.target}): score {found.score:.3f}",
        columns=(
            Column("gene"),
            Column("loss", "right"),
            Column("query /10k", "right"),
            Column("hit /10k", "right"),
            Column("mean /10k", "right"),
            Column("high in both"),
        ),
        rows=rows,
        caption=caption(told, provenance),
    )


def _picture_line(found: Explanation, place: int) -> str:
    seen = found.occlusion[place]
    row, column = divmod(int(seen.losses.argmax()), seen.losses.shape[1])
    return (
        f"Picture of the {seen.of}: painting over square {row + 1}, {column + 1} of {seen.losses.shape[0]} x "
        f"{seen.losses.shape[1]} (row, column) costs most, {seen.losses.max():.3f}."
    )


def _labelled(found: Explanation) -> TableView:
    counts = Counter(one["label"] for one in found.labelled)
    told = ", ".join(f"{n} {label}" for label, n in counts.most_common())
    rows = [
        (one["id"], text(one["label"]), text(one["patient"]), one["side"], number(one["score"]))
        for one in found.labelled
    ]
    return TableView(
        title="Labelled items of other patients nearest to the query",
        columns=(Column("item"), Column("label"), Column("patient"), Column("side"), Column("cosine", "right")),
        rows=rows,
        caption=f"Of {len(found.labelled)}: {told}.",
    )


def _parts(found: Explanation) -> TableView:
    rows = [
        (f"{one['share']:.0%}", text(one["item"]), number(one["cosine"]), text(one["other_item"]))
        for one in found.parts
    ]
    return TableView(
        title="Parts of the slides that match",
        columns=(Column("share", "right"), Column("shown by"), Column("cosine", "right"), Column("matches")),
        rows=rows,
    )
