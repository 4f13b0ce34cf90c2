"""The README: its demo runs on real data, what it shows can be asked of it, and speaks of the space that is shipped."""

import importlib.util
import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from encoders.registry import open_space

ROOT = Path(__file__).resolve().parents[2]


def load_refresh():
    spec = importlib.util.spec_from_file_location("refresh", ROOT / "docs" / "refresh.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


refresh = load_refresh()
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = refresh.commands(README)


@dataclass(frozen=True)
class RealDemo:
    """The demo on real data: the folder it was run in (`demo/` lies below), and the report of each of two runs."""

    folder: Path
    first: dict[str, Any]
    second: dict[str, Any]
    stderr: str


@pytest.fixture(scope="module")
def real_demo(mirror: Path, tmp_path_factory: pytest.TempPathFactory) -> RealDemo:
    """The whole command as a user runs it, in a process of its own, twice."""
    folder = tmp_path_factory.mktemp("real")
    command = [sys.executable, "-c", "from app.cli import main; main()", "demo", "--no-serve", "--json"]
    first, second = (
        subprocess.run([*command, "--out", "demo"], cwd=folder, capture_output=True, text=True, check=True)
        for _ in range(2)
    )
    return RealDemo(folder, json.loads(first.stdout), json.loads(second.stdout), first.stderr)


def test_the_outputs_are_of_the_shipped_space():
    revisions = set(re.findall(r"mini (1-[0-9a-f]{8})", README))
    assert revisions == {open_space("mini").card.revision}, "run `make demo`, then `python docs/refresh.py`"


def test_the_picture_and_the_pages_exist():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).is_file(), target


@pytest.mark.real
@pytest.mark.timeout(1200)
def test_the_demo_on_real_data(real_demo):
    report = real_demo.first
    assert not report["generated"]
    assert report["notices"] == []
    assert len(report["build"]["added"]) == 37
    assert report["build"]["failed"] == []
    assert report["choice"]["slide"] == "B4"
    pictures = {path.stem for path in (real_demo.folder / report["gallery"]).glob("*.png")}
    assert pictures == set(report["answers"]) | {"similarity_map", "regions"}
    assert {hit["slide"] for hit in report["answers"]["item_to_item"]["hits"]} <= {"C2", "C3", "C4", "C5", "C6"}
    assert {hit["patient"] for hit in report["answers"]["slide_to_slide"]["hits"]}.isdisjoint({"B"})
    assert sum(row["proportion"] for row in report["answers"]["cell_types"]["spot"]["rows"]) == pytest.approx(1)
    assert report["peak_rss_mb"] > 0
    assert "Traceback" not in real_demo.stderr


@pytest.mark.real
@pytest.mark.timeout(1200)
def test_a_second_demo_on_real_data_adds_nothing(real_demo):
    assert real_demo.second["build"]["added"] == []
    assert len(real_demo.second["build"]["skipped"]) == 37
    assert sum(real_demo.second["seconds"].values()) < 60


@pytest.mark.real
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_still_prints_its_table(command, real_demo):
    shown = next(match["output"] for match in refresh.BLOCK.finditer(README) if match["command"] == command)
    printed = refresh.run(command, real_demo.folder)
    assert printed.splitlines()[:2] == shown.splitlines()[:2]
    assert len(printed.splitlines()) >= len(shown.splitlines()) - 2


@pytest.mark.real
@pytest.mark.timeout(1200)
def test_the_python_lines_run(real_demo, monkeypatch):
    monkeypatch.chdir(real_demo.folder)
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    names = {}
    exec(code, names)  # noqa: S102 - the README's own lines
    assert len(names["hits"]) == 5
