"""Hits written to files: what other programs read of them is what was found."""

import json
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml
from shapely.geometry import shape

from app.errors import ShowError
from app.exports.asked_hits import AskedHits
from app.exports.qupath import features_by_slide
from app.exports.saved_queries import SavedQuery, read_saved_query
from app.exports.write import KINDS, check_kind, write_hits
from encoders.errors import HistoSeekError
from search.engine import Engine
from search.query import ComposedQuery, ExamplesQuery, GenesQuery, ItemQuery, PatchQuery, SlideQuery
from search.result import SearchResult


@pytest.fixture(scope="module")
def hits(small_db: Path) -> AskedHits:
    """Five spots for a spot."""
    engine = Engine.open(small_db)
    kinds = engine.catalogue.column("kind")
    item = str(engine.catalogue.column("id")[kinds == "spot"][0])
    query = ItemQuery(item, "image")
    result = engine.search(query, target="image", k=5, exclude="none")
    return AskedHits(engine, result, "What looks like it", query)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != ".geojson"])
def test_every_kind_is_written_whole_and_nothing_else(hits: AskedHits, kind: str, tmp_path: Path) -> None:
    (path,) = write_hits(hits, tmp_path / f"hits{kind}")
    assert path.stat().st_size > 0
    assert [p.name for p in tmp_path.iterdir()] == [f"hits{kind}"]


def test_tables_hold_the_hits(hits: AskedHits, tmp_path: Path) -> None:
    asked = hits.result.to_pandas()
    for kind in (".csv", ".parquet"):
        write_hits(hits, tmp_path / f"hits{kind}")
    read = pd.read_csv(tmp_path / "hits.csv")
    assert read["id"].tolist() == asked["id"].tolist()
    np.testing.assert_allclose(read["score"], asked["score"], rtol=1e-6)
    table = pq.read_table(tmp_path / "hits.parquet")
    assert table.replace_schema_metadata(None).equals(hits.result.table.replace_schema_metadata(None))
    told = json.loads(table.schema.metadata[b"histoseek"])
    assert told["query"] == hits.result.query
    assert "GENERATED" in told["provenance"]


def test_h5ad_has_counts_positions_and_vectors(hits: AskedHits, tmp_path: Path) -> None:
    write_hits(hits, tmp_path / "hits.h5ad")
    read = ad.read_h5ad(tmp_path / "hits.h5ad")
    rows = hits.engine.catalogue.rows_of(read.obs["id"].tolist())
    assert (read.layers["counts"] != hits.engine.index.expression(rows)).nnz == 0
    assert read.var_names.tolist() == list(hits.engine.index.genes)
    np.testing.assert_allclose(np.linalg.norm(read.obsm["X_mini_image"], axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(read.obsm["spatial"], hits.result.to_pandas()[["x_px", "y_px"]])


def test_qupath_outlines_lie_around_the_hits(hits: AskedHits, tmp_path: Path) -> None:
    by_slide = {hit["id"]: hit for hit in hits.result.to_list()}
    written = write_hits(hits, tmp_path / "hits.geojson")
    features = [f for path in written for f in json.loads(path.read_text())["features"]]
    assert len(features) == len(by_slide)
    for feature in features:
        hit = by_slide[feature["properties"]["metadata"]["id"]]
        outline = shape(feature["geometry"])
        assert outline.is_valid
        assert (outline.centroid.x, outline.centroid.y) == pytest.approx((hit["x_px"], hit["y_px"]), abs=0.1)
        across = hit["spot_um"] / hit["mpp"] if hit["kind"] == "spot" else hit["side_px"]
        assert outline.bounds[2] - outline.bounds[0] == pytest.approx(across, abs=0.1)
        assert feature["properties"]["measurements"]["score"] == pytest.approx(hit["score"])


def test_hits_of_several_slides_go_to_a_file_each(hits: AskedHits) -> None:
    first, second, *_ = hits.result.to_list()
    named = features_by_slide([{**first, "slide": "a"}, {**second, "slide": "b"}])
    assert [len(json.loads(text)["features"]) for text in named.values()] == [1, 1]
    assert list(named) == ["a", "b"]


def test_a_saved_question_gives_the_same_answer(hits: AskedHits, tmp_path: Path) -> None:
    write_hits(hits, tmp_path / "query.yaml")
    saved = read_saved_query(tmp_path / "query.yaml")
    again = saved.ask(hits.engine)
    assert isinstance(again, SearchResult)
    assert again.table.equals(hits.result.table)
    assert saved.query() == hits.query


def test_every_kind_of_question_is_kept_whole(hits: AskedHits) -> None:
    item = ItemQuery(str(hits.result.table["id"][0]), "image")
    pixels = np.full((250, 250, 3), 200, dtype=np.uint8)  # grey
    for query in (
        GenesQuery("ERBB2:2 -VIM"),
        PatchQuery(pixels, 1.4),
        ExamplesQuery(GenesQuery("ERBB2"), (item,), ()),
        ComposedQuery((item, GenesQuery("ERBB2")), (1.0, 2.0)),
    ):
        found = hits.engine.search(query, target="image", k=3)
        text = SavedQuery.of("search", query, found.query, hits.engine).to_yaml()
        again = SavedQuery.model_validate(yaml.safe_load(text)).ask(hits.engine)
        assert isinstance(again, SearchResult)
        assert again.table.equals(found.table)


def test_slides_are_compared_as_slides_again(hits: AskedHits) -> None:
    slide = str(hits.result.table["slide"][0])
    found = hits.engine.similar_slides(slide, k=3, exclude="none")
    again = SavedQuery.of("search", SlideQuery(slide), found.query, hits.engine).ask(hits.engine)
    assert isinstance(again, SearchResult)
    assert again.table.equals(found.table)


def test_a_question_is_asked_again_from_the_command_line(histoseek, small_db: Path, tmp_path: Path) -> None:
    saved, table = tmp_path / "query.yaml", tmp_path / "hits.csv"
    asked = histoseek("search", "genes", "ERBB2", "--db", small_db, "--json", "--out", saved, "--out", table)
    assert asked.code == 0
    first = json.loads(asked.stdout)["hits"]
    assert pd.read_csv(table)["id"].tolist() == [hit["id"] for hit in first]
    again = histoseek("run", saved, "--db", small_db, "--json")
    assert json.loads(again.stdout)["hits"] == first
    refused = histoseek("search", "genes", "ERBB2", "--db", small_db, "--out", tmp_path / "hits.xlsx")
    assert refused.code == 1
    assert "its ending says what to write" in refused.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "is no YAML"),
        ("just text", "no saved question"),
        ("verb: fly\nrequest: {}", "verb"),
        ("verb: search\nrequest: {query: {type: item, id: x}, k: 0}", "k: .*greater than or equal to 1, got '0'"),
        ("verb: search\nrequest: {query: {type: item, id: x}, limit: 3}", "limit"),
        ("verb: search\nrequest: {k: 3}", "has the type None"),
    ],
)
def test_a_wrong_saved_question_is_one_sentence(hits: AskedHits, text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "query.yaml"
    path.write_text(text)
    with pytest.raises(HistoSeekError, match=said):
        read_saved_query(path).ask(hits.engine)
    with pytest.raises(ShowError, match="no file"):
        read_saved_query(tmp_path / "other.yaml")


def test_what_cannot_be_written_is_said_before_the_search(hits: AskedHits, tmp_path: Path) -> None:
    with pytest.raises(ShowError, match=r"hits\.xlsx.*\.csv"):
        check_kind(tmp_path / "hits.xlsx")
    nowhere = [{**hit, "x_px": None, "y_px": None} for hit in hits.result.to_list()]
    with pytest.raises(ShowError, match="nothing to draw"):
        features_by_slide(nowhere)
