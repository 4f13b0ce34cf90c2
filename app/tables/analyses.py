"""Cohorts and predicted expression as tables."""

from collections.abc import Sequence

from app.tables.view import Column, TableView, number, p_text
from search.expression.prediction import Prediction
from search.groups.cohorts import Cohorts


def cohorts_table(found: Cohorts, *, title: str, provenance: str) -> TableView:
    """Groups among the hits, the most enriched first."""
    return TableView(
        title=title,
        columns=(
            Column(found.by),
            Column("hits", "right"),
            Column("of hits", "right"),
            Column("by chance", "right"),
            Column("enrichment", "right"),
            Column("patients hit", "right"),
            Column("patients", "right"),
            Column("p", "right"),
            Column("FDR", "right"),
        ),
        rows=[
            (
                row["group"],
                str(row["n_hits"]),
                number(row["hit_fraction"]),
                number(row["base_fraction"]),
                number(row["enrichment"], 2),
                str(row["patients_hit"]),
                str(row["patients_in_index"]),
                p_text(row["p_value"]),
                p_text(row["fdr"]),
            )
            for row in found.table.to_pylist()
        ],
        caption=caption(
            (f"{found.n_hits:,} hits of {found.n_eligible:,} items; test: {found.test}.", *found.notes), provenance
        ),
    )


def prediction_table(found: Prediction, *, title: str, provenance: str) -> TableView:
    """Predicted expression with its spread, the mean of the index, and what was measured where it was.

    Genes that were no better predicted than by chance on other patients are faint.
    """
    spread = {"sd": "sd"}
    if found.coverage is not None:
        spread = {"low": f"from ({found.coverage:.0%})", "high": "to", "r": "r"}
    shown = {"predicted": "predicted", **spread, "index_mean": "index mean", "measured": "measured"}
    predictable = found.predictable()
    faint = [place for place, told in enumerate(predictable) if not told]
    return TableView(
        title=title,
        columns=(Column("gene"), *(Column(heading, "right") for heading in shown.values())),
        rows=[
            (row["gene"] if told else f"{row['gene']} ?", *(number(row[name], 2) for name in shown))
            for row, told in zip(found.table.to_pylist(), predictable, strict=True)
        ],
        caption=caption((*prediction_said(found), *found.notes, *unpredictable_said(len(faint))), provenance),
        faint=faint,
    )


def prediction_said(found: Prediction) -> tuple[str, str]:
    """Unit and number of neighbours of a prediction."""
    unit = "log(1 + counts per 10,000)."
    if found.n_effective is None:
        return unit, f"From {found.n_neighbours:,} spots ({found.mode})."
    return unit, (
        f"{found.n_neighbours:,} neighbours, worth {found.n_effective:,.1f} equally weighted ones ({found.mode})."
    )


def unpredictable_said(n_genes: int) -> tuple[str, ...]:
    """What greyed genes mean, if there are any."""
    return (f"{n_genes} greyed out (?): on other patients no better predicted than by chance.",) if n_genes else ()


def caption(sentences: Sequence[str], provenance: str) -> str:
    """Sentences as one paragraph, the provenance last."""
    return " ".join([*(s if s.endswith(".") else f"{s}." for s in sentences), provenance])
