"""Readers and writers in processes of their own: what is committed is found at once, and nothing else ever is."""

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from indexer.errors import WriteError
from indexer.index import Index
from indexer.store.versions import tag_version
from indexer.upkeep.editing import delete_slides, roll_back
from indexer.upkeep.maintenance import optimize_index
from tests.indexer.tiny_index import add, state_of

ROOT = Path(__file__).parents[2]

#: Opens the index again whenever its card has changed, and says what it found each time; stops with slide `end`.
READER = """
import json, sys, time
from indexer.index import Index
from tests.indexer.tiny_index import state_of

index = Index.open(sys.argv[1])
while True:
    rows = index.stored_vectors("image")[1]
    found = index.vectors("image").search(rows, 1).rows[:, 0].tolist() if len(rows) else []
    assert found == list(range(len(index))), "a vector does not find itself"
    slides = index.slides()["slide"].to_pylist()
    assert len(index) == 6 * len(slides) == index.card.counts.get("tile", 0)
    print(json.dumps([time.time(), index.card.version, slides]), flush=True)
    if "end" in slides:
        break
    while index.is_current():
        time.sleep(0.002)
    index = Index.open(sys.argv[1])
"""

#: One engine, asked for an item of each slide it is told of: which slides are the nearest, or what is wrong.
ENGINE = """
import json, sys
from encoders.errors import HistoSeekError
from search.engine import Engine
from search.query import ItemQuery
from tests.indexer.store_doubles import fake_space

engine = Engine.open(sys.argv[1], space=fake_space())
for line in sys.stdin:
    try:
        found = engine.search(
            ItemQuery(f"{line.strip()}/tile/0", "image"), target="image", kind="tile", k=100, exclude="none"
        ).table
        said = sorted(set(found["slide"].to_pylist()))
    except HistoSeekError as error:
        said = [type(error).__name__]
    print(json.dumps(said), flush=True)
"""

HOLDER = """
import sys, time
from indexer.store.location import locate
from indexer.store.locks import writer_lock

with writer_lock(locate(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
    time.sleep(0.3)
"""


@contextmanager
def process(script, folder):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", script, str(folder)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, env=environment, text=True, **pipes) as running:
        yield running


def test_readers_find_every_commit_while_writing_goes_on(tmp_path):
    folder = tmp_path / "index"
    add(folder, "A", "B")
    with process(READER, folder) as one, process(READER, folder) as two:
        readers = (one, two)
        for reader in readers:
            assert json.loads(reader.stdout.readline())[2] == ["A", "B"]
        expected = []

        def committed():
            index = Index.open(folder)
            expected.append([index.card.version, index.slides()["slide"].to_pylist()])
            at = time.time()
            for reader in readers:
                *_, version, slides = heard = json.loads(reader.stdout.readline())
                assert [version, slides] == expected[-1]
                assert heard[0] - at < 5

        steps = (
            lambda: add(folder, "C", sidecars=False),
            lambda: delete_slides(folder, ["A"]),
            lambda: add(folder, "B", seed=1, sidecars=False),
            lambda: optimize_index(folder),
            lambda: add(folder, "D"),
            lambda: roll_back(folder, 3),
            lambda: add(folder, "end"),
        )
        for step in steps:
            step()
            committed()
        tag_version(folder, "done")
        assert [reader.wait(20) for reader in readers] == [0, 0]
    assert [slides for _, slides in expected] == [
        ["A", "B", "C"], ["B", "C"], ["C", "B"], ["C", "B"], ["C", "B", "D"], ["A", "B"], ["A", "B", "end"],
    ]  # fmt: skip


def test_an_engine_answers_from_the_last_commit(tmp_path):
    folder = tmp_path / "index"
    add(folder, "A", "B")
    with process(ENGINE, folder) as engine:

        def nearest(slide):
            engine.stdin.write(f"{slide}\n")
            engine.stdin.flush()
            return json.loads(engine.stdout.readline())

        assert nearest("C") == ["ItemMissingError"]
        add(folder, "C", sidecars=False)
        assert nearest("C") == ["A", "B", "C"]
        delete_slides(folder, ["A"])
        assert nearest("A") == ["ItemMissingError"]
        optimize_index(folder, keep=timedelta(0))
        assert nearest("B") == ["B", "C"]
        add(folder, "B", seed=1)
        assert nearest("B") == ["B", "C"]
        engine.stdin.close()
        assert engine.wait(20) == 0


def test_readers_of_many_quick_commits_see_whole_states_only(tmp_path):
    folder = tmp_path / "index"
    add(folder, "A")
    with process(READER, folder) as reader:
        reader.stdout.readline()
        for turn in range(6):
            add(folder, f"S{turn}", f"T{turn}", sidecars=False)
            delete_slides(folder, [f"S{turn}"])
            if turn % 3 == 2:
                optimize_index(folder, keep=timedelta(minutes=1))
        add(folder, "end")
        assert reader.wait(60) == 0
        seen = [json.loads(line)[1:] for line in reader.stdout.read().splitlines()]
    versions = [version for version, _ in seen]
    assert versions == sorted(set(versions))
    for version, slides in seen:
        assert Index.open(folder, version=version).slides()["slide"].to_pylist() == slides


def test_a_second_writer_is_told_of_the_first_or_waits(tmp_path):
    folder = tmp_path / "index"
    add(folder, "A", "B")
    with process(HOLDER, folder) as holder:
        assert holder.stdout.readline() == "held\n"
        for use in (
            lambda: add(folder, "C"),
            lambda: delete_slides(folder, ["A"]),
            lambda: optimize_index(folder, wait_s=0.05),
            lambda: tag_version(folder, "x"),
            lambda: roll_back(folder, 1),
        ):
            with pytest.raises(WriteError, match=rf"process {holder.pid} on host \S+"):
                use()
        assert len(state_of(folder)) == 12
        holder.stdin.write("\n")
        holder.stdin.flush()
        assert delete_slides(folder, ["A"], wait_s=30).n_slides == 1
