"""Rows of a slide, a patient or a label as the catalogue finds them, and the values of hits."""

from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.schema import ITEM_METADATA, SHARED_FACTS
from indexer.vectors.columns import ItemColumns
from search.catalogue import Catalogue

_NAMES = st.sampled_from([None, "A", "B", "C"])


def _catalogue(values):
    columns = {field.name: pa.nulls(len(values), field.type) for field in ITEM_METADATA}
    columns |= {"id": pa.array([f"A/tile/{i}" for i in range(len(values))]), "slide": pa.array(values, pa.string())}
    table = pa.table(columns)
    return Catalogue(SimpleNamespace(columns=ItemColumns.of_table(table, np.arange(len(values), dtype=np.uint64))))


@settings(deadline=None)
@given(st.lists(st.tuples(_NAMES, st.integers(1, 60)), max_size=8))
def test_rows_of_a_value_are_all_that_have_it_whether_they_come_together_or_not(runs):
    values = [name for name, n in runs for _ in range(n)]
    catalogue = _catalogue(values)
    for name in ("A", "B", "C", "D"):
        expected = [row for row, value in enumerate(values) if value == name]
        found = catalogue.rows_where("slide", name)
        assert found.dtype == np.int64
        assert found.tolist() == expected


@pytest.mark.parametrize("offset", [0, 3])
def test_values_of_a_few_rows_are_those_of_the_table(offset):
    rng = np.random.default_rng(0)
    n = 80
    plain = {}
    for field in ITEM_METADATA:
        there = rng.random(n) < 0.7
        if pa.types.is_boolean(field.type):
            made = (rng.random(n) < 0.5).tolist()
        elif pa.types.is_float32(field.type):
            made = rng.random(n).astype(np.float32).tolist()
        else:
            made = [f"{field.name} {i} é" if field.name == "id" else f"value {i % 5}" for i in range(n)]
        kept = made if not field.nullable else [v if t else None for v, t in zip(made, there, strict=True)]
        if field in SHARED_FACTS:  # every item of a slide repeats them
            kept = [kept[i % 5] for i in range(n)]
        plain[field.name] = pa.array(kept, field.type)
    table = pa.table(plain)
    columns = ItemColumns.of_table(table, np.arange(n, dtype=np.uint64))
    if offset:
        columns = ItemColumns(columns.table.slice(offset), columns.row_ids[offset:])
    rows = rng.permutation(n - offset)[:12]
    expected = table.slice(offset).take(pa.array(rows)).to_pydict()
    assert columns.values(rows) == expected
