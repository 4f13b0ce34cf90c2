"""Take the README's pictures of the app: `python docs/screenshots.py INDEX`, of the index that `make demo` builds.

Each is 1600 x 1000 pixels in 256 colours, in docs/.
"""

import io
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from app.server import serve_in_background

if TYPE_CHECKING:
    from playwright.sync_api import Page

DOCS = Path(__file__).resolve().parent
WIDTH, HEIGHT = 1600, 1000
WAIT_MS = 120_000
MOST_BYTES = 700_000
_DONE = '[data-testid="stApp"][data-test-script-state="notRunning"]'
_DRAWN = """() => {
    const views = [...document.querySelectorAll(".hs-viewer")].map((root) => root.hsViewer);
    const drawn = (view) => view?.overlay?.items && view.frame() && view.root.matches(".hs-v-ready");
    return views.length && views.every(drawn);
}"""


@dataclass(frozen=True)
class Shot:
    """One picture: its file, the page with its query, and what is waited for and done there."""

    name: str
    address: str
    until: str
    then: "Callable[[Page], None] | None" = None


def _colour_by_similarity(page: "Page") -> None:
    page.get_by_role("button", name="Overlay").click()
    page.get_by_text("Similarity to the query").click()
    page.keyboard.press("Escape")
    page.locator(".hs-v-bar").wait_for()
    page.get_by_label("Show the tissue").click()  # a link opens the slide at its item


SHOTS = (
    Shot("tissue", "?slide=B4&item=B4/spot/7x25", "a.hs-card", _colour_by_similarity),
    Shot("genes", "genes?genes=ERBB2:2+KRT19+-VIM&slide=B4", "a.hs-card"),
    Shot("sections", "sections", ".hs-v-tools"),
)


def quantised(picture: bytes) -> bytes:
    """A PNG in at most 256 colours."""
    buffer = io.BytesIO()
    with Image.open(io.BytesIO(picture)) as opened:
        full = opened.convert("RGB")
        few = full.quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=3)  # its colours are those of the page
        few = full.quantize(palette=few, dither=Image.Dither.FLOYDSTEINBERG)
        few.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def take(page: "Page", url: str, shot: Shot) -> bytes:
    """Open a page, wait until everything on it is drawn, and take its picture."""
    page.goto(f"{url}/{shot.address}")
    page.locator(shot.until).first.wait_for()
    page.wait_for_function(_DRAWN)
    page.wait_for_selector(_DONE)
    if shot.then is not None:
        shot.then(page)
        page.wait_for_selector(_DONE)
    page.mouse.move(4, HEIGHT - 4)
    page.wait_for_timeout(1500)  # tiles fade in
    return quantised(page.screenshot())


def main(index: Path) -> None:
    """Take all pictures of an index."""
    from playwright.sync_api import sync_playwright

    with serve_in_background(index, wait_s=120) as url, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
        page.set_default_timeout(WAIT_MS)
        for shot in SHOTS:
            picture = take(page, url, shot)
            if len(picture) > MOST_BYTES:
                raise SystemExit(f"{shot.name}: {len(picture):,} bytes; at most {MOST_BYTES:,} go into the README")
            (DOCS / f"{shot.name}.png").write_bytes(picture)
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
