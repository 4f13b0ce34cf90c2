"""Codes that are mapped from their file are scanned as those in memory; a file that does not fit is refused."""

import numpy as np
import pyarrow as pa
import pytest

from indexer.vectors.ann import INDEX_FILE, REDUCED_FILE, AnnIndex
from indexer.vectors.columns import ItemColumns
from indexer.vectors.inner_products import faiss_library
from indexer.vectors.mapped_codes import CODES_FILE
from indexer.vectors.selection import Selection

N, DIM = 80_001, 128


@pytest.fixture(scope="module")
def built(unit_rows_of):
    return AnnIndex.build(unit_rows_of(N, DIM))


@pytest.fixture(scope="module")
def unit_rows_of():
    def made(n, dim):
        vectors = np.random.default_rng(0).normal(size=(n, dim)).astype(np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    return made


def _scanned(ann, query, selection):
    coarse = ann.lists.centroids @ query
    lists = np.argsort(-coarse)[:30]
    return ann.scan(query[None], lists[None], coarse[lists][None], 100, selection)


@pytest.mark.parametrize("share", [1.0, 0.3])
@pytest.mark.parametrize("is_mapped", [True, False], ids=["mapped", "as written before"])
def test_codes_are_scanned_alike_wherever_they_lie(built, tmp_path, share, is_mapped):
    built.save(tmp_path)
    if not is_mapped:  # FAISS's own file with everything in it
        (tmp_path / CODES_FILE).unlink()
        faiss_library().write_index(built._index, str(tmp_path / INDEX_FILE))
    loaded = AnnIndex.load(tmp_path, built.kind, (N, DIM))
    rng = np.random.default_rng(1)
    selection = Selection(rng.random(N) < share)
    for place in rng.integers(0, len(built.lists.centroids), 5):
        query = built.lists.centroids[place] / np.linalg.norm(built.lists.centroids[place])
        for found, expected in zip(_scanned(loaded, query, selection), _scanned(built, query, selection), strict=True):
            np.testing.assert_array_equal(found, expected)
    for found, expected in zip(loaded.numbers_of_codes(), built.numbers_of_codes(), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_codes_of_another_length_are_refused(built, tmp_path):
    built.save(tmp_path)
    file = tmp_path / CODES_FILE
    with file.open("r+b") as codes:
        codes.truncate(file.stat().st_size - 1)
    with pytest.raises(ValueError, match=r"codes\.bin has"):
        AnnIndex.load(tmp_path, built.kind, (N, DIM))


@pytest.mark.parametrize("n_wanted", [0, 1, 5, 20])
def test_items_of_some_values_are_those_of_their_codes(n_wanted):
    import pyarrow as pa

    rng = np.random.default_rng(n_wanted)
    texts = np.array([*(f"slide {i}" for i in range(30)), None], dtype=object)
    parts = [texts[rng.integers(0, 31, n)] for n in (400, 0, 90)]
    column = pa.chunked_array([pa.array(part, pa.string()).dictionary_encode() for part in parts])
    columns = ItemColumns(pa.table({"slide": column}), np.arange(490, dtype=np.uint64))
    wanted = [f"slide {i}" for i in range(n_wanted)] + ["another"]
    expected = [text in wanted for part in parts for text in part]
    assert columns.is_one_of("slide", wanted).tolist() == expected


def test_centroids_in_their_leading_directions_are_kept_or_worked_out(built, unit_rows_of, tmp_path):
    built.save(tmp_path)
    query, whole = unit_rows_of(1, DIM)[0], built.lists.centroids
    kept = AnnIndex.load(tmp_path, built.kind, (N, DIM)).lists.dots(query)
    np.testing.assert_allclose(kept, whole @ query, atol=1e-5)
    np.save(tmp_path / REDUCED_FILE, np.zeros((3, 3), np.float32))
    with pytest.raises(ValueError, match=REDUCED_FILE):
        AnnIndex.load(tmp_path, built.kind, (N, DIM))
    (tmp_path / REDUCED_FILE).unlink()  # as sidecars were written before
    np.testing.assert_allclose(AnnIndex.load(tmp_path, built.kind, (N, DIM)).lists.dots(query), kept, atol=1e-5)


def test_codes_of_text_have_minus_one_for_null():
    texts = ["a", None, "b", None, *"abcabc"]
    columns = pa.table({"organ": pa.array(texts).dictionary_encode().slice(1)})
    codes, values = ItemColumns(columns, np.arange(len(texts) - 1, dtype=np.uint64)).codes("organ")
    assert [None if code < 0 else values[code] for code in codes] == texts[1:]
