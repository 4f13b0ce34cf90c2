"""A small index of generated sections in the default space, a command line to ask it with, and a browser."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlparse

import pytest

from app.cli import main
from encoders.registry import open_space
from indexer.building.build import build_index
from indexer.generated.sections import generated_sections

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

_QUIET = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
          "--disable-component-update", "--disable-sync")  # fmt: skip
_WAIT_MS = 30_000


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    code: int
    stdout: str
    stderr: str


@pytest.fixture(scope="session")
def small_db(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Index of two generated sections of two patients; read it only."""
    folder = tmp_path_factory.mktemp("small") / "index"
    build_index(folder, generated_sections(n_patients=2, side_px=1000), open_space("mini"), tile_stride_um=300.0)
    return folder


@pytest.fixture
def histoseek(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ran]:
    """Runs `histoseek ARGUMENTS`, its tables as wide as on a terminal of 110 columns."""
    monkeypatch.setenv("COLUMNS", "110")

    def run(*arguments: object) -> Ran:
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            main([str(argument) for argument in arguments])
        out = capsys.readouterr()
        return Ran(int(stop.value.code or 0), out.out, out.err)

    return run


@pytest.fixture(scope="session")
def viewer_library(kept_library: Path | None, cache_dir: Path) -> None:
    """What the slide viewer draws with, as set-up fetched it."""
    if kept_library is None:
        pytest.skip("no slide viewer: run `python -m app.viewer.assets` once where there is a network")
    (cache_dir / "viewer").mkdir(exist_ok=True)
    (cache_dir / "viewer" / kept_library.parent.name).symlink_to(kept_library.parent)


@pytest.fixture(scope="session")
def chromium() -> "Iterator[Browser]":
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no browser: chromium is not on the PATH")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=list(_QUIET))
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: "Browser", viewer_library: None) -> "Iterator[Page]":
    """A tab that notes where it asks for anything."""
    tab = chromium.new_page(viewport={"width": 1280, "height": 900})
    tab.set_default_timeout(_WAIT_MS)
    tab.hosts = set()
    tab.on("request", lambda request: tab.hosts.add(urlparse(request.url).hostname))
    yield tab
    tab.close()


@pytest.fixture(scope="session")
def keep_picture(tmp_path_factory: pytest.TempPathFactory) -> "Callable[[Page, str], None]":
    """Saves a screenshot under HISTOSEEK_ARTIFACTS, or in the tests' own folder."""
    folder = Path(os.environ.get("HISTOSEEK_ARTIFACTS") or tmp_path_factory.mktemp("screens"))
    folder.mkdir(parents=True, exist_ok=True)

    def keep(page: "Page", name: str) -> None:
        page.screenshot(path=folder / f"{name}.png")

    return keep
