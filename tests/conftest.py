"""What every test may use: the real data if it is on this machine, a cache of the tests' own, and a tiny section."""

import csv
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.viewer.assets import library
from indexer.readers.her2st import Her2stSlide
from indexer.slides import SlideFacts

#: Of the tiny section: 5 x 4 spots, 200 um = 40 px apart at 5 um/px, on a picture of 240 x 200 pixels.
GRID = (5, 4)
SIZE_PX = (240, 200)
PITCH_PX = 40
MPP = 5.0
GENES = ("ERBB2", "KRT19", "VIM", "CD3D")


@pytest.fixture(scope="session")
def kept_library() -> Path | None:
    """The script of the slide viewer in the user's own cache."""
    return library()


@pytest.fixture(scope="session", autouse=True)
def cache_dir(tmp_path_factory: pytest.TempPathFactory, kept_library: Path | None) -> Iterator[Path]:
    """Cache of the tests, so that they neither read nor write the user's own; what lies there is looked up before."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HISTOSEEK_CACHE_DIR", str(folder))
        yield folder


@pytest.fixture(autouse=True)
def children_signal_no_one() -> Iterator[None]:
    """PyTorch's loader leaves a handler of SIGCHLD behind, which the end of a later test's process would run into."""
    before = signal.getsignal(signal.SIGCHLD)
    yield
    if signal.getsignal(signal.SIGCHLD) is not before:
        signal.signal(signal.SIGCHLD, before)


@pytest.fixture(scope="session")
def mirror() -> Path:
    """Folder with the real data; skips the test without it."""
    folder = os.environ.get("HISTOSEEK_MIRROR")
    if not folder:
        pytest.skip("no real data: HISTOSEEK_MIRROR is not set")
    if not Path(folder).is_dir():
        pytest.fail(f"HISTOSEEK_MIRROR is {folder}; expected a folder")
    return Path(folder)


@pytest.fixture
def facts() -> SlideFacts:
    """Facts of the tiny section."""
    return SlideFacts(
        slide="S1",
        patient="S",
        cohort="tiny",
        organ="breast",
        diagnosis="none",
        technology="test",
        species="human",
        licence="CC0-1.0",
        citation="none",
        mpp=MPP,
        mpp_source="manifest",
    )


@pytest.fixture
def spot_rows() -> list[dict[str, object]]:
    """Rows of the tiny section's spot file, spot (x, y) centred on (40 x, 40 y)."""
    return [
        {
            "x": x,
            "y": y,
            "new_x": x + 0.01,
            "new_y": y - 0.01,
            "pixel_x": x * PITCH_PX,
            "pixel_y": y * PITCH_PX,
            "selected": 1,
        }
        for x in range(1, GRID[0] + 1)
        for y in range(1, GRID[1] + 1)
    ]


@pytest.fixture
def write_section(tmp_path: Path, facts: SlideFacts, spot_rows: list[dict[str, object]]) -> Callable[..., Her2stSlide]:
    """Write a tiny her2st section, any part of it replaced, and return its source."""

    def write(
        *,
        spots: list[dict[str, object]] | None = None,
        counts: str | None = None,
        labels: str | None = None,
        image: bool = True,
    ) -> Her2stSlide:
        rows = spot_rows if spots is None else spots
        with (tmp_path / "S1_selection.tsv").open("w", newline="") as stream:
            writer = csv.DictWriter(stream, fieldnames=list(rows[0]), delimiter="\t")
            writer.writeheader()
            writer.writerows(rows)
        text = tiny_counts() if counts is None else counts
        (tmp_path / "S1.tsv").write_text(text)
        if labels is not None:
            (tmp_path / "S1_labels.tsv").write_text(labels)
        if image:
            pixels = np.random.default_rng(0).integers(0, 255, (SIZE_PX[1], SIZE_PX[0], 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "S1.png")
        return Her2stSlide(
            facts=facts,
            counts=tmp_path / "S1.tsv",
            spots=tmp_path / "S1_selection.tsv",
            image_path=tmp_path / "S1.png" if image else None,
            labels=None if labels is None else tmp_path / "S1_labels.tsv",
            spot_um=100,
            pitch_um=200,
        )

    return write


def tiny_counts() -> str:
    """Counts table of the tiny section: gene g of spot (x, y) has the count x * y * g."""
    spots = [(x, y) for x in range(1, GRID[0] + 1) for y in range(1, GRID[1] + 1)]
    rows = ["\t".join([f"{x}x{y}", *(str(x * y * gene) for gene in range(len(GENES)))]) for x, y in spots]
    return "\n".join(["\t".join(["", *GENES]), *rows]) + "\n"
