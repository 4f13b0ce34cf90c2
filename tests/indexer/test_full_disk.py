"""A disk that is full at any step, and files that may not grow: a clear error, the state before or after, a rerun."""

import errno
import importlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from indexer.errors import StoreError
from indexer.index import Index
from indexer.store.versions import read_tags
from indexer.verification import find_problems
from tests.indexer.tiny_index import OPERATIONS, STEPS, make, state_of

ROOT = Path(__file__).parents[2]

#: Steps that need space. Removing files goes on working on a full disk.
GROWING = [step for step in STEPS if step[2] not in ("unlink", "rmtree")]


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    folder = tmp_path_factory.mktemp("full") / "index"
    make(folder)
    return folder


class FullFrom:
    """Let every growing step from a number on fail, until it is emptied."""

    def __init__(self, patch, first):
        self.first, self.taken, self.met = first, 0, False
        for module, owner, name in GROWING:
            target = importlib.import_module(module)
            target = getattr(target, owner) if owner else target
            patch.setattr(target, name, self.guarded(getattr(target, name)))

    def guarded(self, original):
        def step(*args, **kwargs):
            self.taken += 1
            if self.taken > self.first:
                self.met = True
                raise OSError(errno.ENOSPC, "No space left on device")
            return original(*args, **kwargs)

        return step


def failure_of(operation, folder):
    try:
        OPERATIONS[operation](folder)
    except StoreError as error:
        return str(error)
    return None


@pytest.mark.parametrize("operation", ["append", "delete", "optimize", "rollback"])
def test_a_disk_that_fills_up_at_any_step(tmp_path, monkeypatch, start, operation):
    before = state_of(start)
    done = shutil.copytree(start, tmp_path / "done")
    OPERATIONS[operation](done)
    after, tags = state_of(done), read_tags(Index.open(done).location)
    for step in range(100):
        folder = shutil.copytree(start, tmp_path / str(step))
        with monkeypatch.context() as patch:
            disk = FullFrom(patch, step)
            failure = failure_of(operation, folder)
            assert failure is None or "No space left on device" in failure
            if failure is not None:
                assert state_of(folder) in (before, after)  # a reader on the disk that is still full
        if failure is not None and (found := state_of(folder)) != before:
            assert found == after
        if failure is not None and not (operation == "delete" and found == after):
            OPERATIONS[operation](folder)
        assert state_of(folder) == after
        assert read_tags(Index.open(folder).location) == tags
        if not disk.met:
            break
    assert step >= 2


LIMITED = """
import json, resource, signal, sys
from tests.indexer.tiny_index import OPERATIONS
from indexer.errors import StoreError

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
for folder, operation, n_bytes in json.loads(sys.argv[1]):
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, resource.RLIM_INFINITY))
    try:
        OPERATIONS[operation](folder)
    except StoreError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
"""


def test_files_that_may_not_grow(tmp_path, start):
    before = state_of(start)
    cases = []
    for operation in ("append", "optimize"):
        for n_bytes in (0, 300, 900, 2_000, 5_000, 6_000):
            folder = shutil.copytree(start, tmp_path / f"{operation}-{n_bytes}")
            cases.append([str(folder), operation, n_bytes])
    command = [sys.executable, "-c", LIMITED, json.dumps(cases)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert all(words in run.stderr for words in ("File too large", "was cut short"))
    for folder, operation, _ in cases:
        found = state_of(folder)
        if operation == "optimize":
            assert found == before
        else:
            assert found[:18] == before
            assert len(found) in (18, 24)
        OPERATIONS[operation](folder)
        assert len(state_of(folder)) == (18 if operation == "optimize" else 24)
        assert find_problems(Index.open(folder)) == []
