"""Engines that keep no vectors in memory give the rows, scores and filters of the one that does."""

import numpy as np
import pyarrow as pa
import pytest

from encoders.contracts import unit_rows
from indexer.access import Access
from indexer.errors import StoreError
from indexer.index import Index
from indexer.progress import Silent
from indexer.store import opening
from indexer.store.lance_index import lance_index
from indexer.store.lance_vectors import LanceVectorSet
from indexer.store.location import locate
from indexer.store.locks import writer_lock
from indexer.store.table_vectors import TableVectors
from indexer.store.writer import IndexWriter
from indexer.upkeep import lance_upkeep
from indexer.upkeep.lance_upkeep import make_lance_indexes
from indexer.upkeep.maintenance import optimize_index, refresh_sidecars
from indexer.vectors import ann, sidecar_card, table_vector_set
from indexer.verification import find_problems
from tests.indexer.tiny_index import PANEL, tiny_settings, tiny_slide

N_SLIDES, PER_SLIDE, DIM, K = 12, 500, 128, 10


def clustered_slide(name, centres):
    """A slide whose tiles lie around some centres, and a table with an organ of its own."""
    items, row = tiny_slide(name, PER_SLIDE, dim=DIM)
    random = np.random.default_rng(list(name.encode()))
    vectors = unit_rows(centres[random.integers(0, len(centres), PER_SLIDE)] + random.normal(0, 0.04, (PER_SLIDE, DIM)))
    flat = pa.FixedSizeListArray.from_arrays(pa.array(vectors.astype(np.float32).ravel()), DIM)
    table = items[0].set_column(
        items[0].schema.get_field_index("image_vector"), items[0].schema.field("image_vector"), flat
    )
    return [table], row


def add(place, names, centres, *, sidecars=True):
    location = locate(place)
    with writer_lock(location):
        writer = IndexWriter.open(location, tiny_settings(DIM), PANEL)
        for i, name in enumerate(names):
            writer.commit(
                *clustered_slide(name, centres[4 * (i % 10) : 4 * (i % 10) + 4])
            )  # each slide its own clusters
        if sidecars:
            refresh_sidecars(Index.open(location), Silent())


@pytest.fixture(scope="module")
def centres():
    return unit_rows(np.random.default_rng(0).normal(size=(40, DIM)).astype(np.float32))


@pytest.fixture(scope="module", autouse=True)
def few_are_compared_one_by_one():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table_vector_set, "_FEW", 700)
        patch.setattr(ann, "EXACT_VALUES", 800 * DIM)
        yield


@pytest.fixture(scope="module")
def place(tmp_path_factory, centres):
    folder = tmp_path_factory.mktemp("engines") / "index"
    add(folder, [f"S{i}" for i in range(N_SLIDES)], centres)
    assert make_lance_indexes(folder) == {"image": N_SLIDES * PER_SLIDE, "expression": None}
    return folder


def opened(place, engine):
    return Index.open(place, access=Access(engine)).vectors("image")


def filters(index):
    slides = np.array(index.metadata()["slide"].to_pylist())
    everyone = np.ones(len(index), dtype=bool)
    far = np.isin(slides, ["S2", "S5"])
    random = np.random.default_rng(1).random(len(index)) < 0.3
    return {
        "none": (everyone, None),
        "own slide left out": (slides != "S0", "slide IS NULL OR slide <> 'S0'"),
        "correlated": (far, "slide IN ('S2', 'S5')"),
        "that SQL does not know": (random, None),
        "few, by chance": (np.random.default_rng(2).permutation(len(index)) < 750, None),
        "narrow": (slides == "S3", "slide = 'S3'"),
    }


@pytest.mark.parametrize("engine", ["codes", "lance"])
def test_the_same_rows_and_scores_as_by_comparing_all(place, engine):
    exact, other = opened(place, "faiss"), opened(place, engine)
    assert isinstance(other.base, TableVectors)
    queries = exact.base[:: N_SLIDES * PER_SLIDE // 12]
    for name, (mask, where) in filters(Index.open(place)).items():
        shares = []
        for query in queries:
            truth = exact.nearest(query, K, mask, exact=True)
            found = other.nearest(query, K, other.select(mask, where))
            assert found.strategy == ("exact" if name == "narrow" else "ann"), name
            assert mask[found.rows].all()
            scores = dict(zip(truth.rows.tolist(), truth.scores.tolist(), strict=True))
            both = [row for row in found.rows.tolist() if row in scores]
            assert [scores[row] for row in both] == pytest.approx(
                found.scores[np.isin(found.rows, truth.rows)].tolist(), abs=1e-6
            )
            shares.append(len(both) / K)
        assert np.mean(shares) >= 0.99, (engine, name, shares)


def test_everything_else_of_a_set_is_read_from_the_table(place):
    exact, stored = opened(place, "faiss"), opened(place, "lance")
    query = exact.base[7]
    assert np.array_equal(stored.rows, exact.rows)
    assert np.array_equal(stored.vector_of(7), query)
    assert np.array_equal(stored.scores(query), exact.scores(query))
    assert np.array_equal(np.asarray(stored.base)[-3:], exact.base[-3:])
    assert np.array_equal(stored.nearest(query, 3, exact=True).rows, exact.nearest(query, 3, exact=True).rows)


def test_rows_added_and_deleted_since_are_found_and_not_found(place, centres, tmp_path):
    from shutil import copytree

    from indexer.upkeep.editing import delete_slides

    folder = tmp_path / "copy"
    copytree(place, folder)
    delete_slides(folder, ["S1"])
    add(folder, ["T0"], centres, sidecars=False)
    for _ in range(2):
        index = Index.open(folder)
        slides = np.array(index.metadata()["slide"].to_pylist())
        exact = index.vectors("image")
        for engine in ("codes", "lance"):
            other = opened(folder, engine)
            for row in (np.flatnonzero(slides == "T0")[3], 40):
                query = exact.vector_of(int(row))
                found, truth = other.nearest(query, K), exact.nearest(query, K, exact=True)
                assert found.rows[0] == row
                assert len(np.intersect1d(found.rows, truth.rows)) >= K - 1
        optimize_index(folder)  # folds them in
    assert lance_index(Index.open(folder).store, "image").n_beside == 0


def test_what_an_engine_lacks_is_said(tmp_path, centres, monkeypatch):
    folder = tmp_path / "index"
    add(folder, ["S0", "S1"], centres, sidecars=False)
    with pytest.raises(StoreError, match=r"no LanceDB index of its 1,000 image vectors.*--lance-index"):
        opened(folder, "lance")
    with pytest.raises(StoreError, match=r"Engine codes.*index optimize"):
        opened(folder, "codes")
    with pytest.raises(StoreError, match="'fiass' is not known; choose auto, faiss, codes, lance"):
        Access("fiass")
    with pytest.raises(StoreError, match="Engine lance keeps no vectors to put on a GPU"):
        Access("lance", "cuda")
    make_lance_indexes(folder)
    monkeypatch.setattr(opening, "memory_bytes", lambda: 1_000)
    assert not isinstance(opened(folder, "auto"), LanceVectorSet)  # there is a sidecar now, mapped into memory


def test_auto_takes_lance_where_a_sidecar_cannot_be_made(tmp_path, centres, monkeypatch, caplog):
    import shutil

    folder = tmp_path / "index"
    add(folder, ["S0", "S1"], centres)
    make_lance_indexes(folder)
    shutil.rmtree(folder / "sidecar")
    monkeypatch.setattr(opening, "memory_bytes", lambda: 1_000)
    found = opened(folder, "auto")
    assert isinstance(found, LanceVectorSet)
    assert "more than half of this machine's memory" in caplog.text
    assert not (folder / "sidecar").exists()
    assert found.nearest(found.vector_of(5), 1).rows.tolist() == [5]


def test_an_index_that_outgrew_the_memory_is_written_and_read_without_sidecars(tmp_path, centres, monkeypatch, caplog):
    folder = tmp_path / "index"
    add(folder, ["S0", "S1"], centres, sidecars=False)
    make_lance_indexes(folder)  # with a sidecar still
    monkeypatch.setattr(opening, "memory_bytes", lambda: 1_000)
    monkeypatch.setattr(sidecar_card, "TAIL_ROWS", 100)
    before = sorted(folder.glob("sidecar/*/*"))
    add(folder, ["S2"], centres)
    optimize_index(folder)
    assert "its sidecars stay as they are" in caplog.text
    assert sorted(folder.glob("sidecar/*/*")) == before
    found = opened(folder, "auto")
    assert isinstance(found, LanceVectorSet)
    assert found.nearest(found.vector_of(1_200), 1).rows.tolist() == [1_200]
    assert lance_index(Index.open(folder).store, "image").n_indexed == 1_500
    assert find_problems(Index.open(folder)) == []


@pytest.mark.parametrize("step", ["make_column_indexes", "refresh_sidecars"])
def test_a_writer_killed_while_it_makes_the_index_leaves_what_was_there(tmp_path, centres, monkeypatch, step):
    folder = tmp_path / "index"
    add(folder, ["S0"], centres)
    before = Index.open(folder)

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(lance_upkeep, step, killed)
        with pytest.raises(KeyboardInterrupt):
            make_lance_indexes(folder)
    now = Index.open(folder)
    assert now.card == before.card
    assert lance_index(now.store, "image") is None
    add(folder, ["S1"], centres)  # takes back what was left
    assert lance_index(Index.open(folder).store, "image") is None
    make_lance_indexes(folder)
    assert lance_index(Index.open(folder).store, "image").n_indexed == 2 * PER_SLIDE
    assert find_problems(Index.open(folder)) == []
