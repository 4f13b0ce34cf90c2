"""A dry run says what the run would do, and leaves nothing behind."""

import pytest

from indexer.building.build import build_index
from indexer.building.run_options import RunOptions
from indexer.doctor.findings import is_sound
from indexer.doctor.slides import look_at_slides
from indexer.forecast.forecast import forecast
from indexer.index import Index
from tests.indexer.store_doubles import FakeSource, fake_space, write_source


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    folder = tmp_path_factory.mktemp("src")
    return [
        write_source(folder, "A1"),
        write_source(folder, "A2", image=False, spots=5),
        write_source(folder, "B1", bad=True),
        write_source(folder, "B2", swap=True),
        FakeSource(write_source(folder, "C1").files[0], mpp=400.0),
        write_source(folder, "A1"),
    ]


def test_a_forecast_says_what_the_run_then_does(sources, tmp_path):
    found = forecast(sources, fake_space(), tile_stride_um=120)
    report = build_index(tmp_path / "idx", sources, fake_space(), tile_stride_um=120, run=RunOptions(commit_s=0))
    failing = [(look.slide, look.error, look.reason) for look in found.failing]
    assert sorted(failing) == sorted((run.slide, run.error, run.reason) for run in report.failed)
    assert len(failing) == 4
    assert all("run the same command again" in look.next_step for look in found.failing)
    by_name = {look.slide: look for look in found.looks if not look.will_fail}
    tiles = {run.slide: run.n_tiles for run in report.slides if run.outcome == "added"}
    assert tiles == {"A1": by_name["A1"].n_tiles, "A2": 0}
    assert by_name["A2"].n_rows == 5
    assert (by_name["A1"].width_px, by_name["A1"].mpp, by_name["A1"].mpp_source) == (640, 1.0, "generated")
    # The slide that fails as the second of its name counts as there.
    assert found.n_items == report.n_items == len(Index.open(tmp_path / "idx"))


def test_time_and_bytes_grow_with_what_is_to_be_done(sources):
    one = forecast(sources[:1], fake_space(), tile_stride_um=120)
    finer = forecast(sources[:1], fake_space(), tile_stride_um=60)
    assert finer.n_tiles > 3 * one.n_tiles
    assert finer.bytes_index > one.bytes_index > 0
    assert one.seconds > 0
    assert one.patches_per_s is not None
    assert one.rows_per_s is not None


def test_slides_that_are_there_cost_nothing(sources, tmp_path):
    found = forecast(sources[:2], fake_space(), tile_stride_um=120, there=["A1", "Z9"])
    assert found.there == {"A1"}
    assert found.n_items == 6
    assert list(tmp_path.iterdir()) == []


def test_the_doctor_says_of_slides_what_ingest_would(sources):
    found = look_at_slides(sources[:3], side_um=40.0, side_px=16, stride_um=120.0)
    assert [finding.state for finding in found] == ["ok", "ok", "note"]
    assert "640 x 480 px, 1 um per px (generated)" in found[0].found
    assert found[1].found == "5 rows of counts"
    assert found[2].found.startswith("will fail: Slide B1: its counts are malformed")
    assert is_sound(found)
