"""The app in headless Chromium: what is on the screen against what `search` returns."""

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import unquote_plus, urlparse

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from app.server import serve_in_background
from encoders.registry import open_space
from indexer.building.build import build_index
from indexer.datasets.manifest import load_manifest
from indexer.sources import open_sources
from search.engine import Engine
from search.query import GenesQuery, ItemQuery

pytestmark = pytest.mark.browser

_QUIET = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
          "--disable-component-update", "--disable-sync")  # fmt: skip
_WAIT_MS = 30_000
expect.set_options(timeout=_WAIT_MS)
_VIEWER = "document.querySelector('.hs-viewer')?.hsViewer"
_PLACE = f"""([x, y]) => {{
    const frame = {_VIEWER}.frame(), box = {_VIEWER}.stage.getBoundingClientRect();
    return [box.x + frame.a * x + frame.c * y + frame.e, box.y + frame.b * x + frame.d * y + frame.f];
}}"""


@pytest.fixture(scope="session", autouse=True)
def viewer_library(kept_library: Path | None, cache_dir: Path) -> None:
    """What the viewer draws with, as set-up fetched it."""
    if kept_library is None:
        pytest.skip("no slide viewer: run `python -m app.viewer.assets` once where there is a network")
    (cache_dir / "viewer").mkdir(exist_ok=True)
    (cache_dir / "viewer" / kept_library.parent.name).symlink_to(kept_library.parent)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no browser: chromium is not on the PATH")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=list(_QUIET))
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """A tab that notes where it asks for anything."""
    tab = chromium.new_page(viewport={"width": 1280, "height": 900})
    tab.set_default_timeout(_WAIT_MS)
    tab.hosts = set()
    tab.on("request", lambda request: tab.hosts.add(urlparse(request.url).hostname))
    yield tab
    tab.close()


@pytest.fixture(scope="session")
def keep_picture(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Page, str], None]:
    """Saves a screenshot under HISTOSEEK_ARTIFACTS, or in the tests' own folder."""
    folder = Path(os.environ.get("HISTOSEEK_ARTIFACTS") or tmp_path_factory.mktemp("screens"))
    folder.mkdir(parents=True, exist_ok=True)

    def keep(page: Page, name: str) -> None:
        page.screenshot(path=folder / f"{name}.png")

    return keep


@pytest.fixture(scope="session")
def real_db(mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Index of sections B4 and C2, with few tiles."""
    folder = tmp_path_factory.mktemp("browser") / "index"
    sources = open_sources("her2st", manifest=load_manifest(), slides=["B4", "C2"])
    assert not build_index(folder, sources, open_space("mini"), tile_stride_um=700.0).failed
    return folder


@pytest.fixture(scope="session")
def small_url(small_db: Path) -> Iterator[str]:
    with serve_in_background(small_db) as url:
        yield url


@pytest.fixture(scope="session")
def real_url(real_db: Path) -> Iterator[str]:
    with serve_in_background(real_db) as url:
        yield url


def settle(page: Page) -> None:
    """Wait until the page has something on it, the script has run and nothing has gone wrong."""
    page.locator('[data-testid="stMainBlockContainer"] [data-testid="stElementContainer"]').nth(3).wait_for(
        state="attached"
    )
    page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]')
    expect(page.get_by_test_id("stException")).to_have_count(0)


def shown_hits(page: Page) -> list[str]:
    links = page.locator("a.hs-card").evaluate_all("cards => cards.map(card => card.getAttribute('href'))")
    return [unquote_plus(re.search(r"item=([^&]+)", link)[1]) for link in links]


def click_on_map(page: Page, x_px: float, y_px: float) -> None:
    """Click with the mouse on a place of the slide, level-0 pixels."""
    await_viewer(page)
    x, y = page.evaluate(_PLACE, [x_px, y_px])
    page.mouse.move(x - 3, y - 3)
    page.mouse.move(x, y, steps=3)
    page.mouse.click(x, y)


def await_viewer(page: Page) -> None:
    """Wait until the slide and its items are drawn, and the view rests."""
    page.wait_for_function(f"() => {_VIEWER}?.overlay?.items && {_VIEWER}.osd.world.getItemCount() > 0")
    page.wait_for_function(f"() => {_VIEWER}.frame() && !{_VIEWER}.osd.isAnimating?.()")
    page.wait_for_timeout(300)


def far_item(engine: Engine, slide: str, kind: str) -> dict:
    """Item of the slide in its lower right, so that it is not the one shown at first."""
    items = engine.index.metadata().to_pandas()
    items = items[(items["slide"] == slide) & (items["kind"] == kind)]
    return items.loc[(items["x_px"] + items["y_px"]).idxmax()].to_dict()


def expect_hits(page: Page, engine: Engine, query, target: str = "expression", exclude: str = "auto") -> None:
    expected = engine.search(query, target=target, k=12, exclude=exclude)
    first = page.locator("a.hs-card").first
    expect(first).to_have_attribute("href", re.compile(f"item={_quoted(expected)}$"))
    settle(page)
    assert shown_hits(page) == expected.table.column("id").to_pylist()
    score = expected.table.column("score")[0].as_py()
    expect(first).to_contain_text(f"1. {score:.3f}")
    expect(first).to_contain_text(expected.table.column("licence")[0].as_py())


def _quoted(result) -> str:
    return re.escape(result.table.column("id")[0].as_py().replace("/", "%2F"))


def test_a_click_on_the_map_asks_with_that_item(page, small_url, small_db, keep_picture):
    engine = Engine.open(small_db)
    page.goto(small_url)
    settle(page)
    expect(page.get_by_text("Generated data.")).to_be_visible()
    item = far_item(engine, "GEN1-1", "spot")
    click_on_map(page, item["x_px"], item["y_px"])
    expect_hits(page, engine, ItemQuery(item["id"], "image"))
    assert unquote_plus(urlparse(page.url).query).endswith(f"item={item['id']}")
    keep_picture(page, "generated-tissue")


def test_the_view_stays_while_colours_change_and_a_region_is_asked_with(page, small_url, keep_picture):
    page.goto(small_url)
    settle(page)
    await_viewer(page)
    expect(page.locator(".hs-v-said")).to_contain_text("no image file of this slide")
    expect(page.locator(".hs-v-scale")).to_contain_text("\N{MICRO SIGN}m")
    page.locator(".hs-v-tools").get_by_label("Zoom in").click()
    page.wait_for_timeout(900)
    before = page.evaluate(f"{_VIEWER}.frame()")
    page.get_by_role("button", name="Overlay").click()
    page.get_by_text("Similarity to the query").click()
    expect(page.locator(".hs-v-title")).to_contain_text("similarity")
    page.keyboard.press("Escape")
    settle(page)
    assert page.evaluate(f"{_VIEWER}.frame()") == pytest.approx(before)
    low = page.get_by_label("Lower colour limit")
    low.fill("0.25")
    low.press("Enter")
    assert page.evaluate(f"{_VIEWER}.overlay.colours.low") == 0.25

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
    assert page.evaluate(f"{_VIEWER}.frame()") == pytest.approx(before)
    page.get_by_role("combobox", name="Item").click()
    page.get_by_role("option").first.click()
    expect(page.locator(".hs-query")).not_to_contain_text("drawn region")


def test_a_hit_opens_on_its_slide(page, small_url):
    page.goto(small_url)
    settle(page)
    first = page.locator("a.hs-card").first
    expect(first).to_be_visible()
    hit = shown_hits(page)[0]
    first.click()
    page.wait_for_url(re.compile(r"item="))
    expect(page.locator(".hs-query").filter(has_text=hit.rsplit("/", 1)[-1])).to_be_visible()
    settle(page)


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


@pytest.mark.real
def test_the_main_jobs_on_real_tissue(page, real_url, real_db, keep_picture):
    engine = Engine.open(real_db)
    page.goto(real_url)
    settle(page)
    keep_picture(page, "1-landing")

    page.wait_for_selector(".hs-v-ready")  # decoded, and shown by tile
    assert page.evaluate(f"{_VIEWER}.osd.world.getItemAt(1).source.dimensions.x") == 9272
    spot = far_item(engine, "B4", "spot")
    click_on_map(page, spot["x_px"], spot["y_px"])
    expect_hits(page, engine, ItemQuery(spot["id"], "image"))
    keep_picture(page, "2-spot")

    page.get_by_role("radio", name=re.compile("Tiles")).click()
    tile = far_item(engine, "B4", "tile")
    settle(page)
    click_on_map(page, tile["x_px"], tile["y_px"])
    expect_hits(page, engine, ItemQuery(tile["id"], "image"))
    keep_picture(page, "3-tile")

    page.get_by_role("radio", name="Predicted genes").click()
    expect(page.get_by_text("Similarity-weighted mean of")).to_be_visible()
    settle(page)
    keep_picture(page, "4-predicted-genes")

    page.get_by_role("link", name="Genes").click()
    page.get_by_role("textbox", name="Genes").fill("ERBB2:2 KRT19 -VIM")
    page.keyboard.press("Enter")
    expect_hits(page, engine, GenesQuery("ERBB2:2 KRT19 -VIM"), target="image", exclude="none")
    keep_picture(page, "5-genes")

    page.get_by_role("link", name="Slides").click()
    expect(page.get_by_role("heading", name="Similar slides")).to_be_visible()
    settle(page)
    keep_picture(page, "6-slides")

    page.get_by_role("link", name="Index").click()
    expect(page.get_by_role("heading", name="How good the space is")).to_be_visible()
    expect(page.get_by_test_id("stMetric").filter(has_text="Slides")).to_contain_text("2")
    keep_picture(page, "7-index")
