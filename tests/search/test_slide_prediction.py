"""Whole slides predicted at once: the same numbers as place by place, held against what was measured."""

import numpy as np
import pytest

from search import ItemQuery
from search.errors import ItemMissingError, QueryError
from search.expression.averaging import averaged_of_index
from search.expression.weighting import Weighting

GENES = ["TUM1", "STR1", "IMM1", "TUM2"]


@pytest.mark.parametrize("mode", ["softmax", "mean50", "raw", "mean", "ridge"])
def test_a_slide_is_its_places(engine, mode):
    found = engine.predict_slide("A1", genes=GENES, mode=mode, k=500, predictability=False)
    assert found.genes == tuple(GENES)
    assert found.predicted.shape == found.sd.shape == found.measured.shape == (len(found), 4)
    for place in range(0, len(found), 7):
        item = found.table.column("id")[place].as_py()
        asked = {"genes": GENES, "mode": mode, "k": 500, "exclude": "patient"}
        if np.isnan(found.predicted[place]).any():
            with pytest.raises(QueryError, match="divides by that sum"):
                engine.predict_expression(ItemQuery(item, "image"), **asked)
            continue
        one = engine.predict_expression(ItemQuery(item, "image"), **asked).to_pandas()
        if mode != "mean50":  # of many as near as the last, here all are averaged
            assert found.predicted[place] == pytest.approx(one["predicted"].to_numpy(), abs=2e-4)
            assert found.sd[place] == pytest.approx(one["sd"].to_numpy(np.float32), abs=2e-3, nan_ok=True)


def test_maps_show_the_bands_of_the_slide(engine):
    found = engine.predict_slide("A1", genes=GENES)
    x = found.table.column("x_px").to_numpy()
    assert found.predicted[x < 400, 0].mean() > found.predicted[x > 800, 0].mean() + 1
    assert (found.r_here > 0.8).all()
    assert found.excluded_patients == ("A",)
    spots = np.array(found.table.column("kind").to_pylist()) == "spot"
    assert np.isfinite(found.measured[spots]).all()
    assert np.isnan(found.measured[~spots]).all()


def test_predictability_is_measured_on_other_patients(engine):
    r = engine.predict_slide("A1", genes=GENES, using="expression").r
    assert (r[1:3] > 0.8).all()
    assert (r > 0.3).all()  # half of the others' sections have no tumour, whose genes are noise there


def test_neighbours_of_a_large_index_are_those_of_a_small_one(engine, monkeypatch):
    catalogue = engine.catalogue
    allowed = (catalogue.column("kind") == "spot") & (catalogue.column("patient") != "A")
    vectors = np.stack([catalogue.vector(row, "image") for row in catalogue.rows_where("slide", "A1")[:5]])
    weighting = Weighting("softmax", 200, 0.2)
    small = averaged_of_index(catalogue, vectors, allowed, np.arange(6), weighting)
    monkeypatch.setattr("search.expression.averaging.MOST_AT_ONCE", 10)
    large = averaged_of_index(catalogue, vectors, allowed, np.arange(6), weighting)
    assert large.mean == pytest.approx(small.mean, abs=1e-4)
    with pytest.raises(QueryError, match="too large"):
        averaged_of_index(catalogue, vectors, allowed, np.arange(6), Weighting("raw"))


def test_errors(engine):
    with pytest.raises(ItemMissingError, match="A11"):
        engine.predict_slide("A11")
    with pytest.raises(QueryError, match="slide's own counts answer for it"):
        engine.predict_slide("A1", exclude="none")
    with pytest.raises(QueryError, match="no tile or spot with a position and an image vector"):
        engine.predict_slide("C1", using="image")
    with pytest.raises(QueryError, match="No item with counts is left"):
        engine.predict_slide("A1", where="kind = 'tile'")
    with pytest.raises(QueryError, match="mode='best'"):
        engine.predict_slide("A1", mode="best")
