"""The screens in headless Chromium: the first page, a click to its hits, ten people at once; and tiles over HTTP."""

import contextlib
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from playwright.sync_api import Browser, Page, Playwright, sync_playwright

from benchmarks.app_server import Served, serving
from benchmarks.report import Row
from indexer.index import Index

BENCH = "app"
PEOPLE = 10
_WAIT_MS = 60_000
_N_TILES = 40
_QUIET = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
          "--disable-component-update", "--disable-sync")  # fmt: skip
_AT_REST = '[data-testid="stApp"][data-test-script-state="notRunning"]'
_VIEWER = "document.querySelector('.hs-viewer')?.hsViewer"
_DRAWN = f"() => {_VIEWER}?.overlay?.items && {_VIEWER}.osd.world.getItemCount() > 0 && {_VIEWER}.frame()"
#: An item that can be clicked on, by random numbers in [0, 1): its number, and its place on the screen.
_PICK = f"""(drawn) => {{
    const viewer = {_VIEWER}, items = viewer.overlay.items, box = viewer.stage.getBoundingClientRect();
    for (const number of drawn) {{
        const i = Math.floor(number * items.names.length), f = viewer.frame();
        const x = box.x + f.a * items.x[i] + f.c * items.y[i] + f.e;
        const y = box.y + f.b * items.x[i] + f.d * items.y[i] + f.f;
        const there = document.elementFromPoint(x, y);
        if (there && viewer.osd.canvas.contains(there) && i !== viewer.overlay.chosen
            && viewer.itemAt({{clientX: x, clientY: y}}) === i) return [items.names[i], x, y];
    }}
    return null;
}}"""
#: Seconds until the hits of an item are on the screen, their pictures decoded, from the next release of the mouse on.
_WATCH = """(item) => { window.hsSeconds = new Promise((answered) => {
    const [kind, name] = [item.split('/').at(-2), item.split('/').at(-1)];
    let start = 0;
    const look = async () => {
        const asked = document.querySelector(`.hs-query [title="${kind} ${CSS.escape(name)}"]`);
        const cards = asked?.closest('.hs-answer')?.querySelectorAll('a.hs-card') ?? [];
        if (!cards.length) return requestAnimationFrame(look);
        await Promise.all([...document.querySelectorAll('.hs-card img')].map((image) => image.decode().catch(() => 0)));
        requestAnimationFrame(() => answered((performance.now() - start) / 1000));
    };
    const begin = () => { start = performance.now(); look(); };
    if (window.hsByHand) document.addEventListener('pointerup', begin, { capture: true, once: true });
    else begin();
}); }"""
_ASK = f"""(item) => {{ const viewer = {_VIEWER}; viewer.send.picked({{slide: viewer.data.slide, item}}); }}"""


def screen_rows(db: Path, folder: Path, *, clicks: int, people_s: float) -> Iterator[Row]:
    """Rows of the screens; of the tiles only where the index has a slide whose file is here."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        yield Row(BENCH, "click to hits p50", None, "s", "bar 0.5 s", 0, "chromium is not on the PATH")
        return
    with (
        sync_playwright() as driver,
        contextlib.closing(_browser(driver, path)) as browser,
        serving(db, folder, screens=True) as served,
    ):
        page, first_s = _open(browser, served.url), _since(served)
        n_items = len(Index.open(db))
        note = f"from the command to a slide with its items and hits on the screen; {n_items:,} items"
        yield Row(BENCH, "first page from a cold start", first_s, "s", "bar 5 s", 1, note)
        yield from _click_rows(page, clicks, n_items)
        if people_s:
            yield from _people_rows(browser, served.url, people_s)
        yield from _tile_rows(db, served.url, page.evaluate(f"{_VIEWER}.data.base"))


def _browser(driver: Playwright, path: str) -> Browser:
    return driver.chromium.launch(executable_path=path, args=list(_QUIET))


def _since(served: Served) -> float:
    return time.perf_counter() - served.began_s


def _open(browser: Browser, url: str) -> Page:
    """A tab with the first page, ready to be used."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(_WAIT_MS)
    page.goto(url)
    page.wait_for_selector("a.hs-card", state="attached")
    page.wait_for_selector(_AT_REST)
    page.wait_for_function(_DRAWN)
    return page


def _click_rows(page: Page, n: int, n_items: int) -> Iterator[Row]:
    random, seconds = np.random.default_rng(0), []
    page.wait_for_timeout(600)  # the view moves no more
    page.evaluate("() => { window.hsByHand = true; }")
    for _ in range(n + 1):
        item, x, y = _picked(page, random)
        page.evaluate(_WATCH, item)
        page.mouse.move(x, y, steps=2)
        page.mouse.click(x, y)
        seconds.append(float(page.evaluate("() => window.hsSeconds")))
        page.wait_for_selector(_AT_REST)
    told = f"mouse released to pictures decoded, each item for the first time; {n_items:,} items"
    for share, bar in ((50, 0.5), (95, 1.0)):
        value = float(np.percentile(seconds[1:], share))
        yield Row(BENCH, f"click to hits p{share}", value, "s", f"bar {bar:g} s", n, told)


def _picked(page: Page, random: np.random.Generator) -> tuple[str, float, float]:
    found = page.evaluate(_PICK, random.random(500).tolist())
    if found is None:
        raise RuntimeError("No item of the first slide can be clicked on.")
    item, x, y = found
    return str(item), float(x), float(y)


def _people_rows(browser: Browser, url: str, seconds: float) -> Iterator[Row]:
    """Tabs in each of which an item is picked as soon as the hits of the last one are on the screen."""
    random, told = np.random.default_rng(1), []
    pages = [_open(browser, url) for _ in range(PEOPLE)]
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for page in pages:
            item = _picked(page, random)[0]
            page.evaluate(_WATCH, item)
            page.evaluate(_ASK, item)
        told += [float(page.evaluate("() => window.hsSeconds")) for page in pages]
    for page in pages:
        page.close()
    note = f"{PEOPLE} tabs of one browser, which all pick at the same moment; {seconds:g} s"
    for share, bar in ((50, None), (95, "bar 2 s")):
        value = float(np.percentile(told, share))
        yield Row(BENCH, f"{PEOPLE} people at once, click to hits p{share}", value, "s", bar, len(told), note)


def _tile_rows(db: Path, url: str, base: str) -> Iterator[Row]:
    with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
        slide, shown = _zoomable(client, base, db)
        if shown is None:
            for how in ("cached", "uncached"):
                note = "no slide of the index has its file here"
                yield Row(BENCH, f"slide tile p50 {how}", None, "ms", None, 0, note)
            return
        columns, rows = (-(-shown[side] // shown["tile_px"]) for side in ("width", "height"))
        places = [(column, row) for column in range(columns) for row in range(rows)]
        order = np.random.default_rng(0).permutation(len(places))[:_N_TILES]
        asked = [
            {"slide": slide, "stamp": shown["stamp"], "level": shown["top"], "x": places[one][0], "y": places[one][1]}
            for one in order
        ]
        first, again = (_tile_ms(client, base, asked) for _ in range(2))
    note = f"over HTTP, level 0 of {slide}, {shown['tile_px']} px"
    for how, ms, bar in (("cached", again, 5), ("uncached", first, 40)):
        for share in (50, 95):
            value = float(np.percentile(ms, share))
            against = f"bar {bar} ms" if share == 50 else None
            yield Row(BENCH, f"slide tile p{share} {how}", value, "ms", against, len(ms), note)


def _zoomable(client: httpx.Client, base: str, db: Path) -> tuple[str, dict[str, Any] | None]:
    """The first slide whose tiles can be had at once, an svs before others."""
    slides = Index.open(db).slide_facts().select(["slide", "image_path"]).to_pylist()
    held = [(row["slide"], Path(row["image_path"]).suffix) for row in slides if row["image_path"]]
    for slide, _ in sorted(held, key=lambda one: one[1] != ".svs")[:_N_TILES]:
        shown: dict[str, Any] = client.get(f"{base}/slide", params={"slide": slide}).json()
        if shown["state"] == "ready":
            return slide, shown
    return "", None


def _tile_ms(client: httpx.Client, base: str, asked: Sequence[dict[str, Any]]) -> list[float]:
    took = []
    for one in asked:
        start = time.perf_counter()
        client.get(f"{base}/tile", params=one).raise_for_status()
        took.append(1_000 * (time.perf_counter() - start))
    return took
