"""The README: what it shows can be run, and speaks of the space that is shipped."""

import importlib.util
import re
from pathlib import Path

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


def test_the_outputs_are_of_the_shipped_space():
    revisions = set(re.findall(r"mini (1-[0-9a-f]{8})", README))
    assert revisions == {open_space("mini").card.revision}, "run `make demo`, then `python docs/refresh.py`"


def test_the_picture_and_the_pages_exist():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).is_file(), target


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
