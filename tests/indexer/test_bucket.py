"""An index in an S3 bucket of a local S3-compatible server: the same rows, versions and errors as in a folder."""

import logging
import shutil
from datetime import timedelta

import numpy as np
import pytest

from indexer.access import Access
from indexer.errors import IndexMissingError, StoreError, WriteError
from indexer.index import Index
from indexer.store import location
from indexer.store import tables as store
from indexer.store.location import locate
from indexer.store.locks import break_lock, writer_lock
from indexer.store.tables import create_lock_table, drop_lock_table
from indexer.store.versions import history, read_tags, tag_version
from indexer.upkeep.editing import delete_slides, roll_back
from indexer.upkeep.lance_upkeep import make_lance_indexes
from indexer.upkeep.maintenance import optimize_index
from indexer.vectors import ann, table_vector_set
from indexer.verification import find_problems
from tests.indexer.store_doubles import DIM
from tests.indexer.tiny_index import add, state_of


@pytest.fixture(scope="module")
def endpoint():
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(endpoint, monkeypatch, tmp_path):
    """Address of an index that is not there yet."""
    from pyarrow.fs import S3FileSystem

    for name, value in {
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": endpoint,
        "HISTOSEEK_CACHE_DIR": str(tmp_path / "cache"),
    }.items():
        monkeypatch.setenv(name, value)
    S3FileSystem(endpoint_override=endpoint, allow_bucket_creation=True).create_dir("tissue")
    return f"s3://tissue/{tmp_path.name}/index"


def test_rows_versions_and_sidecars_are_as_in_a_folder(bucket, tmp_path):
    for place in (bucket, tmp_path / "folder"):
        add(place, "A", "B")
        tag_version(place, "one", 2)
        delete_slides(place, ["A"])
        add(place, "C")
        optimize_index(place, keep=timedelta(0))
    assert state_of(bucket) == state_of(tmp_path / "folder")
    assert state_of(f"{bucket}@one") == state_of(f"{tmp_path / 'folder'}@one")
    assert find_problems(Index.open(bucket)) == []
    assert read_tags(locate(bucket)) == {"one": 2}
    assert [card.version for card in history(locate(bucket))] == [2, 6]
    assert roll_back(bucket, "one").version == 7
    assert {key.split("/")[0] for key, _ in state_of(bucket)} == {"A"}


def test_sidecars_are_copied_not_built_again(bucket, tmp_path, caplog):
    add(bucket, "A", "B")
    shutil.rmtree(tmp_path / "cache")
    found = Index.open(bucket).vectors("image")
    assert isinstance(found.vectors, np.memmap)
    assert not caplog.records
    assert list((tmp_path / "cache").rglob("vectors.npy"))


@pytest.mark.parametrize(
    ("engine", "not_copied"), [("codes", {"vectors.npy"}), ("lance", {"vectors.npy", "index.faiss", "list_of.npy"})]
)
def test_vectors_are_searched_where_they_lie(bucket, tmp_path, monkeypatch, engine, not_copied):
    monkeypatch.setattr(table_vector_set, "_FEW", 90)
    monkeypatch.setattr(ann, "EXACT_VALUES", 90 * DIM)
    add(bucket, "A", "B", "C", n=150)
    make_lance_indexes(bucket)
    usual = Index.open(bucket).vectors("image")
    queries, mask = usual.base[::40], np.arange(usual.n_items) % 5 > 0
    truth = [usual.nearest(query, 10, mask, exact=True) for query in queries]
    there = {path.name for path in (tmp_path / "cache").rglob("*") if path.is_file()}
    shutil.rmtree(tmp_path / "cache")
    found = Index.open(bucket, access=Access(engine)).vectors("image")
    for query, exact in zip(queries, truth, strict=True):
        answer = found.nearest(query, 10, mask)
        assert answer.strategy == "ann"
        assert answer.rows.tolist() == exact.rows.tolist()
        assert answer.scores == pytest.approx(exact.scores, abs=1e-6)
    now = {path.name for path in (tmp_path / "cache").rglob("*") if path.is_file()}
    assert there - now == not_copied | ({"radii.npy"} if engine == "lance" else set())
    assert find_problems(Index.open(bucket)) == []


def test_a_reader_notices_a_commit(bucket, monkeypatch):
    monkeypatch.setattr(location, "STAMP_AGE_S", 1e6)
    add(bucket, "A")
    index = Index.open(bucket)
    add(bucket, "Z", sidecars=False)
    assert index.is_current()  # as it was when it was last asked for
    monkeypatch.setattr(location, "STAMP_AGE_S", 0.0)
    assert not index.is_current()
    index = Index.open(bucket)
    assert index.is_current()
    add(bucket, "B", sidecars=False)
    assert not index.is_current()
    assert len(Index.open(bucket)) == 18


def test_one_writer_at_a_time(bucket, monkeypatch):
    place = locate(bucket)
    assert [create_lock_table(place) for _ in range(3)] == [True, False, False]
    looks = iter([False, True])  # another took it between the look and the making, which the store refuses
    with monkeypatch.context() as patch:
        patch.setattr(store, "_has_table", lambda database, name: next(looks))
        assert not create_lock_table(place)
    drop_lock_table(place)
    with writer_lock(place), pytest.raises(WriteError, match=r"process \d+ on host \S+.*index unlock"):
        add(bucket, "A")
    add(bucket, "A")
    create_lock_table(place)  # as a killed writer leaves it
    with pytest.raises(WriteError, match="index unlock"):
        add(bucket, "B")
    break_lock(place)
    add(bucket, "B")
    assert break_lock(place) is None


def test_what_is_not_there_is_said(bucket, monkeypatch):
    with pytest.raises(IndexMissingError, match="There is no index at s3://tissue/"):
        Index.open(bucket)
    with pytest.raises(IndexMissingError, match="There is no bucket 'nobody'"):
        Index.open("s3://nobody/index")
    with pytest.raises(IndexMissingError, match="There is no bucket 'nobody'"):
        add("s3://nobody/index", "A")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(StoreError, match=r"out of reach.*AWS_ENDPOINT_URL"):
        Index.open(bucket)
