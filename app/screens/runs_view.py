"""What became of the latest runs of ingest, on the Index page: slides by outcome, what failed and what to do."""

import pandas as pd
import streamlit as st

from indexer.index import Index
from indexer.runs.next_steps import next_step
from indexer.runs.reading import latest_runs
from indexer.runs.record import RunRecord
from indexer.runs.summary import summary_text

_N_RUNS = 10
_N_FAILED = 50
_N_LEAKS = 5


def show_failed(index: Index) -> None:
    """Slides that are not in the index, with the reason and what to do about it."""
    failed = index.failed().to_pylist()
    if not failed:
        st.success("None.", icon=":material/check:")
        return
    rows = [
        {"slide": row["slide"], "reason": row["reason"], "next step": next_step(row["error"], row["reason"])}
        for row in failed
    ]
    st.table(pd.DataFrame(rows[:_N_FAILED]).set_index("slide"))  # unlike a data frame it wraps its sentences
    if len(rows) > _N_FAILED:
        st.caption(f"And {len(rows) - _N_FAILED:,} more: `histoseek index stats` lists them.")


def show_health(index: Index) -> None:
    """How the index is, in one line: its last run, what failed, what is there twice."""
    runs = latest_runs(index.location, 1)
    badges = [_badge("green", f"version {index.card.version}")]
    if runs:
        ended = runs[0].state in {"finished", "running"}
        badges.append(_badge("green" if ended else "orange", f"last run {runs[0].state}"))
    n_failed = index.card.n_failed
    badges.append(_badge("orange" if n_failed else "green", f"{n_failed} slides failed"))
    leaks = list(dict.fromkeys(leak for run in latest_runs(index.location, _N_RUNS) for leak in run.leaks))
    if leaks:
        badges.append(_badge("red", f"{len(leaks)} leaks reported"))
    st.markdown(" ".join(badges))
    for leak in leaks[:_N_LEAKS]:
        st.warning(leak, icon=":material/content_copy:")


def _badge(colour: str, text: str) -> str:
    return f":{colour}-badge[{text}]"


def show_runs(index: Index) -> None:
    """The latest runs, and the report of the one that is chosen."""
    runs = latest_runs(index.location, _N_RUNS)
    if not runs:
        st.caption("No run of ingest left a record: the index was made by an earlier version, or from vectors.")
        return
    st.dataframe(
        pd.DataFrame([_row(run) for run in runs]), hide_index=True, alt="Latest runs of ingest, the newest first"
    )
    shown = st.selectbox("Report of a run", runs, format_func=_name, key="run")
    with st.container(height=420, border=True):
        st.markdown(summary_text(shown).replace("# ", "#### ", 1).replace("\n## ", "\n##### "))


def _row(run: RunRecord) -> dict[str, object]:
    return {
        "run": run.id,
        "state": run.state,
        "started": run.started_at,
        **{str(outcome): count for outcome, count in run.counts.items()},
        "of slides": run.n_asked,
        "leaks": len(run.leaks),
        "ended with": run.error,
    }


def _name(run: RunRecord) -> str:
    return f"{run.id}, {run.state}"
