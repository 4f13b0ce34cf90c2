"""`histoseek data collections | get | verify FOLDER | aliases`, as docs/data.md has them, against a server here."""

import json
import re
import shlex
from pathlib import Path

import pytest

from tests.indexer.collection_server import TOKEN, serving
from tests.indexer.collection_world import full_world

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
COMMANDS = [line for block in re.findall(r"```\n(histoseek .*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
SERVICES = {
    "HUB_URL": "",
    "GDC_URL": "",
    "GTEX_URL": "",
    "GTEX_FILES_URL": "",
    "GTEX_SLIDES_URL": "",
    "HGNC_URL": "/hgnc.txt",
}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    world = full_world(tmp_path_factory.mktemp("world"))
    world.storage["hgnc.txt"] = b"symbol\tstatus\talias_symbol\tprev_symbol\nERBB2\tApproved\tHER2|NEU\t\n"
    with serving(world) as served:
        yield served


@pytest.fixture
def run(world, histoseek, monkeypatch, tmp_path):
    for name, place in SERVICES.items():
        monkeypatch.setenv(f"HISTOSEEK_{name}", world.url + place)
    monkeypatch.setenv("HISTOSEEK_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.chdir(tmp_path)
    return histoseek


def test_every_command_of_the_page_works(run, tmp_path):
    assert len(COMMANDS) == 12
    for line in COMMANDS:
        program, verb, *rest = shlex.split(line)
        assert program == "histoseek"
        if verb == "ingest" and "gdc-star" not in rest:  # its folders are read in tests/indexer/test_collections.py
            assert Path(rest[rest.index("--slides") + 1]).is_file(), line
            continue
        ran = run(verb, *rest)
        assert ran.code == 0, (line, ran.stderr)
    assert not (tmp_path / "hest" / "st" / "TENX96.h5ad").exists()  # the dry run fetched nothing
    assert (tmp_path / "tcga" / "slides" / "TCGA-A2-A04R-01A-DX1.s1.tif").is_file()
    assert "GTEx open access" in (tmp_path / "gtex" / "LICENCE.txt").read_text()


def test_what_comes_is_shown_before_and_verified_after(run):
    asked = run("data", "get", "tcga", "--project", "TCGA-BRCA", "--to", "t")
    assert (asked.code, asked.stdout) == (2, "")
    assert "3 files, " in asked.stderr
    assert not Path("t").exists()
    assert "add --yes" in " ".join(asked.stderr.split())
    ran = run("data", "get", "tcga", "--project", "TCGA-BRCA", "--to", "t", "--yes", "--json")
    done = json.loads(ran.stdout)
    assert (len(done["fetched"]), done["failed"]) == (3, {})
    assert done["next"] == ["histoseek ingest t --format gdc-star --slides t/samples.csv --db INDEX"]
    assert done["plan"]["revision"].startswith("Data Release 45.0")
    again = json.loads(run("data", "get", "tcga", "--project", "TCGA-BRCA", "--to", "t", "--dry-run", "--json").stdout)
    assert (again["plan"]["files_to_come"], again["plan"]["bytes_to_come"]) == (0, 0)
    assert "3 of 3 files are here and match" in run("data", "verify", "t").stdout
    (Path("t") / done["fetched"][0]).unlink()
    assert run("data", "verify", "t").code == 3


def test_a_file_that_fails_ends_with_code_3_and_its_reason(run, world):
    world.faults["/data/c1"] = [("body", b"!" * len(world.gdc_data["c1"]))]
    ran = run("data", "get", "tcga", "--project", "TCGA-BRCA", "--to", "t", "--yes")
    assert ran.code == 3
    assert "thrown away" in " ".join(ran.stdout.split())
    assert "Run the same command again" in ran.stderr


def test_the_terms_are_shown(run, monkeypatch):
    shown = " ".join(run("data", "collections").stdout.split())
    assert "CC-BY-NC-SA-4.0" in shown
    rows = json.loads(run("data", "collections", "--json").stdout)["collections"]
    assert [row["name"] for row in rows] == ["hest", "stimage", "tcga", "gtex", "cptac"]
    for row in rows:
        assert f"| `{row['name']}` | {row['licence'].split(';')[0].split(',')[0]}" in PAGE
    shown = run("data", "get", "hest", "--species", "human", "--to", "h", "--dry-run").stdout
    assert [line.split()[:2] for line in shown.splitlines()[2:4]] == [["TENX95", "breast"], ["TENX96", "breast"]]
    plan = " ".join(run("data", "get", "hest", "--ids", "TENX95", "--to", "h", "--dry-run").stdout.split())
    assert "Licence: cc-by-nc-sa-4.0. Access: gated, given once its terms are accepted" in plan
    monkeypatch.setenv("HF_TOKEN", "")
    monkeypatch.setenv("HF_HOME", "nobody")
    refused = run("data", "get", "hest", "--ids", "TENX95", "--to", "h", "--dry-run")
    assert refused.code == 1
    assert "set HF_TOKEN" in " ".join(refused.stderr.split())


def test_ids_of_a_file(run, tmp_path):
    (tmp_path / "ids.txt").write_text("TENX95\n\nZEN40\n")
    shown = run("data", "get", "hest", "--ids", "@ids.txt", "--part", "st", "--to", "h", "--dry-run", "--json")
    assert [file["path"] for file in json.loads(shown.stdout)["plan"]["files"]] == ["st/TENX95.h5ad", "st/ZEN40.h5ad"]
    assert run("data", "get", "hest", "--ids", "@none.txt", "--to", "h").code == 2


def test_todays_gene_names_are_fetched(run, world):
    made = json.loads(run("data", "aliases", "--json").stdout)
    assert (made["aliases"], made["ambiguous"]) == (2, 0)
    world.faults["/hgnc.txt"] = [("", None), ("body", b"!" * len(world.storage["hgnc.txt"]))]
    ran = run("data", "aliases")
    assert ran.code == 1
    assert "genenames.org" in ran.stderr
