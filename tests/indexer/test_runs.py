"""Every ingest leaves a record of what became of it, also one that is killed, and the index none the worse for it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from indexer.building.build import build_index
from indexer.building.run_options import RunOptions
from indexer.errors import VersionError
from indexer.runs import recorder as recorders
from indexer.runs.next_steps import next_step
from indexer.runs.reading import latest_runs, read_run, run_ids
from indexer.runs.record import RunRecord, add_genes, gene_record
from indexer.runs.recorder import RunRecorder
from indexer.runs.summary import summary_text
from indexer.store.location import locate
from tests.indexer.store_doubles import FakeImageEncoder, fake_space, rows_of, write_source

ROOT = Path(__file__).parents[2]

#: Builds an index of three slides and dies like from `kill -9` after the first of them was committed.
DYING = """
import sys
from pathlib import Path
from indexer.building.build import build_index
from indexer.building.run_options import RunOptions
from indexer.runs.recorder import RunRecorder
from tests.indexer.store_doubles import FakeSource, fake_space, kill_in

kill_in(RunRecorder, "slide", 1, before=False)
folder = Path(sys.argv[1])
sources = [FakeSource(path) for path in sorted(folder.glob("src/*.json"))]
build_index(folder / "idx", sources, fake_space(), tile_stride_um=120, run=RunOptions(commit_s=0))
"""


def ingest(folder, *slides, **asked):
    sources = [write_source(folder / "src", name, **content) for name, content in slides]
    return build_index(folder / "idx", sources, fake_space(), tile_stride_um=120, run=RunOptions(commit_s=0), **asked)


def test_a_run_says_what_became_of_each_slide(tmp_path):
    ingest(tmp_path, ("A1", {}))
    report = ingest(tmp_path, ("A1", {}), ("B1", {"bad": True}), ("C1", {}), asked={"names": "src"})
    location = locate(tmp_path / "idx")
    run = read_run(location, report.run_id)
    assert latest_runs(location, 5)[0] == run
    assert len(run_ids(location)) == 2
    assert (run.state, run.n_asked, run.asked) == ("finished", 3, {"names": "src"})
    slides = {slide.slide: slide for slide in run.slides}
    assert {name: slide.outcome for name, slide in slides.items()} == {"A1": "skipped", "B1": "failed", "C1": "added"}
    (failed,) = run.of("failed")
    assert "malformed on purpose" in failed.reason
    assert failed.next_step == next_step("CountsError")
    assert slides["C1"].n_tiles + slides["C1"].left_out["no tissue"] == 6 * 4  # the grid of a picture of 640 x 480 px
    assert run.n_items == report.n_items
    assert run.seconds.keys() >= {"read", "encode", "write"}
    assert run.space["name"] == "fake"
    assert run.versions.keys() >= {"python", "lancedb", "torch"}
    (licence,) = run.licences
    assert (licence.licence, licence.cohort, licence.n_slides) == ("CC0", "fakes", 1)


def test_the_summary_is_what_a_person_reads(tmp_path):
    report = ingest(tmp_path, ("A1", {}), ("B1", {"bad": True}))
    text = (tmp_path / "idx" / "runs" / report.run_id / "summary.md").read_text()
    assert text.startswith(f"# Run {report.run_id}, finished: 1 added, 1 failed of 2 slides.")
    for part in ("## Failed slides", "malformed on purpose", "## Licences", "CC0", "## Time", "## Versions", "kept"):
        assert part in text


def test_a_killed_run_has_left_a_record_and_the_next_says_so(tmp_path):
    for name in ("A1", "B1", "C1"):
        write_source(tmp_path / "src", name)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    process = subprocess.run([sys.executable, "-c", DYING, tmp_path], env=environment, timeout=120, check=False)
    assert process.returncode == -signal.SIGKILL
    location = locate(tmp_path / "idx")
    (run,) = latest_runs(location, 5)
    assert run.state == "killed"
    assert [(slide.slide, slide.outcome) for slide in run.slides] == [("A1", "added")]
    on_disk = tmp_path / "idx" / "runs" / run.id / "summary.md"
    assert "still running, or ended without a word" in on_disk.read_text()

    second = ingest(tmp_path, ("A1", {}), ("B1", {}), ("C1", {}))
    closed = read_run(location, run.id)
    assert (closed.state, closed.is_closed) == ("killed", True)
    assert "killed before its end: 1 added, 2 not come to" in on_disk.read_text()
    assert read_run(location, second.run_id).counts == {"added": 2, "replaced": 0, "skipped": 1, "failed": 0}


def test_a_run_that_an_error_ends_is_stopped(tmp_path, monkeypatch):
    ingest(tmp_path, ("A1", {}))
    monkeypatch.setattr(FakeImageEncoder, "features", lambda *args, **kwargs: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        ingest(tmp_path, ("B1", {}))
    run = latest_runs(locate(tmp_path / "idx"), 1)[0]
    assert (run.state, run.error) == ("stopped", "division by zero")


def test_a_record_that_cannot_be_written_does_not_end_the_run(tmp_path):
    ingest(tmp_path, ("A1", {}))
    rows = rows_of(tmp_path / "idx")
    runs = tmp_path / "idx" / "runs"
    for file in sorted(runs.rglob("*"), reverse=True):
        file.rmdir() if file.is_dir() else file.unlink()
    runs.rmdir()
    runs.write_text("no folder")
    report = ingest(tmp_path, ("A1", {}), ("B1", {}))
    assert report.added == ("B1",)
    assert len(rows_of(tmp_path / "idx")["slides"]) == len(rows["slides"]) + 1


def test_records_are_not_written_more_often_than_they_are_worth(tmp_path, monkeypatch):
    written = []
    monkeypatch.setattr(recorders, "write_record", lambda *args: written.append(args))
    clock = iter(range(10_000))
    monkeypatch.setattr(recorders.time, "monotonic", lambda: next(clock))
    with RunRecorder(locate(tmp_path), fake_space().card, 100) as recorder:
        for _ in range(100):
            recorder.slide("A1", "skipped")
    assert len(written) < 10  # each takes a tick of this clock, and waits for twenty
    assert len(recorder.record.slides) == 100


def test_slides_of_the_same_genes_share_a_line(tmp_path):
    row = {
        "species": "human", "mapped": 3, "renamed": 1, "no_ortholog": 0, "dropped": 1, "summed": 1,
        "examples": {"renamed": ["FAM129A -> NIBAN1"], "dropped": ["N_unmapped"], "summed": ["TBCE"]},
    }  # fmt: skip
    known = []
    for slide in ("A", "B"):
        add_genes(known, gene_record(row), [slide])
    add_genes(known, gene_record(row | {"mapped": 4}), ["C"])
    assert [record.slides for record in known] == [["A", "B"], ["C"]]
    run = RunRecord(id="20260101-000000-000000", started_at="", updated_at="", pid=1, host="h", genes=known)
    text = summary_text(run)
    assert "| A, B | human | renamed | 1 | FAM129A -> NIBAN1 |" in text
    assert "no ortholog" not in text


def test_reasons_cannot_pass_for_markdown():
    run = RunRecord(id="20260101-000000-000000", started_at="", updated_at="", pid=1, host="h", n_asked=1)
    run.warnings.append("a | b\n# c <script> [x](http://y)")
    assert "- a | b # c &lt;script> \\[x](http://y)" in summary_text(run)


def test_damaged_and_unknown_runs(tmp_path):
    report = ingest(tmp_path, ("A1", {}))
    location = locate(tmp_path / "idx")
    assert read_run(location, report.run_id[:10]).id == report.run_id
    with pytest.raises(VersionError, match="index runs"):
        read_run(location, "1999")
    (tmp_path / "idx" / "runs" / report.run_id / "run.json").write_text(json.dumps({"id": 1}))
    assert latest_runs(location, 5) == []
    assert ingest(tmp_path, ("A1", {})).skipped == ("A1",)
