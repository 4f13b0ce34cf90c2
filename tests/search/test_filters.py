"""Filters as people and attackers type them."""

import contextlib

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from indexer.schema import ITEM_COLUMNS
from search.errors import FilterError
from search.retrieval.filters import check_where, where_mask

WORDS = ("and", "OR", "not", "in", "null", "is", "like", "drop", "select", "CAST", "as", "é", "1", "0.5")
MARKS = ("=", "<", "(", ")", "'breast'", "'%a%'", "'", '"', ";", "--", ",", "*")
PIECES = st.sampled_from((*ITEM_COLUMNS, *WORDS, *MARKS))


@given(st.text(max_size=60))
def test_any_text_passes_or_is_one_error(text):
    with contextlib.suppress(FilterError):
        check_where(text)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces=st.lists(PIECES, max_size=8))
def test_anything_like_sql_gives_rows_or_one_error(engine, pieces):
    n = len(engine.catalogue)
    with contextlib.suppress(FilterError):
        mask = where_mask(engine.catalogue, " ".join(pieces))
        assert mask.dtype == bool
        assert mask.shape == (n,)
    assert len(engine.index.metadata()) == n


def test_conditions_people_write(engine):
    column = engine.catalogue.table.to_pandas()
    for where, expected in {
        "kind = 'spot' AND patient IN ('A', 'B')": (column.kind == "spot") & column.patient.isin(["A", "B"]),
        "label is null": column.label.isna(),
        "x_px between 0 and 500 or label like 'tum%'": column.x_px.between(0, 500) | column.label.eq("tumour"),
        "not generated": ~column.generated,
        "lower(organ) = 'colon'": column.organ == "colon",
        "diagnosis = 'it''s; drop table items --'": column.diagnosis == "",
    }.items():
        assert (where_mask(engine.catalogue, where) == expected.to_numpy()).all(), where
