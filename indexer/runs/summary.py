"""The report of a run as a person reads it, `runs/<id>/summary.md`."""

from collections.abc import Iterable, Sequence

from indexer.runs.record import OUTCOMES, GeneRecord, RunRecord, SlideRecord

_STATES = {
    "running": "still running, or ended without a word",
    "finished": "finished",
    "stopped": "stopped before its end",
    "killed": "killed before its end",
}
_N_LISTED = 50


def headline(run: RunRecord) -> str:
    """The run in one sentence."""
    counts = ", ".join(f"{count} {outcome}" for outcome, count in run.counts.items() if count) or "no slide"
    left = run.n_asked - len(run.slides)
    rest = f", {left} not come to" if left > 0 else ""
    return f"Run {run.id}, {_STATES[run.state]}: {counts}{rest} of {run.n_asked} slides."


def summary_text(run: RunRecord) -> str:
    """The record of a run as Markdown."""
    parts = [f"# {headline(run)}", _about(run)]
    if run.error:
        parts.append(f"**It ended with:** {run.error}")
    if run.state in {"stopped", "killed"}:
        parts.append("What was finished is kept: the same command goes on from there.")
    parts += _failed(run.of("failed"))
    parts += _listed("Look at this", run.warnings)
    parts += _listed("Leaks", run.leaks)
    parts += _table("Slides", ("outcome", "slides"), [(name, f"{n:,}") for name, n in run.counts.items()])
    parts += _tiles(run)
    parts += _genes(run.genes)
    parts += _table(
        "Licences",
        ("licence", "cohort", "slides", "cite"),
        [(found.licence, found.cohort, f"{found.n_slides:,}", found.citation) for found in run.licences],
    )
    parts += _table("Time", ("stage", "seconds"), [(stage, f"{value:.1f}") for stage, value in run.seconds.items()])
    parts += _listed("Remarks", run.notes)
    parts += _table("Asked", ("option", "value"), list(run.asked.items()))
    parts += _table("Versions", ("of", "version"), list(run.versions.items()))
    parts += _table("Every slide", ("slide", "outcome", "tiles", "items"), _every(run.slides))
    return "\n\n".join(parts) + "\n"


def _about(run: RunRecord) -> str:
    space = (
        f"{run.space.get('name', 'unknown')} {run.space.get('revision', '')} ({run.space.get('dim', '?')} dimensions)"
    )
    lines = [
        f"Started {run.started_at}, last heard of {run.updated_at}, process {run.pid} on {run.host}. Space {space}."
    ]
    if run.n_items is not None:
        lines.append(f"The index holds {run.n_items:,} items now.")
    if run.peak_rss_mb is not None:
        lines.append(f"Largest resident memory {run.peak_rss_mb:,.0f} MiB.")
    return " ".join(lines)


def _failed(slides: Sequence[SlideRecord]) -> list[str]:
    rows = [(slide.slide, slide.reason, slide.next_step) for slide in slides]
    return _table("Failed slides", ("slide", "reason", "next step"), rows)


def _tiles(run: RunRecord) -> list[str]:
    kept = sum(slide.n_tiles for slide in run.slides)
    left = run.left_out
    rows = [("kept", f"{kept:,}"), *((f"left out: {reason}", f"{count:,}") for reason, count in left.items())]
    return _table("Tiles", ("", "tiles"), rows) if kept or left else []


def _genes(records: Sequence[GeneRecord]) -> list[str]:
    rows = []
    for record in records:
        names = ", ".join(record.slides[:3]) + (f" and {len(record.slides) - 3} more" if len(record.slides) > 3 else "")
        for fate, count in record.counts.items():
            if count:
                rows.append(
                    (
                        names,
                        record.species,
                        fate.replace("_", " "),
                        f"{count:,}",
                        ", ".join(record.examples.get(fate, [])),
                    )
                )
        if record.n_summed:
            rows.append((names, record.species, "summed", f"{record.n_summed:,}", ""))
    return _table("Gene identifiers", ("slides", "species", "fate", "genes", "examples"), rows)


def _every(slides: Sequence[SlideRecord]) -> list[tuple[str, ...]]:
    order = {outcome: place for place, outcome in enumerate(reversed(OUTCOMES))}
    found = sorted(slides, key=lambda slide: order[slide.outcome])
    rows: list[tuple[str, ...]] = [
        (slide.slide, slide.outcome, f"{slide.n_tiles:,}", f"{slide.n_items:,}") for slide in found[:_N_LISTED]
    ]
    more = len(found) - _N_LISTED
    return [*rows, (f"and {more:,} more, see run.json", "", "", "")] if more > 0 else rows


def _listed(title: str, lines: Sequence[str]) -> list[str]:
    shown = [f"- {_inline(line)}" for line in lines[:_N_LISTED]]
    more = len(lines) - _N_LISTED
    shown += [f"- and {more:,} more, see run.json"] if more > 0 else []
    return [f"## {title}\n\n" + "\n".join(shown)] if lines else []


def _table(title: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(map(_cell, row))} |" for row in rows]
    if not lines:
        return []
    rule = f"| {' | '.join('---' for _ in heads)} |"
    return [f"## {title}\n\n" + "\n".join([f"| {' | '.join(heads)} |", rule, *lines])]


def _cell(text: str) -> str:
    return _inline(text).replace("|", "\\|")


def _inline(text: str) -> str:
    """Text of files, which may hold anything, on one line and without a way to pass for Markdown."""
    return " ".join(text.split()).replace("<", "&lt;").replace("[", "\\[")
