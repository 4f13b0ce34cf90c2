"""The commands of docs/safety.md on a slide with a label, its copy under another patient, and a file that is none."""

import re
import shlex
from pathlib import Path

import pytest

from indexer.runs.reading import latest_runs
from indexer.store.location import locate
from tests.indexer.labelled_svs import write_labelled_svs

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "safety.md").read_text(encoding="utf-8")
COMMANDS = [line for block in re.findall(r"```\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]


@pytest.fixture
def said(tmp_path, monkeypatch, histoseek):
    """What each command of the page said; those that look at the index come after the one that makes it."""
    (tmp_path / "scans").mkdir()
    first = write_labelled_svs(tmp_path / "scans" / "S21-04417.svs", side_px=1_024)
    (tmp_path / "scans" / "two.svs").write_bytes(first.read_bytes())
    (tmp_path / "scans" / "cut.svs").write_bytes(b"II*\x00")
    (tmp_path / "slides.csv").write_text("slide,patient_id,licence\nS21-04417,P1,CC-BY-NC-4.0\ntwo,P2,CC-BY-4.0\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("indexer.building.run_options.auto_workers", lambda n: 0)  # two tiny slides, read here
    told = {}
    for command in sorted(COMMANDS, key=lambda command: "histoseek index" in command):
        name, *arguments = shlex.split(command)
        assert name == "histoseek"
        if "--hash-names" in command:
            assert not (tmp_path / "index").exists()
        told[arguments[0] if arguments[0] != "ingest" else arguments[-1]] = histoseek(*arguments)
        told |= {"runs": histoseek("index", "runs", "last", "--db", "index")} if "last" in arguments else {}
        told |= {"leaks": histoseek("index", "leaks", "--db", "index")} if "leaks" in arguments else {}
    return told


def test_every_command_of_the_page_does_what_it_says(said):
    assert {name: ran.code for name, ran in said.items()} == {
        "doctor": 0, "--dry-run": 3, "salt": 3, "index": 0, "runs": 0, "leaks": 0,
    }  # fmt: skip
    assert "0.5 um per px (file)" in said["doctor"].stdout
    for name in ("doctor", "--dry-run"):
        assert "will fail" in said[name].stdout
        assert "accession number" in said[name].stdout
    assert "3 slides: 2 to read" in said["--dry-run"].stdout
    assert "Nothing was written." in said["--dry-run"].stdout
    run = latest_runs(locate("index"), 1)[0]
    assert f"index runs {run.id}" in said["salt"].stdout
    assert "2 added, 1 failed of 3 slides" in said["runs"].stdout
    for text in (said["salt"].stdout, said["leaks"].stdout, run.model_dump_json()):
        assert "show the same section" in text
        assert "S21" not in text
        assert "P1" not in text
    assert run.asked["names"] == "(hidden)"
