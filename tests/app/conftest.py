"""A small index of generated sections in the default space, and a command line to ask it with."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from app.cli import main
from encoders.registry import open_space
from indexer.build import build_index
from indexer.generated import generated_sections


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


@dataclass(frozen=True)
class RealDemo:
    """The demo on real data: the folder it was run in (`demo/` lies below), and the report of each of two runs."""

    folder: Path
    first: dict[str, Any]
    second: dict[str, Any]
    stderr: str


@pytest.fixture(scope="session")
def real_demo(mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> RealDemo:
    """The whole command as a user runs it, in a process of its own, twice."""
    folder = tmp_path_factory.mktemp("real")
    command = [sys.executable, "-c", "from app.cli import main; main()", "demo", "--no-serve", "--json"]
    first, second = (
        subprocess.run([*command, "--out", "demo"], cwd=folder, capture_output=True, text=True, check=True)
        for _ in range(2)
    )
    return RealDemo(folder, json.loads(first.stdout), json.loads(second.stdout), first.stderr)


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
