"""The growth curve: its table and outlook are those of the stored run, and rows become exponents."""

import json
from pathlib import Path

import pytest

from benchmarks.ann_growth import exponent
from benchmarks.ann_outlook import Growth, Machine, outlook, page, table

DOCS = Path(__file__).parents[1] / "docs"


def rows(**costs):
    """Lines of a run in which each cost has a value at 1,000 and at 10,000."""
    return [
        json.dumps({"row": f"{cost.replace('_', ' ')} at {n:,}", "value": value, "n": n})
        for cost, values in costs.items()
        for n, value in zip((1_000, 10_000), values, strict=True)
    ]


def test_the_exponent_of_a_cost():
    assert exponent([(10, 3.0), (1_000, 30.0)]) == pytest.approx(0.5)
    assert exponent([(n, 7.0 * n**1.25) for n in (10, 100, 5_000)]) == pytest.approx(1.25)


def test_larger_indexes_are_carried_on_from_the_bytes_and_the_exponent():
    mib = 10_000 / 2**20
    lines = rows(
        codes_on_disk=(0.0, 100 * mib), columns_on_disk=(1.0, 100 * mib), vectors_on_disk=(1.0, 2_000 * mib),
        table_on_disk=(1.0, 2_000 * mib), unfiltered_p50_of_CPU=(1.0, 10**0.5), build_of_CPU=(36.0, 36.0),
    )  # fmt: skip
    growth = Growth(lines)
    assert growth.at("unfiltered p50 of CPU", 1_000_000, 0.4) == pytest.approx(10**1.5)
    text = outlook(growth, Machine(memory_gib=100, disk_tb=10, memory_share=1, disk_share=1))
    assert "| 100,000,000 | 20 GB | 0.20 TB | 0.20 TB | 1 | 316.2 ms | 10,000 h | 355 |" in text
    assert "| 1,000,000,000 | 200 GB | 2.00 TB | 2.00 TB | 2 |" in text
    assert "| unfiltered p50 of CPU, ms | 1 | 3.16 | 0.50 |" in table(growth)


def test_the_page_is_that_of_the_stored_run():
    stored = (DOCS / "growth.jsonl").read_text(encoding="utf-8").splitlines()
    assert page(stored) in (DOCS / "engines.md").read_text(encoding="utf-8")
