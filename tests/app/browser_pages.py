"""What the browser tests do with a page: wait for it, click on its map, read its hits and its files."""

import re
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote_plus

from playwright.sync_api import Error, Page, expect

from search.engine import Engine

WAIT_MS = 30_000
expect.set_options(timeout=WAIT_MS)
VIEWER = "document.querySelector('.hs-viewer')?.hsViewer"
_PLACE = f"""([x, y]) => {{
    const frame = {VIEWER}.frame(), box = {VIEWER}.stage.getBoundingClientRect();
    return [box.x + frame.a * x + frame.c * y + frame.e, box.y + frame.b * x + frame.d * y + frame.f];
}}"""
_SHOWS = """wanted => {
    const links = [...document.querySelectorAll('a.hs-card')].map(card => card.getAttribute('href'));
    return String(links.map(link => new URLSearchParams(link.split('?')[1]).get('item'))) === String(wanted);
}"""


def settle(page: Page) -> None:
    """Wait until the page has something on it, the script has run and nothing has gone wrong."""
    page.locator('[data-testid="stMainBlockContainer"] [data-testid="stElementContainer"]').nth(3).wait_for(
        state="attached"
    )
    page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]')
    expect(page.get_by_test_id("stException")).to_have_count(0, timeout=2_000)


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
    page.wait_for_function(f"() => {VIEWER}?.overlay?.items && {VIEWER}.osd.world.getItemCount() > 0")
    page.wait_for_function(f"() => {VIEWER}.frame() && !{VIEWER}.osd.isAnimating?.()")
    page.wait_for_timeout(300)


def far_item(engine: Engine, slide: str, kind: str) -> dict:
    """Item of the slide in its lower right, so that it is not the one shown at first."""
    items = engine.index.metadata().to_pandas()
    items = items[(items["slide"] == slide) & (items["kind"] == kind)]
    return items.loc[(items["x_px"] + items["y_px"]).idxmax()].to_dict()


def expect_hits(page: Page, engine: Engine, query, target: str = "expression", exclude: str = "auto") -> None:
    expected = engine.search(query, target=target, k=12, exclude=exclude)
    first, wanted = page.locator("a.hs-card").first, expected.table.column("id").to_pylist()
    expect(first).to_have_attribute("href", re.compile(f"item={_quoted(expected)}$"))
    settle(page)
    with suppress(Error):  # another question may have the same first hit, so that it was there before
        page.wait_for_function(_SHOWS, arg=wanted)
    assert shown_hits(page) == wanted
    score = expected.table.column("score")[0].as_py()
    expect(first).to_contain_text(f"1. {score:.3f}")
    expect(first).to_contain_text(expected.table.column("licence")[0].as_py())


def _quoted(result) -> str:
    return re.escape(result.table.column("id")[0].as_py().replace("/", "%2F"))


def take(page: Page, label: str, folder: Path) -> Path:
    """Download what a button offers, under the name that it gives."""
    with page.expect_download() as taken:
        page.get_by_role("button", name=label, exact=True).click()
    path = folder / taken.value.suggested_filename
    taken.value.save_as(path)
    return path
