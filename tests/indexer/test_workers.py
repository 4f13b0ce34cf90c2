"""Slides read by processes of their own: the same rows whatever their number, and a run that nothing ends early."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from indexer.building.build import build_index
from indexer.building.readers import start_reader
from indexer.building.run_options import RunOptions, auto_workers
from indexer.building.shards import Shard
from indexer.errors import DataError, SlideFailedError
from indexer.index import Index
from indexer.store.location import locate
from indexer.store.locks import writer_lock
from indexer.verification import find_problems
from tests.indexer.store_doubles import fake_space, rows_of, write_source

ROOT = Path(__file__).parents[2]
NAMES = [f"{letter}{number}" for letter in "AB" for number in range(4)]

#: Imports everything once, then forks for each line it is sent a build in a group of its own, with forked readers.
BUILDS = """
import json, os, sys
from pathlib import Path
import faiss, lancedb, skimage.filters, skimage.morphology
from tests.indexer.store_doubles import FakeSource, fake_space
from indexer.building.build import build_index
from indexer.building.reader_process import serve
from indexer.building.run_options import RunOptions

class Forked:
    def __init__(self):
        ours, theirs = os.pipe(), os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.dup2(ours[0], 3); os.dup2(theirs[1], 4); os.closerange(5, 256)
            serve(os.fdopen(3, "rb"), os.fdopen(4, "wb"))
            os._exit(0)
        os.close(ours[0]); os.close(theirs[1])
        self.stdin, self.stdout = os.fdopen(ours[1], "wb"), os.fdopen(theirs[0], "rb", 0)
    def kill(self):
        os.kill(self.pid, 9)
    def wait(self, timeout=None):
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

def build(folder, index, workers):
    sources = [FakeSource(path) for path in sorted(Path(folder, "src").glob("*.json"))]
    run = RunOptions(workers=workers, commit_s=0, start_reader=Forked)
    build_index(Path(folder, index), sources, fake_space(), tile_stride_um=120, run=run)

for line in sys.stdin:
    child = os.fork()
    if child == 0:
        os.setsid()
        build(*json.loads(line))
        os._exit(0)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.fixture(scope="module")
def slides(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slides")
    sources = [write_source(folder / "src", name, image=name != "B3") for name in NAMES]
    return folder, sources


@pytest.fixture(scope="module")
def expected(slides):
    folder, sources = slides
    build_index(folder / "whole", sources, fake_space(), tile_stride_um=120)
    return rows_of(folder / "whole")


@pytest.mark.parametrize("workers", [1, 4])
def test_a_run_killed_ten_times_ends_with_the_same_rows(slides, expected, workers):
    folder, draw, killed = slides[0], np.random.default_rng(workers), 0
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, "-c", BUILDS], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        for kill in range(11):
            process.stdin.write(json.dumps([str(folder), f"killed-{workers}", workers]) + "\n")
            process.stdin.flush()
            group = int(process.stdout.readline())
            if kill < 10:
                time.sleep(draw.uniform(0.02, 0.35))
                killpg(group)
            status = int(process.stdout.readline())
            killed += status == -signal.SIGKILL
        process.stdin.close()
    assert status == 0
    assert killed >= 5
    assert rows_of(folder / f"killed-{workers}") == expected
    assert find_problems(Index.open(folder / f"killed-{workers}")) == []


def killpg(group: int) -> None:
    for _ in range(100):
        try:
            os.killpg(group, signal.SIGKILL)
        except ProcessLookupError:  # it has not made its group yet, or is through
            time.sleep(0.01)
        else:
            return


def test_a_reader_that_dies_costs_one_slide_and_the_reason_is_told(tmp_path):
    good = [write_source(tmp_path / "src", name) for name in ("A1", "B1")]
    crashing = write_source(tmp_path / "src", "A2", crash="SIGSEGV")
    unforeseen = write_source(tmp_path / "src", "A3", unforeseen=True)
    children = []

    def start():
        children.append(start_reader())
        return children[-1]

    report = build_index(
        tmp_path / "idx",
        [good[0], crashing, unforeseen, good[1]],
        fake_space(),
        run=RunOptions(workers=1, start_reader=start),
    )
    assert report.added == ("A1", "B1")
    assert {one.slide: one.error for one in report.failed} == {"A2": "ReaderDiedError", "A3": "KeyError"}
    assert "Slide A2: the process that read it died of SIGSEGV" in report.failed[0].reason
    assert "takes for granted" in report.failed[1].reason
    assert {row["slide"] for row in Index.open(tmp_path / "idx").failed().to_pylist()} == {"A2", "A3"}
    assert [child.poll() for child in children] == [-signal.SIGSEGV, 0]
    runs = {run.slide: run for run in report.slides}
    assert runs["A1"].n_items == runs["A1"].n_tiles + 12 + 1
    assert runs["A1"].seconds["tile"] > 0


def test_a_run_that_is_interrupted_keeps_what_was_ready_and_leaves_no_process(tmp_path):
    sources = [write_source(tmp_path / "src", name) for name in NAMES[:4]]

    def interrupt(*_):
        raise KeyboardInterrupt

    for name in ("one", "two"):
        with pytest.raises(KeyboardInterrupt):
            build_index(tmp_path / name, sources, fake_space(), run=RunOptions(commit_s=0), listener=interrupt)
    own = [
        thread.name for thread in threading.enumerate() if thread.name.startswith(("slides-", "encode", "read-ahead"))
    ]
    assert own == []
    assert len(Index.open(tmp_path / "one").slides()) >= 1
    assert len(build_index(tmp_path / "one", sources, fake_space()).skipped) >= 1


def test_slides_that_come_quickly_share_a_commit(tmp_path):
    sources = [write_source(tmp_path / "src", f"S{i:02}", bad=i % 3 == 0) for i in range(12)]
    report = build_index(tmp_path / "idx", sources, fake_space(), run=RunOptions(commit_s=30))
    index = Index.open(tmp_path / "idx")
    assert (len(report.added), len(report.failed), index.card.n_failed) == (8, 4, 4)
    assert index.card.version < 6


def test_the_first_failure_ends_a_run_that_is_to_fail_fast(tmp_path):
    good, bad, never = (write_source(tmp_path / "src", name, bad=name == "B1") for name in ("A1", "B1", "C1"))
    with pytest.raises(SlideFailedError, match="malformed on purpose"):
        build_index(tmp_path / "idx", [good, bad, never], fake_space(), run=RunOptions(fail_fast=True))
    index = Index.open(tmp_path / "idx")
    assert index.slides()["slide"].to_pylist() == ["A1"]
    assert index.failed()["slide"].to_pylist() == ["B1"]


def test_shards_part_the_slides_and_fill_one_index(tmp_path, slides, expected):
    _, sources = slides
    parts = [Shard(number, 3).take(sources) for number in (1, 2, 3)]
    assert sorted(source.facts.slide for part in parts for source in part) == sorted(NAMES)
    assert Shard(1, 3).holds("TCGA-A2-A04R-01A")  # as it was yesterday, and will be on another machine
    waited = []
    runs = [
        threading.Thread(
            target=build_index,
            args=(tmp_path / "idx", sources, fake_space()),
            kwargs={
                "tile_stride_um": 120,
                "wait_s": float("inf"),
                "on_wait": waited.append,
                "run": RunOptions(shard=Shard(number, 3), commit_s=0),
            },
        )
        for number in (1, 2, 3)
    ]
    (tmp_path / "idx").mkdir()
    with writer_lock(locate(tmp_path / "idx")):
        for run in runs:
            run.start()
        time.sleep(0.3)
    for run in runs:
        run.join()
    assert rows_of(tmp_path / "idx") == expected
    assert find_problems(Index.open(tmp_path / "idx")) == []
    assert f"process {os.getpid()} on host " in waited[0]


@pytest.mark.parametrize("text", ["0/3", "4/3", "2", "a/b", "-1/3", "1/0"])
def test_a_shard_that_is_none_is_said(text):
    with pytest.raises(DataError, match="expected"):
        Shard.parse(text)


def test_workers_are_as_many_as_there_is_use_for():
    assert auto_workers(1) == 1
    assert 1 <= auto_workers(1000) <= (os.cpu_count() or 1)
    with pytest.raises(DataError, match="expected 0"):
        RunOptions(workers=-1)
