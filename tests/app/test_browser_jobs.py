"""The three main jobs in headless Chromium on real tissue, from the landing page to a file that is taken along."""

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import Page, expect

from app.server import serve_in_background
from encoders.registry import open_space
from indexer.building.build import build_index
from indexer.datasets.manifest import load_manifest
from indexer.sources import open_sources
from search.engine import Engine
from search.query import ExamplesQuery, GenesQuery, ItemQuery, SlideQuery
from tests.app.browser_pages import (
    VIEWER,
    await_viewer,
    click_on_map,
    expect_hits,
    far_item,
    settle,
    shown_hits,
    take,
)

pytestmark = [pytest.mark.browser, pytest.mark.real]

_GENES = "ERBB2:2 KRT19 -VIM"
_VIEWS = "[...document.querySelectorAll('.hs-viewer')].map(root => root.hsViewer)"


@pytest.fixture(scope="module")
def real_db(mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Index of sections B4 and C2, with few tiles."""
    folder = tmp_path_factory.mktemp("browser") / "index"
    sources = open_sources("her2st", manifest=load_manifest(), slides=["B4", "C2"])
    assert not build_index(folder, sources, open_space("mini"), tile_stride_um=700.0).failed
    return folder


@pytest.fixture(scope="module")
def engine(real_db: Path) -> Engine:
    return Engine.open(real_db)


@pytest.fixture(scope="module")
def real_url(real_db: Path) -> Iterator[str]:
    with serve_in_background(real_db) as url:
        yield url


def _go_to(page: Page, name: str) -> None:
    page.get_by_role("link", name=name, exact=True).click()
    page.wait_for_url(re.compile(f"/{name.lower()}"))
    settle(page)


def _mark(page: Page, item: str, thumb: str) -> None:
    under = page.locator(f"[class*='-{item.replace('/', '-')} ']").get_by_test_id("stFeedbackButton")
    under.and_(page.get_by_label(thumb)).click()


def test_a_spot_is_asked_with_and_the_refined_hits_are_taken_along(
    page, real_url, real_db, engine, histoseek, keep_picture, tmp_path
):
    page.goto(real_url)
    settle(page)
    keep_picture(page, "1-landing")
    page.wait_for_selector(".hs-v-ready")  # decoded, and shown by tile
    assert page.evaluate(f"{VIEWER}.osd.world.getItemAt(1).source.dimensions.x") == 9272
    spot = far_item(engine, "B4", "spot")
    click_on_map(page, spot["x_px"], spot["y_px"])
    asked = ItemQuery(spot["id"], "image")
    expect_hits(page, engine, asked)

    page.get_by_role("button", name="Filters").click()  # else the slides of what is marked are left out too
    page.get_by_text("Nothing", exact=True).click()
    page.keyboard.press("Escape")
    expect_hits(page, engine, asked, exclude="none")
    first = shown_hits(page)
    page.get_by_text("Refine", exact=True).click()
    settle(page)
    _mark(page, first[0], "Thumbs up")
    expect(page.get_by_text("1 right, 0 wrong")).to_be_visible()
    settle(page)
    _mark(page, first[3], "Thumbs down")
    expect(page.get_by_text("1 right, 1 wrong")).to_be_visible()
    moved = ExamplesQuery(asked, (ItemQuery(first[0], "expression"),), (ItemQuery(first[3], "expression"),))
    expect_hits(page, engine, moved, exclude="none")
    assert shown_hits(page) != first
    keep_picture(page, "2-refined")

    page.get_by_role("button", name="Download").click()
    table = pd.read_csv(take(page, "Table (CSV)", tmp_path))
    assert table["id"].tolist() == shown_hits(page)
    again = histoseek("run", take(page, "The question, to ask it again (YAML)", tmp_path), "--db", real_db, "--json")
    assert [hit["id"] for hit in json.loads(again.stdout)["hits"]] == shown_hits(page)


def test_genes_are_asked_with_seen_on_the_map_and_outlined_for_qupath(page, real_url, engine, keep_picture, tmp_path):
    page.goto(real_url)
    settle(page)
    _go_to(page, "Genes")
    page.get_by_role("textbox", name="Genes").first.fill(_GENES)
    page.keyboard.press("Enter")
    expect_hits(page, engine, GenesQuery(_GENES), target="image", exclude="none")
    await_viewer(page)
    expected = engine.similarity_map(GenesQuery(_GENES), "B4").to_pandas().set_index("id")["score"]
    names, values = page.evaluate(f"[{VIEWER}.overlay.items.names, [...{VIEWER}.overlay.colours.values]]")
    assert values == pytest.approx(expected[names].tolist(), abs=1e-6)
    keep_picture(page, "3-genes")

    shown = engine.search(GenesQuery(_GENES), target="image", k=12, exclude="none").to_pandas().set_index("id")
    page.get_by_role("button", name="Download").click()
    label = "Outlines for QuPath (GeoJSON)" + (", one a slide" if len(set(shown["slide"])) > 1 else "")
    outlines = _outlines(take(page, label, tmp_path))
    assert set(outlines) == set(shown.index)
    for item, (slide, ring) in outlines.items():
        assert slide in (shown.loc[item, "slide"], None)
        assert np.asarray(ring)[:-1].mean(axis=0) == pytest.approx(shown.loc[item, ["x_px", "y_px"]].tolist(), abs=0.1)
    page.keyboard.press("Escape")

    hit = shown.iloc[0]
    page.evaluate("window.stayed = true")  # gone with a new page
    page.locator("a.hs-card").first.click()
    page.wait_for_url(re.compile(r"item="))
    expect(page.locator(".hs-query").filter(has_text=hit.name.rsplit("/", 1)[-1])).to_be_visible()
    settle(page)
    await_viewer(page)
    assert page.evaluate("window.stayed") is True
    assert page.evaluate(f"{VIEWER}.overlay.items.names[{VIEWER}.overlay.chosen]") == hit.name
    assert page.evaluate(f"{VIEWER}.centre()") == pytest.approx([hit["x_px"], hit["y_px"]], abs=2)
    keep_picture(page, "4-opened-hit")

    page.get_by_role("radio", name="Predicted genes").click()
    expect(page.get_by_text(re.compile("neighbours, worth"))).to_be_visible()
    settle(page)
    keep_picture(page, "5-predicted-genes")


def _outlines(path: Path) -> dict[str, tuple[str | None, list]]:
    """Item -> slide and outline, of a file for QuPath or of several in a zip."""
    texts = {None: path.read_text(encoding="utf-8")} if path.suffix == ".geojson" else {}
    if not texts:
        with ZipFile(io.BytesIO(path.read_bytes())) as files:
            texts = {Path(name).stem.removeprefix("hits."): files.read(name) for name in files.namelist()}
    return {
        one["properties"]["metadata"]["id"]: (slide, one["geometry"]["coordinates"][0])
        for slide, text in texts.items()
        for one in json.loads(text)["features"]
    }


def test_a_slide_is_compared_and_laid_over_another_one(page, real_url, engine, keep_picture, tmp_path):
    page.goto(real_url)
    settle(page)
    _go_to(page, "Slides")
    similar = engine.similar_slides("B4", k=8).to_pandas()
    page.locator("#glide-cell-2-0").wait_for(state="attached")
    cells = page.get_by_test_id("stDataFrame").first.locator("tr[aria-rowindex='2'] td").all_text_contents()
    assert similar["slide"][0] in cells
    assert str(similar["score"][0])[:6] in "".join(cell[:6] for cell in cells)
    side = engine.similar_slides("B4", k=8).query["using"]
    cohorts = engine.cohorts(SlideQuery("B4", side), by="patient", target=side).to_pandas()
    bars = page.get_by_test_id("stPlotlyChart")
    expect(bars.locator(".ytick text").first).to_be_visible()
    assert {bar.strip() for bar in bars.locator(".ytick text").all_text_contents()} == set(cohorts["group"])
    keep_picture(page, "6-slides")

    _go_to(page, "Index")
    expect(page.get_by_test_id("stMetric").filter(has_text="Slides")).to_contain_text("2")
    _go_to(page, "Sections")
    found = engine.align("B4", "C2", model="warp")
    expect(page.get_by_text(f"median residual {found.residual_um:.0f}")).to_be_visible()
    page.wait_for_function(f"() => {_VIEWS}.length == 2 && {_VIEWS}.every(view => view?.frame())")
    page.wait_for_timeout(900)
    page.locator(".hs-v-tools").first.get_by_label("Zoom in").click()
    page.wait_for_timeout(900)
    here, there = page.evaluate(f"{_VIEWS}.map(view => view.centre())")
    assert there == pytest.approx((np.array(found.matrix_px) @ [*here, 1.0]).tolist(), abs=2)
    keep_picture(page, "7-sections")
    pd.testing.assert_frame_equal(
        pd.read_csv(take(page, "Places (CSV)", tmp_path)), found.to_pandas(), check_dtype=False
    )
    assert take(page, "Figure (PNG)", tmp_path).read_bytes().startswith(b"\x89PNG")
