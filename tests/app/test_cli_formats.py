"""`histoseek ingest PATH --format NAME`: folders of files, described by a table, the damaged ones told."""

import json

from PIL import Image

from tests.indexer import written_files as written


def test_a_folder_with_a_damaged_sample_is_ingested_but_for_it(histoseek, tmp_path):
    for name in ("V1", "V2"):
        written.write_outs(tmp_path / "run" / name / "outs", picture=False)
    (tmp_path / "run" / "V2" / "outs" / "spatial" / "tissue_positions.csv").unlink()
    (tmp_path / "slides.csv").write_text("slide,patient_id,organ\nV1,P1,breast\nV2,P2,breast\n")
    where = (tmp_path / "run", "--format", "visium", "--slides", tmp_path / "slides.csv", "--db", tmp_path / "db")
    ran = histoseek("ingest", *where, "--json")
    report = json.loads(ran.stdout)["report"]
    assert ran.code == 3
    assert report["added"] == ["V1"]
    assert report["n_items"] == 21  # the slide and its twenty spots
    assert [(one["slide"], one["error"]) for one in report["failed"]] == [("V2", "JoinError")]
    (genes,) = [one["genes"] for one in report["slides"] if one["genes"]]
    assert (genes["species"], genes["summed"], genes["examples"]["summed"]) == ("human", 1, ["VIM"])
    again = json.loads(histoseek("ingest", *where, "--json").stdout)["report"]
    assert (again["added"], again["skipped"]) == ([], ["V1"])


def test_an_unknown_format_lists_the_known_and_a_path_alone_asks_for_one(histoseek, tmp_path):
    wrong = histoseek("ingest", tmp_path, "--format", "visum", "--db", tmp_path / "db")
    assert wrong.code == 1
    assert "no format 'visum'; expected one of: slides" in " ".join(wrong.stderr.split())
    alone = histoseek("ingest", tmp_path, "--db", tmp_path / "db")
    assert alone.code == 1
    assert "add --format" in " ".join(alone.stderr.split())


def test_aliases_of_hgnc_rename_genes_at_the_next_ingest(histoseek, tmp_path, monkeypatch):
    monkeypatch.setenv("HISTOSEEK_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("HISTOSEEK_MIRROR", raising=False)
    rows = (
        "ERBB2\tApproved\tHER2|NEU\tCD8A",
        "CD8A\tApproved\t\t",  # current, so no alias of ERBB2
        "KRT19\tApproved\tK19\tNEW",
        "VIM\tApproved\tK19\t",
        "GONE\tEntry Withdrawn\tOLD\t",
    )
    table = tmp_path / "hgnc_complete_set.txt"
    table.write_text("\n".join(["symbol\tstatus\talias_symbol\tprev_symbol", *rows]) + "\n")
    made = json.loads(histoseek("data", "aliases", table, "--json").stdout)
    assert (made["aliases"], made["ambiguous"]) == (4, 1)  # HER2, NEU, K19, NEW
    (tmp_path / "cells.csv").write_text("cell,HER2,K19,VIM,CD8A\na,1,2,3,4\nb,5,6,7,8\n")
    where = (tmp_path / "cells.csv", "--format", "cells-by-genes", "--db", tmp_path / "db", "--json")
    (slide,) = json.loads(histoseek("ingest", *where).stdout)["report"]["slides"]
    assert slide["genes"]["examples"] == {"renamed": ["HER2 -> ERBB2"], "ambiguous": ["K19"]}
    wrong = histoseek("data", "aliases", tmp_path / "cells.csv")
    assert wrong.code == 1
    assert "expected hgnc_complete_set.txt" in " ".join(wrong.stderr.split())


def test_bulk_samples_of_one_file_are_searched_without_their_patients_others(histoseek, tmp_path):
    samples = ("TCGA-A2-A04R-01", "TCGA-A2-A04R-11", "TCGA-E2-A15K-01")
    genes = ("ERBB2,90,80,70", "KRT19,50,40,9", "VIM,3,5,60", "CD3D,1,2,30")
    (tmp_path / "bulk.csv").write_text("\n".join([",".join(["gene", *samples]), *genes, ""]))
    where = (tmp_path / "bulk.csv", "--format", "genes-by-samples", "--db", tmp_path / "db", "--json")
    report = json.loads(histoseek("ingest", *where).stdout)["report"]
    assert report["added"] == list(samples)
    assert sum("3 samples" in note for note in report["notes"]) == 1
    item = f"{samples[0]}/transcriptome/{samples[0]}"
    search = ("search", "item", item, "--target", "expression", "--exclude", "patient", "--db", tmp_path / "db")
    found = json.loads(histoseek(*search, "--json").stdout)
    assert {hit["slide"] for hit in found["hits"]} == {"TCGA-E2-A15K-01"}


def test_where_tiles_lie_is_said_in_one_way(histoseek, tmp_path):
    Image.new("RGB", (40, 40)).save(tmp_path / "S.png")
    where = ("ingest", tmp_path, "--format", "slides", "--db", tmp_path / "db")
    assert histoseek(*where, "--overlap", "0.5", "--tile-stride-um", "100").code == 2
    assert histoseek(*where, "--overlap", "0.95").code == 2
    assert histoseek("ingest", "--features", tmp_path, "--annotations", tmp_path).code == 2
    none = histoseek(*where, "--annotations", tmp_path / "none.geojson")
    assert none.code == 1
    assert "expected GeoJSON of QuPath, one file a slide" in " ".join(none.stderr.split())
