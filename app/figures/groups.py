"""Pictures of cohorts and of mixing: a bar a group, with its rate of false discoveries and the patients behind it."""

from typing import TYPE_CHECKING

from app.figures.bars import Bars, bars_figure
from app.tables.hits import index_provenance, is_generated
from app.tables.view import p_text
from search.engine import Engine
from search.groups.cohorts import Cohorts
from search.groups.mixing import Mixing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST, _LONGEST = 20, 24


def cohorts_figure(found: Cohorts, engine: Engine, *, title: str) -> "Figure":
    """Enrichment of each group among the hits; 1 is chance."""
    rows = found.table.to_pylist()[:_MOST]
    bars = Bars(
        title=title,
        subtitle=f"{found.n_hits:,} hits of {found.n_eligible:,} items; test: {found.test}.",
        value_name="enrichment over the base rate (1 is chance)",
        labels=[_short(row["group"]) for row in rows],
        values=[row["enrichment"] for row in rows],
        notes=[
            f"{row['patients_hit']} of {row['patients_in_index']} patients, FDR {p_text(row['fdr'])}" for row in rows
        ],
        provenance=" ".join([*found.notes, index_provenance(engine)]),
        generated=is_generated(engine),
    )
    return bars_figure(bars)


def mixing_figure(found: Mixing, engine: Engine) -> "Figure":
    """Share of neighbours of the own site, with the share expected as a dot, for all, each site and each label."""
    rows = [row for row in found.table.to_pylist() if row["expected"] > 0][:_MOST]
    bars = Bars(
        title=f"Neighbours of the same {found.site}",
        subtitle=found.notes[-1] if not is_generated(engine) else found.notes[-2],
        value_name=f"share of the {found.k} nearest of other {found.unit}s ({found.modality})",
        labels=[_short(f"{row['group']}") for row in rows],
        values=[row["same_site"] for row in rows],
        marks=[row["expected"] for row in rows],
        mark_name=f"expected by their {found.label or 'number'}",
        notes=[f"{row['n_units']} {found.unit}s, FDR {p_text(row['fdr'])}" for row in rows],
        provenance=" ".join([found.notes[0], index_provenance(engine)]),
        generated=is_generated(engine),
    )
    return bars_figure(bars)


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}\N{HORIZONTAL ELLIPSIS}"
