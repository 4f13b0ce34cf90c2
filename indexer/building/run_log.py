"""Tells the record of a run what became of each slide."""

from indexer.building.report import SlideRun
from indexer.runs.record import gene_record
from indexer.runs.recorder import RunRecorder
from indexer.slides import SlideFacts


def note_slide(recorder: RunRecorder, run: SlideRun, facts: SlideFacts | None) -> None:
    """Note what became of a slide; its facts are `None` if it was skipped or failed."""
    if run.outcome == "failed":
        recorder.failure(run.slide, run.error, run.reason)
        return
    recorder.slide(
        run.slide,
        run.outcome,
        facts,
        n_tiles=run.n_tiles,
        n_items=run.n_items,
        seconds=run.seconds,
        left_out=run.left_out,
        genes=None if run.genes is None else gene_record(run.genes),
    )
