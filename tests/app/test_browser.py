"""The app in headless Chromium, on generated sections: what the viewer and the uploads do."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import expect

from app.server import serve_in_background
from search.composing.regions import region_from_geojson
from search.engine import Engine
from tests.app.browser_pages import VIEWER, await_viewer, expect_hits, settle, shown_hits

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def small_url(small_db: Path) -> Iterator[str]:
    with serve_in_background(small_db) as url:
        yield url


def test_the_view_stays_while_colours_change_and_a_region_is_asked_with(page, small_url, keep_picture):
    page.goto(small_url)
    settle(page)
    expect(page.get_by_text("Generated data.")).to_be_visible()
    await_viewer(page)
    expect(page.locator(".hs-v-said")).to_contain_text("no image file of this slide")
    expect(page.locator(".hs-v-scale")).to_contain_text("\N{MICRO SIGN}m")
    page.locator(".hs-v-tools").get_by_label("Zoom in").click()
    page.wait_for_timeout(900)
    before = page.evaluate(f"{VIEWER}.frame()")
    page.get_by_role("button", name="Overlay").click()
    page.get_by_text("Similarity to the query").click()
    expect(page.locator(".hs-v-title")).to_contain_text("similarity")
    page.keyboard.press("Escape")
    settle(page)
    assert page.evaluate(f"{VIEWER}.frame()") == pytest.approx(before)
    low = page.get_by_label("Lower colour limit")
    low.fill("0.25")
    low.press("Enter")
    assert page.evaluate(f"{VIEWER}.overlay.colours.low") == 0.25

    page.get_by_label("Draw a region").click()
    box = page.locator(".hs-v-stage").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x - 115, y - 115)
    page.mouse.down()
    for dx, dy in ((115, -115), (115, 115), (-115, 115), (-115, -115)):
        page.mouse.move(x + dx, y + dy, steps=4)
    page.mouse.up()
    expect(page.locator(".hs-query")).to_contain_text("drawn region")
    expect(page.get_by_text("Region: ")).to_be_visible()
    settle(page)
    keep_picture(page, "generated-region")
    assert page.evaluate(f"{VIEWER}.frame()") == pytest.approx(before)
    hits, link = shown_hits(page), page.url
    page.goto("about:blank")
    page.goto(link)
    expect(page.locator(".hs-query")).to_contain_text("drawn region")
    settle(page)
    await_viewer(page)
    assert shown_hits(page) == hits
    assert page.evaluate(f"{VIEWER}.frame()") == pytest.approx(before, rel=0.01, abs=1)
    assert page.evaluate(f"{VIEWER}.overlay.polygons.length") == 1
    page.get_by_role("combobox", name="Item").click()
    page.get_by_role("option").first.click()
    expect(page.locator(".hs-query")).not_to_contain_text("drawn region")
    settle(page)
    assert "region=" not in page.url
    page.go_back()
    expect(page.locator(".hs-query")).to_contain_text("drawn region")


def _asked(page) -> str:
    return page.locator(".hs-query [title]").first.get_attribute("title")


def _question_of(page) -> str:
    """The address without the place of the viewer, which moves on for a moment."""
    return re.sub(r"[?&]at=[^&]*", "", page.url)


def test_back_leads_to_the_question_before_and_forward_to_the_hit(page, small_url):
    page.goto("about:blank")
    page.goto(small_url)
    settle(page)
    await_viewer(page)
    began, at_first = _question_of(page), _asked(page)
    page.locator("a.hs-card").first.click()
    expect(page.locator(".hs-query [title]").first).not_to_have_attribute("title", at_first)
    settle(page)
    opened, hit = _question_of(page), _asked(page)
    page.get_by_role("radio", name="Nearest cohorts").click()
    page.wait_for_url("**view=Nearest*")
    settle(page)
    for go, address, item in (
        (page.go_back, opened, hit),
        (page.go_back, began, at_first),
        (page.go_forward, opened, hit),
    ):
        go()
        expect(page.locator(".hs-query [title]").first).to_have_attribute("title", item)
        settle(page)
        assert _question_of(page) == address
    page.get_by_role("link", name="Slides").click()
    page.wait_for_url("**/slides?slide=*")
    settle(page)
    page.go_back()
    expect(page.locator(".hs-query [title]").first).to_have_attribute("title", hit)
    settle(page)
    assert _question_of(page) == opened


def test_back_from_a_hit_of_the_genes_page_leads_to_its_genes_and_slide(page, small_url):
    page.goto("about:blank")
    page.goto(f"{small_url}/genes?genes=ERBB2")
    settle(page)
    page.wait_for_url("**slide=GEN*")
    asked = page.url
    page.locator("a.hs-card").last.click()
    page.wait_for_url("**/?slide=*item=*")
    settle(page)
    opened = _question_of(page)
    page.go_back()
    expect(page.get_by_label("Genes", exact=True)).to_have_value("ERBB2")
    settle(page)
    assert page.url == asked
    page.go_forward()
    page.wait_for_url("**/?slide=*item=*")
    settle(page)
    assert _question_of(page) == opened
    page.go_back()
    page.wait_for_url("**/genes?*")
    page.go_back()  # what a page fills in is no stop on the way
    page.wait_for_url("about:blank")


def test_nothing_is_asked_of_another_host(page, small_url):
    for name in ("", "genes?genes=ERBB2", "slides", "index"):
        page.goto(f"{small_url}/{name}")
        settle(page)
    assert page.hosts <= {"127.0.0.1", None}  # None: pictures that stand in the page itself


def test_an_uploaded_patch_is_searched_with(page, small_url, small_db, tmp_path):
    engine = Engine.open(small_db)
    rows = [row for row, item in enumerate(engine.index.metadata().column("id").to_pylist()) if "/tile/" in item]
    picture = tmp_path / "patch.jpg"
    picture.write_bytes(engine.index.thumbnails(rows[:1])[0])
    page.goto(small_url)
    settle(page)
    page.get_by_role("button", name="Upload").click()
    page.locator("input[type=file]").set_input_files(picture)
    expect(page.get_by_text("Say how many micrometres")).to_be_visible()
    with Image.open(picture) as opened:
        mpp = engine.space.card.patch_side_um / opened.width
    page.get_by_label("Micrometres per pixel").fill(f"{mpp + 0.0001:.4f}")
    page.keyboard.press("Enter")
    expect(page.locator(".hs-query").filter(has_text="your own picture")).to_be_visible()
    settle(page)
    expect(page.locator(".hs-query")).to_have_count(1)
    expect(page.locator("a.hs-card").first).to_contain_text("1. ")


def test_outlines_of_a_file_are_asked_with_and_shown(page, small_url, small_db, tmp_path):
    square = [[200, 200], [800, 200], [800, 800], [200, 800], [200, 200]]
    drawn = tmp_path / "gland.geojson"
    drawn.write_text(json.dumps([{"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [square]}}]))
    page.goto(f"{small_url}/?slide=GEN1-1")
    settle(page)
    await_viewer(page)
    page.get_by_role("button", name="Upload").click()
    page.get_by_role("radio", name="A region of this slide").click()
    chooser = page.get_by_label("Annotations of GEN1-1").locator("input[type=file]")
    chooser.set_input_files({"name": "no.json", "mimeType": "text/json", "buffer": b"{}"})
    expect(page.get_by_test_id("stAlertContentError")).to_contain_text("no.json is JSON, but holds no GeoJSON")
    chooser.set_input_files(drawn)
    expect(page.locator(".hs-query")).to_contain_text("gland.geojson")
    settle(page)
    engine = Engine.open(small_db)
    expect_hits(page, engine, region_from_geojson(drawn, "GEN1-1", using="image"))
    assert page.evaluate(f"{VIEWER}.overlay.polygons") == [square]
    page.keyboard.press("Escape")
    page.get_by_role("combobox", name="Item").click()  # another item is asked with instead
    page.get_by_role("option").first.click()
    expect(page.locator(".hs-query")).not_to_contain_text("gland.geojson")
    settle(page)
    assert page.evaluate(f"{VIEWER}.overlay.polygons") == []
