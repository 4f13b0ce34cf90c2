"""Every verb answers in tables and in JSON; what cannot be answered is one line on stderr and the right exit code."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.cli.output import jsonable
from app.tables.view import p_text, size_text
from indexer.index import Index


def spot_of(db: Path) -> str:
    metadata = Index.open(db).metadata()
    return next(row["id"] for row in metadata.to_pylist() if row["kind"] == "spot")


def answered(ran) -> dict:
    assert ran.code == 0, ran.stderr
    return json.loads(ran.stdout)


def test_help_names_every_verb(histoseek):
    shown = histoseek("--help").stdout
    verbs = ("demo", "data", "encoders", "train", "ingest", "index", "search", "predict", "decompose", "cohorts")
    for verb in (*verbs, "serve"):
        assert f" {verb} " in shown


def test_version_is_the_distributions(histoseek, monkeypatch):
    monkeypatch.setattr("importlib.metadata.version", lambda name: f"9.9 of {name}")
    ran = histoseek("--version")
    assert (ran.code, ran.stdout) == (0, "9.9 of histoseek\n")


def test_data_list_shows_licences_and_citations(histoseek):
    listed = answered(histoseek("data", "list", "--json"))["datasets"]
    her2st = next(row for row in listed if row["name"] == "her2st")
    shown = histoseek("data", "list").stdout
    assert (her2st["slides"], her2st["patients"]) == (36, 8)
    assert "cite the paper" in shown
    assert "Andersson" in shown


def test_data_of_an_unknown_name_lists_the_known_ones(histoseek):
    ran = histoseek("data", "verify", "her3st")
    assert (ran.code, ran.stdout) == (1, "")
    assert ran.stderr.startswith("error: ")
    assert "her2st" in ran.stderr


def test_missing_files_finish_with_code_3(histoseek, monkeypatch, tmp_path):
    monkeypatch.setenv("HISTOSEEK_MIRROR", str(tmp_path))
    monkeypatch.setenv("HISTOSEEK_CACHE_DIR", str(tmp_path / "cache"))
    ran = histoseek("data", "verify", "wu2021", "--json")
    states = json.loads(ran.stdout)["datasets"]["wu2021"]
    assert ran.code == 3
    assert {row["state"] for row in states} == {"missing"}
    assert "failed: wu2021" in ran.stderr
    ran = histoseek("data", "fetch", "wu2021", "--json")  # upstream has no such file: nothing is asked of the network
    assert ran.code == 3
    assert json.loads(ran.stdout)["fetched"] == []
    assert "HISTOSEEK_MIRROR" in ran.stderr


def test_encoders_are_listed_and_checked(histoseek):
    listed = answered(histoseek("encoders", "--json"))["spaces"]
    assert [(row["name"], row["state"]) for row in listed] == [("mini", "ready"), ("omiclip", "weights missing")]
    assert answered(histoseek("encoders", "check", "mini", "--json"))["passed"] is True
    shown = histoseek("encoders").stdout
    assert "random" in shown
    assert "colour baseline" in shown


def test_index_stats_and_verify(histoseek, small_db):
    stats = answered(histoseek("index", "stats", "--db", small_db, "--json"))
    assert [row["slide"] for row in stats["slides"]] == ["GEN1-1", "GEN2-1"]
    assert answered(histoseek("index", "verify", "--db", small_db, "--json"))["passed"] is True
    assert "yes" in histoseek("index", "stats", "--db", small_db).stdout  # the column `generated`


def test_verify_fails_where_the_sidecar_holds_other_vectors(histoseek, small_db, tmp_path):
    import shutil

    import numpy as np

    shutil.copytree(small_db, tmp_path / "index")
    histoseek("index", "verify", "--db", tmp_path / "index")
    (vectors,) = (tmp_path / "index" / "sidecar" / "image").glob("*/vectors.npy")
    np.save(vectors, np.load(vectors)[::-1])
    ran = histoseek("index", "verify", "--db", tmp_path / "index", "--json")
    assert ran.code == 1
    wrong = [row for row in json.loads(ran.stdout)["checks"] if not row["passed"]]
    assert len(wrong) == 1
    assert "image sidecar does not hold the vectors" in wrong[0]["found"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("search", "genes", "ERBB2:2 KRT19 -VIM"),
        ("search", "sentence", "ERBB2 KRT19 KRT8"),
        ("search", "item", "SPOT"),
        ("search", "slide", "GEN1-1"),
        ("predict", "--item", "SPOT"),
        ("cohorts", "--item", "SPOT", "--by", "diagnosis"),
    ],
)
def test_questions_are_answered_in_tables_and_in_json(histoseek, small_db, arguments):
    arguments = [spot_of(small_db) if word == "SPOT" else word for word in arguments]
    asked = answered(histoseek(*arguments, "--db", small_db, "--json"))
    rows = asked["hits"] if "hits" in asked else asked["rows"]
    shown = " ".join(histoseek(*arguments, "--db", small_db).stdout.split())
    assert rows
    assert "GENERATED DATA" in shown
    assert "CC0-1.0 (generated)" in shown
    assert "Space: mini" in shown


def test_patches_come_from_files(histoseek, small_db, tmp_path):
    from PIL import Image

    file = tmp_path / "tile.png"
    Image.fromarray(np.full((640, 640, 3), 200, np.uint8)).save(file)
    found = answered(histoseek("search", "patch", file, "--mpp", "0.5", "--db", small_db, "--json"))
    assert found["query"]["mpp"] == 0.5
    file.write_bytes(b"no image")
    assert "Cannot read" in histoseek("search", "patch", file, "--mpp", "0.5", "--db", small_db).stderr
    assert histoseek("search", "patch", file, "--db", small_db).code == 2  # --mpp is needed


def test_filters_k_and_exclusion_reach_the_engine(histoseek, small_db):
    found = answered(
        histoseek(
            "search", "genes", "ERBB2", "--db", small_db, "--where", "patient = 'GEN2'", "--kind", "tile", "-k", "3",
            "--exclude", "none", "--json",
        )
    )  # fmt: skip
    assert {(hit["patient"], hit["kind"]) for hit in found["hits"]} == {("GEN2", "tile")}
    assert len(found["hits"]) == 3


def test_a_k_larger_than_the_index_gives_all_and_says_so(histoseek, small_db):
    found = answered(histoseek("search", "genes", "ERBB2", "--db", small_db, "-k", "99999", "--json"))
    assert 0 < len(found["hits"]) < 99999
    assert any("99,999" in note for note in found["notes"])


def test_a_gene_to_be_low_needs_no_quotes(histoseek, small_db):
    typed = histoseek("search", "genes", "-VIM", "ERBB2:2", "--db", small_db, "-k", "2", "--json")
    quoted = histoseek("search", "genes", "ERBB2:2 -VIM", "--db", small_db, "-k", "2", "--json")
    assert answered(typed)["hits"] == answered(quoted)["hits"]


def test_a_reference_that_cannot_be_read_stops_the_server_before_it_starts(histoseek, small_db):
    ran = histoseek("serve", "--db", small_db, "--reference", __file__)
    assert ran.code == 1
    assert "cannot be read as h5ad" in ran.stderr


def test_some_unknown_genes_are_named_in_the_answer(histoseek, small_db):
    found = answered(histoseek("search", "genes", "ERBB2 NOTAGENE", "--db", small_db, "--json"))
    assert found["genes"]["unknown"] == ["NOTAGENE"]
    assert "NOTAGENE" in histoseek("search", "genes", "ERBB2 NOTAGENE", "--db", small_db).stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("search", "genes", "NOTAGENE NEITHER"), "NOTAGENE"),
        (("search", "genes", " "), "empty"),
        (("search", "genes", "ERBB2:0"), "finite"),
        (("search", "genes", "ERBB2", "--where", "colour = 'red'"), "colour"),
        (("search", "genes", "ERBB2", "--where", "patient = "), "patient"),
        (("search", "genes", "ERBB2", "--kind", "molecule"), "molecule"),
        (("search", "genes", "ERBB2", "--space", "maxi"), "maxi"),
        (("search", "item", "GEN1-1/spot/0x0"), "GEN1-1/spot/0x0"),
        (("search", "slide", "GEN9"), "GEN9"),
        (("predict",), "exactly one"),
        (("predict", "--slide", "GEN1-1", "--genes", "ERBB2"), "exactly one"),
        (("predict", "--slide", "GEN1-1", "--gene", "NOTAGENE"), "NOTAGENE"),
        (("decompose", "--slide", "GEN1-1"), "labelled cells"),
        (("decompose", "--slide", "GEN1-1", "--reference", "nowhere.h5ad"), "nowhere.h5ad"),
        (("decompose", "--slide", "GEN1-1", "--reference", __file__), "cannot be read as h5ad"),
        (("decompose", "--slide", "GEN1-1", "--merge", "B-cells"), "TYPE=AS"),
        (("search", "genes", "ERBB2", "--colour"), "'--colour'"),
    ],
)
def test_what_cannot_be_answered_is_one_line(histoseek, small_db, arguments, message):
    ran = histoseek(*arguments, "--db", small_db, "--json")
    assert (ran.code, ran.stdout) == (1, "")
    assert ran.stderr.startswith("error: ")
    assert ran.stderr.count("\n") == 1
    assert message in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("index", "stats"),
        ("index", "verify"),
        ("search", "genes", "ERBB2"),
        ("cohorts", "--genes", "ERBB2"),
        ("serve",),
    ],
)
def test_a_missing_index_is_said(histoseek, tmp_path, arguments):
    ran = histoseek(*arguments, "--db", tmp_path / "nothing")
    assert ran.code == 1
    assert "There is no index" in ran.stderr


def test_an_index_of_another_space_names_both(histoseek, small_db, tmp_path):
    import shutil

    other = tmp_path / "other"
    shutil.copytree(small_db, other)
    card = json.loads((other / "card.json").read_text())
    card["space"]["revision"] = "0-older"
    (other / "card.json").write_text(json.dumps(card))
    ran = histoseek("search", "genes", "ERBB2", "--db", other)
    assert ran.code == 1
    assert "0-older" in ran.stderr
    ran = histoseek("serve", "--db", other)  # said here, not in the browser
    assert ran.code == 1
    assert "0-older" in ran.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("sarch",),
        ("search", "genes"),
        ("search", "genes", "ERBB2", "-k", "0"),
        ("search", "genes", "ERBB2", "--exclude", "everything"),
        ("search", "genes", "ERBB2", "--target", "smell"),
        ("cohorts", "--genes", "ERBB2", "--by", "colour"),
        ("serve", "--port", "99999"),
        ("serve", "--merge", "B-cells=Plasmablasts"),
        ("search", "genes", "ERBB2", "--device", "abacus"),
    ],
)
def test_wrong_usage_has_its_own_code(histoseek, arguments):
    ran = histoseek(*arguments)
    assert (ran.code, ran.stdout) == (2, "")
    assert "Traceback" not in ran.stderr


def test_an_interrupt_says_how_to_go_on(histoseek, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("app.cli.data_verbs.load_manifest", interrupted)
    ran = histoseek("data", "list")
    assert ran.code == 130
    assert "the same command goes on" in ran.stderr


def test_a_full_disk_is_said(histoseek, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device", "index/items.lance")

    monkeypatch.setattr("app.cli.data_verbs.load_manifest", full)
    ran = histoseek("data", "list")
    assert ran.code == 1
    assert "No space left on device" in ran.stderr
    assert "run the same command again" in ran.stderr


LEAVES = st.none() | st.booleans() | st.floats() | st.text() | st.binary()


@given(st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_anything_becomes_valid_json(value):
    json.loads(json.dumps(jsonable({"value": value, "array": np.array([1.0, np.nan])}), allow_nan=False))


@given(st.integers(0, 10**15))
def test_sizes_keep_three_digits(n_bytes):
    figure = float(size_text(n_bytes).split()[0])
    assert 0 <= figure < 1000.05


@pytest.mark.parametrize(("p", "text"), [(0.0, "<.0001"), (0.034, "0.034"), (1.0, "1"), (None, "\N{EN DASH}")])
def test_p_values_are_never_zero(p, text):
    assert p_text(p) == text
