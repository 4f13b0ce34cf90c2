"""What an index that takes newer commits reads again, and what it shares with those opened before."""

import numpy as np
import pytest

from indexer.index import Index
from indexer.store import written
from indexer.store.manifests import (
    described,
    fragments_of,
    manifest_names,
    n_rows_of,
    noted,
    read_manifest,
    row_ids_after,
    version_of,
)
from indexer.store.tables import IDENTITY_KEY, Store
from indexer.upkeep.editing import delete_slides, roll_back
from indexer.vectors import ann
from indexer.vectors.sidecar_card import candidates
from tests.indexer.tiny_index import add, state_of


@pytest.fixture
def folder(tmp_path):
    add(tmp_path / "index", "A", "B")
    return tmp_path / "index"


@pytest.fixture
def other_process(monkeypatch):
    """Nothing is remembered of what was written, as in any process but the writer's."""
    monkeypatch.setattr(written, "REMEMBERED_BYTES", 0)
    written.forget()


def manifest(folder):
    index = Index.open(folder)
    return read_manifest(index.location, "items", index.card.table_versions["items"])


def fragments(folder):
    return fragments_of(manifest(folder))


def test_fragments_tell_what_only_grew_from_what_changed(folder):
    before = fragments(folder)
    assert len(before) == 2
    add(folder, "C", sidecars=False)
    grown = fragments(folder)
    assert before < grown
    delete_slides(folder, ["B"])
    assert not before <= fragments(folder)


@pytest.mark.parametrize("content", [b"", b"LANC", b"\xff" * 40 + b"LANC", b"\x00" * 40])
def test_what_is_no_manifest_has_no_fragments(content):
    assert fragments_of(content) == frozenset()


def test_a_manifest_cut_short_has_no_fragments(folder):
    content = manifest(folder)
    assert all(fragments_of(content[:n]) == frozenset() for n in range(len(content)))
    assert all(noted(content[:n], IDENTITY_KEY) == b"" for n in range(len(content)))
    assert row_ids_after(content[:-1], 0) is None
    assert n_rows_of(content[:-1]) is None


def test_a_manifest_tells_the_rows_as_lancedb_does(folder):
    add(folder, "C", sidecars=False)
    store, content = Index.open(folder).store, manifest(folder)
    assert noted(content, IDENTITY_KEY).decode() == store.identity
    assert noted(content, b"nothing") == b""
    assert n_rows_of(content) == store.count("items") == 18
    all_ids = store.matching("items", "true")
    for after in (-1, 0, int(all_ids[3]), int(all_ids[11]), int(all_ids[-1])):
        expected = all_ids[np.searchsorted(all_ids, np.uint64(after), side="right") :] if after >= 0 else all_ids
        np.testing.assert_array_equal(row_ids_after(content, after), expected)
    data = folder / "items.lance" / "data"
    assert {name for found in described(content).values() for name in found.files} <= {p.name for p in data.iterdir()}


def test_a_manifest_of_deleted_rows_does_not_tell_the_others(folder):
    delete_slides(folder, ["B"])
    add(folder, "C", "B", sidecars=False)
    store, content = Index.open(folder).store, manifest(folder)
    found = row_ids_after(content, 0)
    assert found is None or found.tolist() == store.matching("items", "_rowid > 0").tolist()
    assert n_rows_of(content) in (None, store.count("items"))


def test_what_the_writer_hands_over_is_what_another_process_reads(folder, monkeypatch):
    add(folder, "C", "D", sidecars=False)
    delete_slides(folder, ["B"])
    add(folder, "E", sidecars=False)
    read = []
    stream, take = Store.stream, Store.take
    monkeypatch.setattr(Store, "stream", lambda *args: read.append(args[1:]) or stream(*args))
    monkeypatch.setattr(Store, "take", lambda *args: read.append(args[1:]) or take(*args))
    index = Index.open(folder)
    handed = {side: index.vectors(side) for side in ("image", "expression")}, index.columns.plain()
    assert not read
    written.forget()
    again = Index.open(folder)
    for side, vectors in handed[0].items():
        np.testing.assert_array_equal(vectors.vectors, again.vectors(side).vectors)
        np.testing.assert_array_equal(vectors.rows, again.vectors(side).rows)
    assert handed[1].equals(again.columns.plain())
    assert read
    np.testing.assert_array_equal(index.columns.row_ids, again.store.matching("items", "true"))


def test_no_more_is_remembered_than_there_is_room_for(folder, monkeypatch):
    written.forget()
    add(folder, "C", sidecars=False)
    monkeypatch.setattr(written, "REMEMBERED_BYTES", sum(one.n_bytes for one in written._LAST.values()))
    add(folder, "D", sidecars=False)
    assert len(written._LAST) == 1
    assert len(Index.open(folder).vectors("image")) == 24


@pytest.mark.parametrize("version", [1, 7, 2**31])
def test_names_of_manifests_say_their_version(version):
    assert {version_of(name.rsplit("/", 1)[1]) for name in manifest_names("items", version)} == {version}


@pytest.mark.usefixtures("other_process")
def test_the_ids_of_rows_are_not_read_where_rows_were_only_added(folder, monkeypatch):
    add(folder, "C", sidecars=False)
    asked, matching = [], Store.matching

    def noted(store, table, where):
        asked.append(where)
        return matching(store, table, where)

    monkeypatch.setattr(Store, "matching", noted)
    index = Index.open(folder)
    assert len(index.vectors("image")) == len(index) == 18
    assert not asked


def test_rows_that_a_rollback_brings_back_are_seen_though_their_number_is_the_same(folder):
    delete_slides(folder, ["A"])
    add(folder, "C")  # the newest sidecar holds B and C
    (_, card, change), *_ = candidates(folder, ("image",), Index.open(folder).vector_table())
    assert (card.n_items, change.alive, len(change.tail)) == (12, None, 0)
    roll_back(folder, 3)  # A and B are as many as B and C
    add(folder, "D", sidecars=False)
    assert [item[0] for item, _ in state_of(folder)] == list("AAAAAABBBBBBDDDDDD")


@pytest.mark.usefixtures("other_process")
def test_a_newer_commit_reads_only_what_is_newer(folder, monkeypatch):
    index = Index.open(folder)
    index.vectors("image")
    read, stream, take = [], Store.stream, Store.take
    monkeypatch.setattr(
        Store,
        "stream",
        lambda store, table, column, after=None: read.append(after) or stream(store, table, column, after),
    )
    monkeypatch.setattr(
        Store, "take", lambda store, table, ids, columns: read.append(len(ids)) or take(store, table, ids, columns)
    )
    states = [index]
    for slide in "CDE":
        add(folder, slide, sidecars=False)
        states.append(states[-1].reopened())
        assert len(states[-1].vectors("image")) == len(states[-1].columns)
    first = int(index.columns.row_ids[-1])
    assert read == [first, 6, first + 6, 6, first + 12, 6]
    for state, n in zip(states, (12, 18, 24, 30), strict=True):  # those opened before are as they were
        rows, stored = state.stored_vectors("image")
        np.testing.assert_array_equal(state.vectors("image").vectors, stored)
        assert len(rows) == n == len(state.columns.values_of("id", np.arange(n)))
    assert states[-1].columns.values_of("id", np.array([29, 0, 17]))[0] == "E/tile/5"
    assert states[-1].columns.take(np.arange(30))["id"].to_pylist() == states[-1].metadata()["id"].to_pylist()


def test_what_was_read_is_left_where_the_rows_are_others(folder):
    add(folder, "C", sidecars=False)
    index = Index.open(folder)
    assert len(index.vectors("image")) == 18
    roll_back(folder, 2)
    add(folder, "D", sidecars=False)
    again = index.reopened()
    np.testing.assert_array_equal(again.vectors("image").vectors, again.stored_vectors("image")[1])
    assert again.columns.values_of("id", np.array([len(again) - 1])) == ["D/tile/5"]


def test_lists_are_shared_while_an_opened_index_holds_them(folder, monkeypatch):
    monkeypatch.setattr(ann, "EXACT_VALUES", 5)
    add(folder, "C")
    first, second = Index.open(folder).vectors("image"), Index.open(folder).vectors("image")
    assert first.ann is second.ann
    assert first.base is second.base
    path = next((folder / "sidecar" / "image").glob("*/index.faiss"))
    kept = path.read_bytes()
    path.unlink()
    path.write_bytes(kept)
    assert Index.open(folder).vectors("image").ann is not first.ann
