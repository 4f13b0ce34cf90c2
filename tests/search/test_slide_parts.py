"""Slides compared by prototypes: kept by the index, used for the order, told part by part."""

import json

import numpy as np
import pytest

from encoders.contracts import unit_rows
from indexer.building.build import build_index
from indexer.errors import IndexFormatError, WriteError
from indexer.index import Index
from indexer.store.aggregates import SlideAggregate
from indexer.verification import find_problems
from search.engine import Engine
from search.errors import QueryError
from search.retrieval.slide_matching import match_slides
from tests.encoders.test_aggregators import saved
from tests.indexer.store_doubles import fake_space, write_source


def aggregate(vectors, shares):
    rows = unit_rows(np.array(vectors, dtype=np.float32))
    return SlideAggregate(rows, np.array(shares, dtype=np.float32), tuple(f"i{n}" for n in range(len(rows))))


def test_each_part_meets_its_best_match_in_proportion_to_its_share():
    both, mostly_first = aggregate([[1, 0], [0, 1]], [0.5, 0.5]), aggregate([[1, 0]], [1.0])
    match = match_slides(both, mostly_first, "best")
    assert match.score == pytest.approx((0.5 * 1 + 0.5 * 0 + 1.0) / 2)
    assert match.partner.tolist() == [0, 0]
    assert match.cosines.tolist() == [1.0, 0.0]
    assert match_slides(mostly_first, both, "best").score == match.score
    assert match_slides(both, both, "best").score == pytest.approx(1)


@pytest.mark.parametrize("how", ["transport", "best"])
def test_two_means_give_their_cosine(how):
    assert match_slides(aggregate([[1, 0]], [1]), aggregate([[3, 4]], [1]), how).score == pytest.approx(0.6)


def test_transport_asks_for_the_same_proportions():
    half, little, much = (aggregate([[1, 0], [0, 1]], shares) for shares in ([0.5, 0.5], [0.9, 0.1], [0.1, 0.9]))
    assert match_slides(half, half).score == pytest.approx(1, abs=1e-6)
    assert match_slides(half, half).partner.tolist() == [0, 1]
    assert match_slides(little, much).score == pytest.approx(0.2, abs=1e-6)  # the rest is moved across
    assert match_slides(half, little).score == pytest.approx(match_slides(little, half).score) == pytest.approx(0.6)
    assert match_slides(little, much, "best").score == pytest.approx(1)
    with pytest.raises(QueryError, match="transport or best"):
        match_slides(half, little, "mean")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Three patients' slides and one without a picture, kept with four prototypes each."""
    folder = tmp_path_factory.mktemp("parts")
    sources = [write_source(folder / "src", name, spots=30) for name in ("A1", "A2", "B1", "C1")]
    sources.append(write_source(folder / "src", "D1", spots=30, image=False))
    report = build_index(folder / "db", sources, fake_space(), tile_stride_um=60, aggregator="prototypes-4")
    assert report.failed == ()
    return folder, sources


def test_the_index_remembers_its_aggregator(built):
    folder, sources = built
    assert Index.open(folder / "db").card.aggregator == "prototypes-4"
    more = write_source(folder / "src", "E1")
    assert build_index(folder / "db", [*sources, more], fake_space(), tile_stride_um=60).added == ("E1",)
    with pytest.raises(WriteError, match="'prototypes-4', not by 'mean'"):
        build_index(folder / "db", sources, fake_space(), tile_stride_um=60, aggregator="mean")


def test_cards_from_before_aggregators_have_the_mean(built, tmp_path):
    _, sources = built
    build_index(tmp_path / "db", sources[:1], fake_space(), tile_stride_um=60)
    card = tmp_path / "db" / "card.json"
    content = json.loads(card.read_text())
    del content["aggregator"]
    card.write_text(json.dumps(content))
    assert Index.open(tmp_path / "db").card.aggregator == "mean"
    assert build_index(tmp_path / "db", sources[:1], fake_space(), tile_stride_um=60).skipped == ("A1",)


@pytest.mark.parametrize("match", ["transport", "best"])
@pytest.mark.parametrize("side", ["image", "expression"])
def test_similar_slides_come_in_the_order_of_their_parts(built, side, match):
    engine = Engine.open(built[0] / "db", space=fake_space())
    result = engine.similar_slides("A1", k=3, using=side, exclude="slide", match=match)
    found = result.to_pandas()
    assert result.query["aggregator"] == "prototypes-4"
    assert "prototypes" in result.notes[-1]
    assert found["score"].is_monotonic_decreasing
    assert found["rank"].tolist() == [1, 2, 3]
    for row in found.itertuples():
        parts = engine.slide_parts("A1", row.slide, using=side, match=match)
        assert parts.score == pytest.approx(row.score, abs=1e-6)
        table = parts.to_pandas()
        assert table["share"].sum() == pytest.approx(1)
        assert table["item"].str.startswith("A1/").all()
        assert table["other_item"].str.startswith(f"{row.slide}/").all()
        engine.catalogue.rows_of([*table["item"], *table["other_item"]])  # all are items


def test_a_learned_aggregator_orders_pictures_and_leaves_expression_to_the_means(built, tmp_path, monkeypatch):
    monkeypatch.setenv("HISTOSEEK_WEIGHTS", str(tmp_path))
    saved(tmp_path / "abmil")  # reads 12 features, as the fake encoder gives
    _, sources = built
    build_index(tmp_path / "db", [*sources[:3], sources[-1]], fake_space(), tile_stride_um=60, aggregator="abmil")
    assert Index.open(tmp_path / "db").card.aggregator.startswith("abmil-")
    engine = Engine.open(tmp_path / "db", space=fake_space())
    pictures = engine.similar_slides("A1", using="image", exclude="slide")
    assert "one learned vector each" in pictures.notes[-1]
    assert len(pictures) == 2
    assert find_problems(engine.index) == []  # D1 has no picture, so nothing stands for it
    expression = engine.similar_slides("A1", using="expression", exclude="slide")
    assert "has no expression side: slides are compared by their means" in expression.notes[-1]


def test_sides_without_parts_are_said(built, tmp_path):
    engine = Engine.open(built[0] / "db", space=fake_space())
    with pytest.raises(QueryError, match="'D1' has no parts on its image side"):
        engine.slide_parts("A1", "D1", using="image")
    _, sources = built
    build_index(tmp_path / "db", sources[:2], fake_space(), tile_stride_um=60)
    plain = Engine.open(tmp_path / "db", space=fake_space())
    assert "aggregator" not in plain.similar_slides("A1", exclude="slide").query
    with pytest.raises(QueryError, match="aggregator 'mean'"):
        plain.slide_parts("A1", "A2")


def test_lost_parts_are_named(built, tmp_path):
    _, sources = built
    build_index(tmp_path / "db", sources[:3], fake_space(), tile_stride_um=60, aggregator="prototypes")
    for file in (tmp_path / "db" / "aggregates").iterdir():
        file.write_bytes(file.read_bytes()[:40])
    engine = Engine.open(tmp_path / "db", space=fake_space())
    with pytest.raises(IndexFormatError, match="stands for slide A1"):
        engine.similar_slides("A1")
    assert sum("stands for slide" in problem for problem in find_problems(engine.index)) == 3
    assert find_problems(Index.open(built[0] / "db")) == []
