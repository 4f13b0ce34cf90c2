"""Builds that die at any point, full disks, missing files: nothing is lost, and a rerun ends with the same rows."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from encoders.errors import SpaceMismatchError
from indexer.building.build import build_index
from indexer.building.run_options import RunOptions
from indexer.errors import IndexFormatError, IndexMissingError, WriteError
from indexer.index import Index
from indexer.store import writer
from indexer.store.location import locate
from indexer.store.locks import writer_lock
from indexer.verification import find_problems
from tests.indexer.store_doubles import fake_space, rows_of, write_source

ROOT = Path(__file__).parents[2]

#: Imports everything once, then forks a builder for each line it is sent; the builder dies where the line says.
DYING_BUILDS = """
import importlib, json, os, sys
from pathlib import Path
import faiss, lancedb, skimage.filters, skimage.morphology
from tests.indexer.store_doubles import FakeSource, fake_space, kill_in
from indexer.building.build import build_index
from indexer.building.run_options import RunOptions

def build(folder, module, owner, name, call, before):
    target = importlib.import_module(module)
    kill_in(getattr(target, owner) if owner else target, name, call, before=before)
    sources = [FakeSource(path) for path in sorted(Path(folder, "src").glob("*.json"))]
    build_index(Path(folder, "idx"), sources, fake_space(), tile_stride_um=120, run=RunOptions(commit_s=0))

for line in sys.stdin:
    child = os.fork()
    if child == 0:
        build(*json.loads(line))
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""

KILL_POINTS = {
    "between the tables": ("lancedb.db", "LanceDBConnection", "create_table", 2, False),
    "before the panel": ("indexer.store.tables", "Store", "append", 1, True),
    "before the first card": ("indexer.store.writer", "", "write_card", 1, True),
    "in the first slide's patches": ("tests.indexer.store_doubles", "FakeImageEncoder", "features", 1, True),
    "in the second slide's patches": ("tests.indexer.store_doubles", "FakeImageEncoder", "features", 2, False),
    "after a slide's items": ("indexer.store.tables", "Store", "append", 4, False),
    "after a slide's row, before the card": ("indexer.store.tables", "Store", "append", 5, False),
    "in the card's history": ("os", "", "fsync", 4, True),
    "in the card": ("os", "", "fsync", 5, True),
    "in the sidecar's vectors": ("numpy", "", "save", 1, False),
    "in the sidecar's index": ("indexer.vectors.ann", "AnnIndex", "save", 2, True),
}


@pytest.fixture(scope="module")
def die():
    """Run a build in a process of its own that dies like from `kill -9` at a given point."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", DYING_BUILDS]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:

        def send(folder: Path, point: tuple[str, str, str, int, bool]) -> None:
            process.stdin.write(json.dumps([str(folder), *point]) + "\n")
            process.stdin.flush()
            assert int(process.stdout.readline()) == -signal.SIGKILL

        yield send


def sources_in(folder: Path):
    names = ("A1", "B1", "C1")
    return [write_source(folder / "src", name, image=name != "C1") for name in names]


def build(folder: Path, sources, index: str = "idx"):
    run = RunOptions(commit_s=0)  # each slide by itself, so that there is something to be killed between
    return build_index(folder / index, sources, fake_space(), tile_stride_um=120, run=run)


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    build(folder, sources_in(folder))
    rows = rows_of(folder / "idx")
    for row in rows["slides"]:
        row.pop("image_path")
    return rows


@pytest.mark.parametrize("point", KILL_POINTS)
def test_a_killed_build_ends_with_the_same_rows(tmp_path, expected, die, point):
    sources = sources_in(tmp_path)
    die(tmp_path, KILL_POINTS[point])
    seen_by_a_reader(tmp_path / "idx")
    build(tmp_path, sources)
    rows = rows_of(tmp_path / "idx")
    for row in rows["slides"]:
        row.pop("image_path")
    assert rows == expected
    index = Index.open(tmp_path / "idx")
    assert [row["slide"] for row in index.slides().to_pylist()] == ["A1", "B1", "C1"]
    assert find_problems(index) == []
    assert not list((tmp_path / "idx").rglob("*.part"))


def seen_by_a_reader(folder: Path) -> None:
    """Whatever a killed build leaves is whole slides, or an error that says what to do."""
    if (folder / "card.json").exists():
        assert find_problems(Index.open(folder)) == []
    else:
        with pytest.raises(IndexFormatError, match="histoseek ingest"):
            Index.open(folder)


@pytest.mark.parametrize(
    "point",
    [
        ("indexer.store.tables", "Store", "delete_slide", 2, False),
        ("indexer.store.tables", "Store", "append", 1, False),
        ("indexer.store.writer", "", "write_card", 1, True),
    ],
    ids=["items deleted", "items written", "before the card"],
)
def test_a_killed_replacement_keeps_the_old_slide_until_the_rerun(tmp_path, die, point):
    build(tmp_path, sources_in(tmp_path))
    before = rows_of(tmp_path / "idx")
    changed = write_source(tmp_path / "src", "A1", seed=5, spots=3)
    die(tmp_path, point)
    assert rows_of(tmp_path / "idx") == before
    sources = [changed, *sources_in(tmp_path)[1:]]
    changed = write_source(tmp_path / "src", "A1", seed=5, spots=3)
    build(tmp_path, sources)
    build(tmp_path, sources, "fresh")
    assert rows_of(tmp_path / "idx") == rows_of(tmp_path / "fresh")
    assert find_problems(Index.open(tmp_path / "idx")) == []


def test_a_reader_sees_a_slide_only_when_it_is_committed(tmp_path, monkeypatch):
    sources, seen = sources_in(tmp_path), []
    commit = writer.write_card

    def look_then_commit(location, card):
        if card.n_slides:
            seen.append((Index.open(location).slides()["slide"].to_pylist(), len(Index.open(location))))
        commit(location, card)
        if card.n_slides:
            seen.append((Index.open(location).slides()["slide"].to_pylist(), len(Index.open(location))))

    monkeypatch.setattr(writer, "write_card", look_then_commit)
    build(tmp_path, sources)
    assert [slides for slides, _ in seen] == [[], ["A1"], ["A1"], ["A1", "B1"], ["A1", "B1"], ["A1", "B1", "C1"]]
    assert [n for _, n in seen][1::2] == [*[n for _, n in seen][2::2], seen[-1][1]]


def full_disk(*args, **kwargs):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("target", "name", "says"),
    [
        ("lancedb.table.LanceTable", "add", "Committed slides are untouched"),
        ("indexer.store.location.os", "fsync", "Nothing was changed"),
        ("indexer.vectors.sidecar.np", "save", "The rows themselves are committed"),
    ],
)
def test_a_full_disk_loses_nothing(tmp_path, monkeypatch, target, name, says):
    first, second, _ = sources_in(tmp_path)
    build(tmp_path, [first])
    before = rows_of(tmp_path / "idx")
    with monkeypatch.context() as patch:
        patch.setattr(f"{target}.{name}", full_disk)
        with pytest.raises(WriteError, match="No space left on device") as raised:
            build(tmp_path, [first, second])
        assert says in str(raised.value)
    if name != "save":
        assert rows_of(tmp_path / "idx") == before
    report = build(tmp_path, [first, second])
    assert report.failed == ()
    build(tmp_path, [first, second], "fresh")
    assert rows_of(tmp_path / "idx") == rows_of(tmp_path / "fresh")


def test_a_second_writer_is_told_who_the_first_is(tmp_path):
    sources = sources_in(tmp_path)
    (tmp_path / "idx").mkdir()
    with writer_lock(locate(tmp_path / "idx")), pytest.raises(WriteError, match=rf"process {os.getpid()} on host \S+"):
        build(tmp_path, sources)
    assert len(build(tmp_path, sources).added) == 3


def test_a_folder_that_cannot_be_made_is_a_write_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteError, match="cannot be written"):
        build_index(tmp_path / "file" / "idx", [], fake_space())


@pytest.mark.parametrize("text", ["", "{", '{"format_version": 1}', "\x00\x01"])
def test_a_damaged_card_is_said_to_readers_and_mended_by_a_build(tmp_path, text):
    sources = sources_in(tmp_path)
    build(tmp_path, sources)
    before = rows_of(tmp_path / "idx")
    (tmp_path / "idx" / "card.json").write_text(text)
    with pytest.raises(IndexFormatError, match="histoseek ingest"):
        Index.open(tmp_path / "idx")
    report = build(tmp_path, sources)
    assert len(report.skipped) == 3
    assert rows_of(tmp_path / "idx") == before


def test_a_lost_card_is_mended_only_in_the_same_space(tmp_path):
    build(tmp_path, sources_in(tmp_path))
    (tmp_path / "idx" / "card.json").unlink()
    with pytest.raises(IndexFormatError, match="half-written"):
        Index.open(tmp_path / "idx")
    with pytest.raises(SpaceMismatchError, match=r"'fake'.*'other'"):
        build_index(tmp_path / "idx", [], fake_space(name="other", dim=4), tile_stride_um=120)


def test_a_card_and_items_lost_together_are_made_again(tmp_path):
    sources = sources_in(tmp_path)
    build(tmp_path, sources)
    before = rows_of(tmp_path / "idx")
    (tmp_path / "idx" / "card.json").unlink()
    shutil.rmtree(tmp_path / "idx" / "items.lance")
    assert len(build(tmp_path, sources).added) == 3
    assert rows_of(tmp_path / "idx") == before


def test_a_card_and_panel_lost_together_are_said(tmp_path):
    sources = sources_in(tmp_path)
    build(tmp_path, sources)
    (tmp_path / "idx" / "card.json").unlink()
    shutil.rmtree(tmp_path / "idx" / "genes.lance")
    with pytest.raises(IndexFormatError, match="gene panel"):
        build(tmp_path, sources)


def test_a_making_cut_short_starts_anew_with_other_data(tmp_path, die):
    sources = sources_in(tmp_path)
    die(tmp_path, KILL_POINTS["before the panel"])
    other = write_source(tmp_path / "other", "X1", image=False, genes=["G1", "X"])
    build(tmp_path, [other])
    assert "X" in Index.open(tmp_path / "idx").genes
    assert len(build(tmp_path, sources).added) == 3


def test_another_format_version_is_refused(tmp_path):
    build(tmp_path, sources_in(tmp_path)[:1])
    path = tmp_path / "idx" / "card.json"
    path.write_text(path.read_text().replace('"format_version": 2', '"format_version": 99'))
    for opening in (Index.open, lambda folder: build(tmp_path, [])):
        with pytest.raises(IndexFormatError, match="format version 99"):
            opening(tmp_path / "idx")


@pytest.mark.parametrize("table", ["items", "slides", "genes", "failed_items"])
def test_a_missing_table_is_named(tmp_path, table):
    build(tmp_path, sources_in(tmp_path)[:1])
    shutil.rmtree(tmp_path / "idx" / f"{table}.lance")
    with pytest.raises(IndexFormatError, match=f"Table {table} of index"):
        Index.open(tmp_path / "idx")


@pytest.mark.parametrize("left_bytes", [None, 300], ids=["lost", "cut short"])
def test_a_damaged_data_file_is_said_to_readers_and_writers(tmp_path, left_bytes):
    sources = sources_in(tmp_path)
    build(tmp_path, sources)
    damaged = max((tmp_path / "idx" / "items.lance" / "data").iterdir(), key=lambda path: path.stat().st_size)
    if left_bytes is None:
        damaged.unlink()
    else:
        os.truncate(damaged, left_bytes)
    index = Index.open(tmp_path / "idx")
    with pytest.raises(IndexFormatError, match=r"Table items .* missing or damaged"):
        index.metadata()
    with pytest.raises(IndexFormatError, match=r"Table items .* missing or damaged"):
        build(tmp_path, sources)


def test_a_table_older_than_the_card_is_refused(tmp_path):
    sources = sources_in(tmp_path)
    build(tmp_path, sources[:1])
    shutil.copytree(tmp_path / "idx" / "items.lance", tmp_path / "old")
    build(tmp_path, sources)
    shutil.rmtree(tmp_path / "idx" / "items.lance")
    (tmp_path / "old").rename(tmp_path / "idx" / "items.lance")
    with pytest.raises(IndexFormatError, match="has no version"):
        Index.open(tmp_path / "idx")


def test_an_empty_folder_is_no_index(tmp_path):
    with pytest.raises(IndexMissingError):
        Index.open(tmp_path)


def test_fatal_errors_end_the_run(tmp_path, monkeypatch):
    from encoders.errors import WeightsMissingError

    def missing(*args, **kwargs):
        raise WeightsMissingError("The weights are not here.")

    space = fake_space()
    monkeypatch.setattr(space.image, "features", missing)
    with pytest.raises(WeightsMissingError):
        build_index(tmp_path / "idx", sources_in(tmp_path), space)
    assert Index.open(tmp_path / "idx").failed().num_rows == 0
