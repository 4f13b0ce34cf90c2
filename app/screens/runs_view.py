"""What became of the latest runs of ingest, on the Index page: slides by outcome, what failed and what to do."""

import pandas as pd
import streamlit as st

from indexer.index import Index
from indexer.runs.next_steps import next_step
from indexer.runs.reading import latest_runs
from indexer.runs.record import RunRecord
from indexer.runs.summary import summary_text

_N_RUNS = 10
_ICONS = {"finished": ":material/check:", "running": ":material/hourglass:"}


def show_failed(index: Index) -> None:
    """Slides that are not in the index, with the reason and what to do about it."""
    failed = index.failed().to_pylist()
    if not failed:
        st.success("None.", icon=":material/check:")
        return
    st.dataframe(
        pd.DataFrame(
            [
                {"slide": row["slide"], "reason": row["reason"], "next step": next_step(row["error"], row["reason"])}
                for row in failed
            ]
        ),
        hide_index=True,
        column_config={"slide": st.column_config.TextColumn(width="small")},
        alt="Slides that could not be read, with the reason and the next step",
    )


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
    return f"{_ICONS.get(run.state, ':material/warning:')} {run.id}, {run.state}"
