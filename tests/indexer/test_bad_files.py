"""A folder of bad files and one good: each says its own reason, none stops the run, none is half in the index."""

import re

import pytest

from indexer.building.build import build_index
from indexer.format import Circumstances, Said
from indexer.formats import find_slides
from indexer.index import Index
from indexer.progress import peak_rss_mb
from indexer.slides import SlideFacts
from tests.indexer import bad_files
from tests.indexer.store_doubles import fake_space, rows_of

pytestmark = pytest.mark.filterwarnings("ignore")  # what libraries say of damage is not what is tested


def facts_of(slide, mpp):
    told = dict.fromkeys(("cohort", "organ", "diagnosis", "technology", "species", "licence", "citation"), "unknown")
    return SlideFacts(slide=slide, patient=slide, **told, mpp=mpp, mpp_source="user")


def ingest(folder, db, *, format_name="slides", said=None):
    sources = find_slides(folder, format_name, Circumstances(said or {}))
    return build_index(db, sources, fake_space(), tile_stride_um=40)


def reasons(report):
    return {failure.slide: failure.reason for failure in report.failed}


def test_a_folder_of_bad_slides_and_one_good(tmp_path):
    folder = tmp_path / "slides"
    folder.mkdir()
    bad_files.write_svs(folder / "good.svs")
    (tmp_path / "alone").mkdir()
    bad_files.write_svs(tmp_path / "alone" / "good.svs")
    said = {}
    for name, (write, has_mpp, _) in bad_files.SLIDES.items():
        write(folder / name)
        if has_mpp:
            said[name.partition(".")[0]] = Said(facts_of(name.partition(".")[0], 1.0))
    ingest(tmp_path / "alone", tmp_path / "good_db")
    before = peak_rss_mb()
    report = ingest(folder, tmp_path / "db", said=said)
    assert peak_rss_mb() - before < 150  # no bomb went off
    assert report.added == ("good",)
    found = reasons(report)
    for name, (_, _, expected) in bad_files.SLIDES.items():
        assert re.search(expected, found.pop(name.partition(".")[0])), name
    assert found == {}
    with_bad, without = rows_of(tmp_path / "db"), rows_of(tmp_path / "good_db")
    assert len(with_bad["items"]) > 20
    assert with_bad["items"] == without["items"]
    assert [row["slide"] for row in with_bad["slides"]] == ["good"]
    again = ingest(folder, tmp_path / "db", said=said)
    assert (again.added, again.skipped, len(again.failed)) == ((), ("good",), len(bad_files.SLIDES))


def test_a_slide_that_was_mended_goes_in_and_its_failure_is_forgotten(tmp_path):
    (tmp_path / "in").mkdir()
    bad_files.write_truncated_svs(tmp_path / "in" / "S.svs")
    assert len(ingest(tmp_path / "in", tmp_path / "db").failed) == 1
    bad_files.write_svs(tmp_path / "in" / "S.svs")
    assert ingest(tmp_path / "in", tmp_path / "db").added == ("S",)
    assert len(Index.open(tmp_path / "db").failed()) == 0


def test_a_folder_of_bad_tables_and_one_good(tmp_path):
    folder = tmp_path / "tables"
    folder.mkdir()
    (folder / "good.tsv").write_bytes(bad_files.table(header="gene\tGood1\tGood2"))
    for name, (content, _) in bad_files.TABLES.items():
        (folder / name).write_bytes(content)
    report = ingest(folder, tmp_path / "db", format_name="genes-by-samples")
    assert report.added == ("Good1", "Good2")
    told = " ".join(failure.reason for failure in report.failed)
    for name, (_, expected) in bad_files.TABLES.items():
        of_file = [failure.reason for failure in report.failed if name in failure.reason]
        assert of_file, f"{name}: {told}"
        assert all(re.search(expected, reason) for reason in of_file), of_file
    assert {row["slide"] for row in rows_of(tmp_path / "db")["items"]} == {"Good1", "Good2"}


def test_names_that_lead_elsewhere_are_refused(tmp_path):
    names = ("../../etc/passwd", "a/b", "a\\b", "..", "a\x0bb", "x" * 300)
    header = "\t".join(["gene", *names, "good"])
    (tmp_path / "t.tsv").write_bytes(bad_files.table("\t".join("1" * 7), header))
    report = ingest(tmp_path, tmp_path / "db", format_name="genes-by-samples")
    assert report.added == ("good",)
    assert [failure.slide for failure in report.failed] == list(names)
    assert all("expected a name of at most 200 letters without /" in failure.reason for failure in report.failed)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["db", "t.tsv"]
