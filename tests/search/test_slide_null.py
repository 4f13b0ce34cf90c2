"""p-values of slides found for a slide: from the pairs of the index that do not belong together."""

import numpy as np
import pytest
from scipy import stats

from indexer.store.aggregates import SlideAggregate
from search.query import SlideQuery
from search.retrieval import slide_null
from search.retrieval.slide_null import SlideNulls, SlidePairs, pair_p_values


def test_too_few_pairs_give_no_p_value(engine):
    found = engine.similar_slides("A1", using="expression")
    assert set(found.columns["p_value"]) == {None}
    assert any("carry no p-value: this index has 84 pairs" in note for note in found.notes)
    assert not any("The space has no null" in note for note in found.notes)


def test_p_values_rank_a_slide_among_pairs_of_other_patients(engine, monkeypatch):
    monkeypatch.setattr(slide_null, "FEWEST_PAIRS", 50)
    found = engine.similar_slides("A1", using="expression", k=20)
    vectors = {name: engine.catalogue.vector(engine.catalogue.slide_row(name), "expression") for name in
               (f"{p}{s}" for p in "ABCDEFGH" for s in (1, 2))}  # fmt: skip
    names = [name for name in vectors if name[0] != "A"]
    # Breast and colon: patients A to D are of the one, E to H of the other.
    apart = [(a, b) for i, a in enumerate(names) for b in names[i:] if (a[0] < "E") != (b[0] < "E")]
    assert len(apart) < 50 or "patients and organs" in found.notes[1]
    pairs = apart if len(apart) >= 50 else [(a, b) for i, a in enumerate(names) for b in names[i:] if a[0] != b[0]]
    null = [float(vectors[a] @ vectors[b]) for a, b in pairs]
    for score, p in zip(found.columns["score"], found.columns["p_value"], strict=True):
        assert p == pytest.approx((1 + sum(one >= score - 1e-6 for one in null)) / (1 + len(null)), abs=2 / len(null))
    assert list(found.columns["fdr"]) == sorted(found.columns["fdr"])


def test_a_search_for_slides_gives_the_p_values_of_similar_slides(engine, monkeypatch):
    monkeypatch.setattr(slide_null, "FEWEST_PAIRS", 50)
    query = SlideQuery("A1", "expression")
    known = engine.similar_slides("A1", using="expression", k=14)
    found = engine.search(query, k=14)
    for column in ("id", "p_value", "fdr"):
        assert found.table[column].to_pylist() == known.table[column].to_pylist()
    assert [note for note in found.notes if note.startswith("p-values")] == [known.notes[1]]
    page = engine.search(query, k=4, offset=5)  # ranks of a page are those of the whole list
    assert page.table["fdr"].to_pylist() == found.table["fdr"].to_pylist()[5:9]
    assert engine.search_many([query, query], k=14).results[1].table["fdr"] == found.table["fdr"]
    grouped = engine.search(query, k=7, group_by="patient")
    of_slide = dict(zip(found.table["id"].to_pylist(), found.table["fdr"].to_pylist(), strict=True))
    assert grouped.table["fdr"].to_pylist() == [of_slide[name] for name in grouped.table["id"].to_pylist()]


def test_pictures_of_slides_against_expression_have_a_null_of_both(engine, monkeypatch):
    monkeypatch.setattr(slide_null, "FEWEST_PAIRS", 20)
    crossed = engine.search(SlideQuery("A1", "image"), target="expression", k=20)
    pairs = SlideNulls(engine.catalogue, None).pairs("image", "expression", None)
    kept, apart = pairs.without(int(engine.catalogue.codes("patient")[0][engine.catalogue.slide_row("A1")]))
    assert f"p-values: {len(kept):,} pairs of slides of different {apart}" in " ".join(crossed.notes)
    assert crossed.table["p_value"].to_pylist() == pytest.approx(
        [(1 + (kept >= score - 1e-9).sum()) / (1 + len(kept)) for score in crossed.table["score"].to_pylist()]
    )
    mixed = engine.search(SlideQuery("A1", "expression"), kind=["slide", "spot"])  # not of slides alone: none
    assert set(mixed.table["p_value"].to_pylist()) == {None}


def test_organs_set_pairs_apart_where_there_are_enough():
    rng = np.random.default_rng(0)
    first, second = rng.integers(0, 30, 900), rng.integers(30, 60, 900)
    many = SlidePairs(rng.normal(size=900), first, second, np.arange(900) % 2 == 0)
    scores, apart = many.without(3)
    assert apart == "patients and organs"
    assert len(scores) == int(((first != 3) & (np.arange(900) % 2 == 0)).sum())
    assert (np.diff(scores) >= 0).all()
    few = SlidePairs(rng.normal(size=900), first, second, np.arange(900) < 40)
    assert few.without(None)[1] == "patients"
    assert len(few.without(None)[0]) == 900


def test_p_values_of_mismatched_pairs_are_uniform():
    rng = np.random.default_rng(1)
    null = np.sort(rng.normal(size=4_000))
    p = pair_p_values(rng.normal(size=4_000).astype(np.float32), null)
    assert stats.kstest(p, "uniform").statistic < 0.04
    assert pair_p_values(np.array([9.0], dtype=np.float32), null)[0] == pytest.approx(1 / 4_001)


def test_parts_have_a_null_of_their_own(engine, monkeypatch):
    rng = np.random.default_rng(0)

    class Parts:
        def of(self, slide, side):
            vectors = rng.normal(size=(2, 3)).astype(np.float32)
            return None if slide == "H2" else SlideAggregate(vectors, np.array([0.5, 0.5], np.float32), ("a", "b"))

    pairs = SlideNulls(engine.catalogue, Parts()).pairs("expression", "expression", "transport")
    assert len(pairs.scores) == 112 - 14  # the slide without parts is in no pair
    monkeypatch.setattr(slide_null, "_MOST_MATCHED", 30)
    assert len(SlideNulls(engine.catalogue, Parts()).pairs("expression", "expression", "best").scores) <= 30
