"""Versions of an index: every commit is one, names and rollback, what `optimize_index` keeps and lets go of."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from indexer.building.build import build_index
from indexer.errors import IndexFormatError, VersionError, WriteError
from indexer.index import Index
from indexer.store import tables as store
from indexer.store.location import locate
from indexer.store.versions import history, read_tags, remove_tag, split_version, tag_version
from indexer.upkeep.editing import delete_slides, roll_back
from indexer.upkeep.inventory import leftovers, take_inventory
from indexer.upkeep.maintenance import kept_versions, optimize_index
from indexer.verification import find_problems
from tests.indexer.store_doubles import fake_space, write_source
from tests.indexer.tiny_index import add, state_of, tiny_slide

FORMAT_1 = Path(__file__).parents[1] / "data" / "index_format_1"
AT_ONCE = timedelta(0)


@pytest.fixture
def folder(tmp_path):
    """Versions 1 (empty), 2 (A), 3 (A, B), 4 (A, B, C)."""
    add(tmp_path / "index", "A", "B", "C")
    return tmp_path / "index"


def slides_of(uri, version=None):
    return Index.open(uri, version=version).slides()["slide"].to_pylist()


def test_every_commit_is_a_version_that_can_be_opened(folder):
    delete_slides(folder, ["B"])
    changes = [card.change for card in history(locate(folder))]
    assert changes[1:] == ["slide A added", "slide B added", "slide C added", "deleted B"]
    assert [slides_of(folder, version) for version in (1, 2, "3", 4, 5)] == [
        [], ["A"], ["A", "B"], ["A", "B", "C"], ["A", "C"],
    ]  # fmt: skip
    assert slides_of(f"{folder}@2") == ["A"]
    assert [item[0] for item in state_of(f"{folder}@3")] == [f"{slide}/tile/{i}" for slide in "AB" for i in range(6)]
    assert Index.open(folder, version=2).is_current()


def test_nothing_is_committed_where_nothing_changed(folder):
    before = Index.open(folder)
    add(folder)
    optimize_index(folder)
    optimized = Index.open(folder).card
    optimize_index(folder)
    assert Index.open(folder).card == optimized
    assert optimized.version == before.card.version + 1


def test_a_rollback_is_a_version_and_can_be_taken_back(folder):
    before = state_of(folder)
    delete_slides(folder, ["A", "B"])
    assert roll_back(folder, 4).version == 6
    assert state_of(folder) == before
    roll_back(folder, 5)
    assert slides_of(folder) == ["C"]
    add(folder, "D")
    assert slides_of(folder) == ["C", "D"]
    assert find_problems(Index.open(folder)) == []


def test_rows_after_a_rollback_are_not_taken_for_those_before(folder):
    roll_back(folder, 3)
    add(folder, "X", sidecars=False)
    assert [key.split("/")[0] for key, _ in state_of(folder)[::6]] == ["A", "B", "X"]
    optimize_index(folder, keep=AT_ONCE)
    assert [key.split("/")[0] for key, _ in state_of(folder)[::6]] == ["A", "B", "X"]


def test_rows_keep_their_ids_and_order(folder):
    def rows():
        table, row_ids = Index.open(folder).store.read("items", ["id"])
        return dict(zip(table["id"].to_pylist(), row_ids.tolist(), strict=True))

    first = rows()
    delete_slides(folder, ["B"])
    add(folder, "D")
    before = rows()
    optimize_index(folder, keep=AT_ONCE)
    assert rows() == before
    assert list(rows()) == list(before)
    assert all(before[key] == first[key] for key in before if key[0] in "AC")
    assert list(before.values()) == sorted(before.values())
    add(folder, "B")
    assert min(row for key, row in rows().items() if key[0] == "B") > max(before.values())
    index = Index.open(folder)
    taken = index.store.take("items", np.array([rows()["C/tile/2"], rows()["A/tile/0"]], np.uint64), ["id"])
    assert taken["id"].to_pylist() == ["C/tile/2", "A/tile/0"]


@pytest.mark.parametrize("scanned_rows", [1, 1000], ids=["by a scan", "one by one"])
def test_rows_are_taken_by_their_ids(folder, monkeypatch, scanned_rows):
    monkeypatch.setattr(store, "_SCANNED_ROWS", scanned_rows)
    delete_slides(folder, ["B"])
    tables = Index.open(folder).store
    row_ids = np.array([12, 5, 14, 13, 5], np.uint64)
    names = ["C/tile/0", "A/tile/5", "C/tile/2", "C/tile/1", "A/tile/5"]
    assert tables.take("items", row_ids, ["id"])["id"].to_pylist() == names
    for gone in ([7], [12, 11, 13], [99]):
        with pytest.raises(IndexFormatError, match="no row of id"):
            tables.take("items", np.array(gone, np.uint64), ["id"])


def test_optimize_folds_files_and_keeps_what_is_new_or_named(folder):
    tag_version(folder, "kept", 2)
    names = [f"N{i}" for i in range(6)]
    add(folder, *names, sidecars=False)
    before, tagged = state_of(folder), state_of(f"{folder}@kept")
    report = optimize_index(folder)
    assert report.versions_removed == ()
    assert report.fragments_after == 3 < report.fragments_before
    assert state_of(folder) == before
    assert state_of(f"{folder}@5")[: len(before)] != before
    report = optimize_index(folder, keep=AT_ONCE)
    assert report.versions_kept == (2, report.version)
    assert report.bytes_after < report.bytes_before
    assert (state_of(folder), state_of(f"{folder}@kept")) == (before, tagged)
    with pytest.raises(VersionError, match="no version 5"):
        Index.open(folder, version=5)
    kept = take_inventory(Index.open(folder))
    assert (kept.sidecar_rows["image"], kept.tail_rows["image"], kept.gone_rows["image"]) == (54, 0, 0)
    assert (kept.tags, kept.versions) == ({"kept": 2}, report.versions_kept)
    assert find_problems(Index.open(folder)) == []
    roll_back(folder, "kept")
    assert state_of(folder) == tagged


def test_rows_that_came_and_went_since_are_counted(folder):
    add(folder, "D", "E", sidecars=False)
    delete_slides(folder, ["B"])
    stock = take_inventory(Index.open(folder))
    assert (stock.sidecar_rows["image"], stock.tail_rows["image"], stock.gone_rows["image"]) == (18, 12, 6)
    assert len(state_of(folder)) == 24


def test_a_reader_of_the_old_version_goes_on_during_and_after_optimize(folder):
    reader, untouched = Index.open(folder), Index.open(folder)
    expected = state_of(folder)
    delete_slides(folder, ["A"])
    optimize_index(folder)
    assert not reader.is_current()
    for index in (reader, untouched):
        rows, stored = index.stored_vectors("image")
        assert stored.tolist() == [vector for _, vector in expected]
        assert index.vectors("image").search(stored, 1).rows[:, 0].tolist() == rows.tolist()
        assert len(index.thumbnails([0, 17])) == 2
    optimize_index(folder, keep=AT_ONCE)
    with pytest.raises(IndexFormatError, match="open the index again"):
        reader.thumbnails([0])


def test_versions_are_kept_by_when_they_were_replaced(folder):
    cards = history(locate(folder))
    at = datetime(2026, 1, 1, tzinfo=UTC)
    cards = [
        card.model_copy(update={"committed_at": (at + timedelta(days=day)).isoformat()})
        for day, card in enumerate(cards)
    ]
    assert sorted(kept_versions(cards, [], at + timedelta(days=2, hours=1))) == [3, 4]
    assert sorted(kept_versions(cards, [1], at + timedelta(days=9))) == [1, 4]
    assert sorted(kept_versions(cards, [7], at - timedelta(days=1))) == [1, 2, 3, 4]


def test_tags(folder):
    tag_version(folder, "a")
    assert tag_version(folder, "b", "a").version == 4
    tag_version(folder, "a", 4)
    with pytest.raises(VersionError, match="already names version 4"):
        tag_version(folder, "a", 2)
    tag_version(folder, "a", 2, move=True)
    assert read_tags(locate(folder)) == {"a": 2, "b": 4}
    remove_tag(folder, "b")
    with pytest.raises(VersionError, match="no tag 'b'; it has a"):
        remove_tag(folder, "b")
    for name in ("", "3", "a b", "../a", "x" * 65):
        with pytest.raises(VersionError, match="cannot name a version"):
            tag_version(folder, name)


@pytest.mark.parametrize("version", [99, "99", "nobody", -1, "../card"])
def test_a_version_that_is_not_there_is_said(folder, version):
    for use in (lambda: Index.open(folder, version=version), lambda: roll_back(folder, version)):
        with pytest.raises(VersionError, match="index versions"):
            use()
    assert slides_of(folder) == ["A", "B", "C"]


def test_an_address_with_an_at_sign(tmp_path):
    add(tmp_path / "me@home", "A")
    assert slides_of(tmp_path / "me@home") == ["A"]
    assert slides_of(f"{tmp_path}/me@home@1") == []
    assert split_version("s3://bucket/a@b") == ("s3://bucket/a", "b")
    assert split_version("user@host/index") == ("user@host/index", None)


def test_deleting_what_is_not_there_changes_nothing(folder):
    with pytest.raises(WriteError, match="no slide X, Y; nothing was deleted"):
        delete_slides(folder, ["A", "X", "Y"])
    assert len(state_of(folder)) == 18


def test_damaged_tags_and_cards_of_the_past_are_said(folder):
    (folder / "tags.json").write_text("[1")
    with pytest.raises(IndexFormatError, match=r"tags\.json is damaged"):
        optimize_index(folder, keep=AT_ONCE)
    (folder / "tags.json").write_text('{"lost": 77}')
    assert "Tag 'lost' names version 77" in " ".join(find_problems(Index.open(folder)))
    (folder / "cards" / "2.json").write_text("{")
    assert slides_of(folder) == ["A", "B", "C"]
    with pytest.raises(IndexFormatError, match=r"delete cards/2\.json"):
        Index.open(folder, version=2)


def test_a_version_without_its_tables_is_said(folder):
    manifests = sorted((folder / "items.lance" / "_versions").glob("*.manifest"))
    manifests[-2].unlink()
    problems = " ".join(find_problems(Index.open(folder)))
    assert "Version 2 cannot be opened: its state of items is gone" in problems
    with pytest.raises(VersionError, match="not whole any more"):
        roll_back(folder, 2)
    assert slides_of(folder) == ["A", "B", "C"]


def test_leftovers_are_said_and_removed(folder):
    store = type(Index.open(folder).store).open_latest(locate(folder))
    store.append("items", tiny_slide("Z", 3)[0])
    (folder / "tags.json.part").write_text("{")
    assert leftovers(Index.open(folder)) == [
        "1 unfinished versions of table items", "1 unfinished files (tags.json.part)",
    ]  # fmt: skip
    assert find_problems(Index.open(folder)) == []
    optimize_index(folder, keep=AT_ONCE)
    assert leftovers(Index.open(folder)) == []
    assert slides_of(folder) == ["A", "B", "C"]


def test_an_index_of_format_1_gets_versions(tmp_path):
    folder = shutil.copytree(FORMAT_1, tmp_path / "index")
    reader = Index.open(folder)
    before = reader.metadata()["id"].to_pylist()
    assert (reader.card.version, slides_of(folder, 0)) == (0, ["S1", "T1"])
    source = write_source(tmp_path / "new", "U1", image=False)
    build_index(folder, [source], fake_space(), tile_stride_um=200.0, thumbnails=False)
    tag_version(folder, "old", 0)
    added, row_ids = Index.open(folder).metadata(), Index.open(folder).store.read("items", ["id"])[1].tolist()
    optimize_index(folder, keep=AT_ONCE)  # moves the ids of its rows, which are places in files
    optimized = Index.open(folder)
    assert not optimized.store.stable_row_ids
    assert optimized.store.read("items", ["id"])[1].tolist() != row_ids
    assert optimized.metadata() == added
    assert roll_back(folder, "old").version == 3
    assert Index.open(folder).metadata()["id"].to_pylist() == before
    for uri in (folder, f"{folder}@2", f"{folder}@old"):
        assert find_problems(Index.open(uri)) == []
