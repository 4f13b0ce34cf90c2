"""A writer killed before any step that changes the disk: readers find the state before or after, and a rerun ends it.

Each operation is run once to count its steps, then once for every step, in a process that dies there.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from indexer.index import Index
from indexer.store.versions import history, read_tags
from indexer.verification import find_problems
from tests.indexer.tiny_index import OPERATIONS, make, state_of

ROOT = Path(__file__).parents[2]

#: Imports everything once, then forks a writer for each line it is sent. It never uses LanceDB before it forks.
WRITERS = """
import json, os, sys
import faiss, lancedb, pyarrow.dataset
from tests.indexer.tiny_index import OPERATIONS, count_steps

for line in sys.stdin:
    folder, operation, step = json.loads(line)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        taken = count_steps(step)
        OPERATIONS[operation](folder)
        os.write(writing, str(taken[0]).encode())
        os._exit(0)
    os.close(writing)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    steps = os.read(reading, 20).decode() or "0"
    os.close(reading)
    print(json.dumps([code, int(steps)]), flush=True)
"""


@pytest.fixture(scope="module")
def write():
    """Run an operation in a process of its own that dies before a step; gives its exit code and steps."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", WRITERS]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:

        def send(folder, operation, step=None):
            process.stdin.write(json.dumps([str(folder), operation, step]) + "\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        yield send
        process.stdin.close()


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kills") / "index"
    make(folder)
    return folder


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_kill_before_any_step_leaves_the_state_before_or_after(tmp_path, start, write, operation):
    before = state_of(start)
    done = shutil.copytree(start, tmp_path / "done")
    code, steps = write(done, operation)
    assert code == 0
    assert steps >= 2
    after, tags = state_of(done), read_tags(Index.open(done).location)
    for step in range(steps):
        folder = shutil.copytree(start, tmp_path / str(step))
        assert write(folder, operation, step) == [-signal.SIGKILL, 0]
        if (found := state_of(folder)) != before:
            assert found == after
        assert write(folder, operation)[0] == (0 if found == before or operation != "delete" else 1)
        assert state_of(folder) == after
        assert read_tags(Index.open(folder).location) == tags
        shutil.rmtree(folder)


def test_kills_at_any_moment_lose_and_double_nothing(tmp_path, start):
    folder = shutil.copytree(start, tmp_path / "index")
    script = (
        "import sys; from tests.indexer.tiny_index import add\n"
        "for i in range(1000): print(i, flush=True); add(sys.argv[1], f'N{i}', sidecars=i % 2)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", script, str(folder)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        for _ in range(4):
            process.stdout.readline()
        process.kill()
    index = Index.open(folder)
    assert find_problems(index) == []
    names = index.slides()["slide"].to_pylist()
    assert names[:3] == ["A", "B", "C"]
    assert names[3:] == [f"N{i}" for i in range(len(names) - 3)]
    assert [card.version for card in history(index.location)] == list(range(1, index.card.version + 1))
    OPERATIONS["append"](folder)
    assert find_problems(Index.open(folder)) == []
