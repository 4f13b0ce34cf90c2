"""A small index of generated sections in the default space, and a command line to ask it with."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from app.cli import main
from encoders.registry import open_space
from indexer.building.build import build_index
from indexer.generated.sections import generated_sections


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
