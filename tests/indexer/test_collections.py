"""Public collections against a server in this process: what is chosen, fetched, verified and written."""

import json
from contextlib import closing

import pytest

from indexer.datasets import receiving
from indexer.datasets.catalogue import COLLECTIONS, choose_collection, plan_collection
from indexer.datasets.collection import Selection
from indexer.datasets.receiving import receive_plan
from indexer.datasets.record import RECORD, verify_folder
from indexer.errors import FetchError
from indexer.format import Circumstances, Said
from indexer.formats import find_slides
from indexer.readers.table_slide import read_slide_table
from indexer.settings import Settings
from tests.indexer.collection_runs import get, paths, rows
from tests.indexer.collection_server import SHA, TOKEN, World


def test_hest_becomes_a_folder_that_is_read_as_it_is(world: World, tmp_path):
    folder = tmp_path / "hest"
    plan, report = get("hest", folder, organ=("breast",), technology=("visium",))
    assert plan.revision == SHA
    assert plan.licence == "cc-by-nc-sa-4.0"
    assert sorted(report.fetched) == paths(plan) == ["metadata/TENX95.json", "st/TENX95.h5ad", "wsis/TENX95.tif"]
    assert report.failed == {}
    assert plan.bytes == sum((folder / path).stat().st_size for path in paths(plan))
    slide = read_slide_table(folder / "slides.csv")["TENX95"]
    assert slide.facts.patient == "Patient 1 of Study, one"  # patients are numbered study by study
    assert (slide.facts.mpp, slide.facts.organ, slide.facts.species) == (2.5, "breast", "human")
    assert slide.facts.licence == "CC-BY-NC-SA-4.0 (HEST-1k); source: Creative Commons Attribution"
    assert slide.read_expression().counts.toarray().sum() == 36
    with closing(slide.open_image()) as image:
        assert image.size_px == (150, 140)
    (found,) = find_slides(folder, "hest")
    assert found.given_facts.patient == slide.facts.patient
    assert "CC-BY-NC-SA" in (folder / "LICENCE.txt").read_text().upper()
    assert {state.state for state in verify_folder(folder, Settings())} == {"verified"}


def test_the_token_goes_to_the_hub_and_nowhere_else(world: World, tmp_path):
    get("hest", tmp_path / "h", ids=("TENX96",))
    sent = {(one.port, "Authorization" in one.headers) for one in world.asked}
    hub, cdn = (int(url.rpartition(":")[2]) for url in (world.url, world.cdn))
    assert sent == {(hub, True), (cdn, False)}


def test_what_is_there_is_not_fetched_again_and_more_is_added(world: World, tmp_path):
    get("hest", tmp_path / "h", ids=("TENX95",))
    world.asked.clear()
    _, report = get("hest", tmp_path / "h", ids=("TENX95", "zen*"))
    assert len(report.kept) == 3
    assert len(report.fetched) == 3
    assert not [one for one in world.of("/cdn/") if "TENX95" in one.path]
    assert world.of("/api/datasets")[0].path.endswith(f"/revision/{SHA}")  # stays at the commit of the first run
    assert set(rows(tmp_path / "h" / "slides.csv")) == {"TENX95", "ZEN40"}
    assert len(verify_folder(tmp_path / "h", Settings())) == 6


@pytest.mark.parametrize(
    ("token", "said"),
    [
        ("", "gated: accept its terms .CC-BY-NC-SA-4.0. on .*/datasets/MahmoodLab/hest, make a token.*set HF_TOKEN"),
        ("hf_other", "not on the list of MahmoodLab/hest: open .*accept its terms"),
    ],
)
def test_gated_data_say_what_to_do(world: World, tmp_path, monkeypatch, token, said):
    monkeypatch.setenv("HF_TOKEN", token)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "nobody"))
    with pytest.raises(FetchError, match=said):
        plan_collection("hest", Selection(ids=("TENX95",)))


def test_a_token_file_does_as_well(world: World, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    assert paths(plan_collection("hest", Selection(ids=("TENX95",), part=("st",)))) == ["st/TENX95.h5ad"]


def test_stimage_is_read_as_its_format(world: World, tmp_path):
    plan, report = get("stimage", tmp_path / "s", species=("human",))
    assert len(report.fetched) == 3
    assert any("mpp" in note for note in plan.notes)
    table = tmp_path / "s" / "slides.csv"
    row = rows(table)["Human_Breast_A1"]
    assert (row["patient_id"], row["diagnosis"], row["mpp"]) == ("PMID 34650042", "cancer", "")
    said = {name: Said(one.given_facts, one.image_path) for name, one in read_slide_table(table).items()}
    (slide,) = find_slides(tmp_path / "s", "stimage", Circumstances(said))
    assert slide.read_expression().counts.toarray()[:2].tolist() == [[3, 4], [4, 4]]
    assert (slide.facts.mpp, slide.facts.mpp_source) == (5.0, "pitch")  # 200 um of legacy arrays over 40 px
    assert slide.facts.patient == "PMID 34650042"


def test_tcga_counts_and_slides_come_with_their_sheets(world: World, tmp_path):
    folder = tmp_path / "t"
    plan, report = get("tcga", folder, project=("tcga-brca",), part=("counts", "diagnostic-slides"))
    assert len(report.fetched) == 4
    assert len(world.of("/files")) > 3
    assert any(note.startswith("Not counted: 1 files that are controlled") for note in plan.notes)
    found = {one.facts.slide: one for one in find_slides(folder, "gdc-star")}
    assert (
        set(found) == set(rows(folder / "samples.csv")) == {"TCGA-A2-A04R-01A", "TCGA-A2-A04R-11A", "TCGA-BH-A18H-01A"}
    )
    assert found["TCGA-A2-A04R-11A"].facts.patient == "TCGA-A2-A04R"
    assert found["TCGA-A2-A04R-11A"].read_expression().counts.toarray()[0, 0] == 200
    assert rows(folder / "samples.csv")["TCGA-A2-A04R-11A"]["diagnosis"] == "normal"
    slide = read_slide_table(folder / "slides.csv")["TCGA-A2-A04R-01A-DX1.s1"]
    assert (slide.facts.patient, slide.facts.mpp) == ("TCGA-A2-A04R", 1.0)
    with closing(slide.open_image()) as image:
        assert image.size_px == (330, 320)


@pytest.mark.parametrize("one", ["TCGA-A2-A04R", "TCGA-A2-A04R-11A", "c2"])
def test_gdc_ids_are_cases_samples_or_files(world: World, one):
    assert "counts/c2.rna_seq.augmented_star_gene_counts.tsv" in paths(plan_collection("tcga", Selection(ids=(one,))))


def test_cptac_says_where_its_slides_are(world: World, tmp_path):
    plan, _ = get("cptac", tmp_path / "c", project=("CPTAC-3",))
    assert set(rows(tmp_path / "c" / "samples.csv")) == {"C3L-00001-01"}
    assert "cancerimagingarchive" in plan.notes[-1]
    with pytest.raises(FetchError, match="no open file of cptac"):
        plan_collection("cptac", Selection(ids=("TCGA-A2-A04R",)))


def test_gtex_counts_by_tissue_with_their_donors(world: World, tmp_path):
    _, report = get("gtex", tmp_path / "g", tissue=("whole_*",))
    assert report.fetched == ("counts/gene_reads_v10_whole_blood.gct.gz",)
    found = find_slides(tmp_path / "g" / "counts", "gct")
    assert {one.facts.slide for one in found} == set(rows(tmp_path / "g" / "samples.csv"))
    assert {row["patient_id"] for row in rows(tmp_path / "g" / "samples.csv").values()} == {"GTEX-1117F"}
    record = json.loads((tmp_path / "g" / RECORD).read_text())
    assert record["files"][0]["digest"].startswith("md5:")
    assert record["revision"] == "v10"


def test_gtex_slides_have_no_digest_and_a_page_of_html_is_no_slide(world: World, tmp_path):
    plan, report = get("gtex", tmp_path / "g", organ=("liver",), part=("slides",))
    assert report.fetched == ("slides/GTEX-1117F-0126.svs",)
    assert "other first bytes" in report.failed["slides/GTEX-111FC-0126.svs"]
    assert not list((tmp_path / "g" / "slides").glob("*.part"))
    assert "neither size nor digest" in plan.notes[0]


def test_a_release_that_is_not_there(world: World):
    with pytest.raises(FetchError, match="'v3' is not known; expected one of v8, v10"):
        plan_collection("gtex", Selection(tissue=("Liver",), revision="v3"))
    with pytest.raises(FetchError, match=r"404.*no file of this tissue"):
        plan_collection("gtex", Selection(tissue=("Liver",)))


def test_nobody_gets_all_of_it_by_mistake(world: World):
    with pytest.raises(FetchError, match=r"All of hest would be about 1\.9 TB.*choose|Choose by diagnosis, ids"):
        plan_collection("hest", Selection())
    assert world.asked == []
    assert len(plan_collection("hest", Selection(everything=True)).files) == 9
    assert {row["slide"] for row in plan_collection("hest", Selection(limit=2)).slides} == {"TENX95", "TENX96"}


def test_a_choice_that_matches_nothing_lists_what_there_is(world: World):
    with pytest.raises(FetchError, match=r"nothing for organ pancreas\. It has organ: Breast, Skin"):
        plan_collection("hest", Selection(organ=("pancreas",)))
    plan = plan_collection("hest", Selection(ids=("TENX95", "TENX777")))
    assert plan.notes == ("HEST-1k has no sample TENX777.",)


def test_a_choice_that_does_not_fit_says_what_does(world: World):
    with pytest.raises(FetchError, match="hest cannot be chosen by project; expected some of: diagnosis, ids"):
        plan_collection("hest", Selection(project=("TCGA-BRCA",)))
    with pytest.raises(FetchError, match=r"no part bams; expected some of: counts .STAR gene counts"):
        plan_collection("tcga", Selection(ids=("x",), part=("bams",)))
    with pytest.raises(FetchError, match="no collection 'x'; expected one of: hest, stimage, tcga, gtex, cptac"):
        choose_collection("x")


def test_parts_and_patterns_narrow_the_files(world: World):
    plan = plan_collection("hest", Selection(everything=True, part=("st", "thumbnails"), pattern=("*TENX*",)))
    assert paths(plan) == [
        "st/TENX95.h5ad",
        "st/TENX96.h5ad",
        "thumbnails/TENX95_downscaled_fullres.jpeg",
        "thumbnails/TENX96_downscaled_fullres.jpeg",
    ]


def test_a_folder_is_of_one_collection_and_one_run(world: World, tmp_path):
    get("tcga", tmp_path / "t", ids=("c1",))
    with pytest.raises(FetchError, match="holds 'tcga', not 'hest'"):
        plan_collection("hest", Selection(ids=("TENX95",)), folder=tmp_path / "t")
    plan = plan_collection("tcga", Selection(ids=("c2",)), folder=tmp_path / "t")
    with receiving.FileLock(tmp_path / "t" / ".histoseek.lock"), pytest.raises(FetchError, match="Another run"):
        receive_plan(plan, tmp_path / "t", Settings())
    (tmp_path / "t" / RECORD).write_text("{")
    with pytest.raises(FetchError, match="no readable"):
        verify_folder(tmp_path / "t", Settings())


def test_a_changed_file_is_found(world: World, tmp_path):
    get("tcga", tmp_path / "t", ids=("c1",))
    (path,) = (tmp_path / "t" / "counts").iterdir()
    path.write_bytes(b"!" * path.stat().st_size)
    (state,) = verify_folder(tmp_path / "t", Settings())
    assert state.state == "wrong"
    assert "MD5" in state.reason


def test_answers_of_other_shapes_are_told(world: World, monkeypatch):
    monkeypatch.setattr(world, "gdc", [{**world.gdc[0], "md5sum": None}])
    with pytest.raises(FetchError, match="describes a file without"):
        plan_collection("tcga", Selection(project=("TCGA-BRCA",)))
    monkeypatch.setitem(world.hub, "MahmoodLab/hest", {"HEST_v1_2_0.csv": b"a,b\n1,2\n"})
    with pytest.raises(FetchError, match="no column 'id'"):
        plan_collection("hest", Selection(ids=("x",)))


def test_every_collection_says_its_licence_and_page():
    for one in COLLECTIONS.values():
        assert one.licence
        assert one.citation
        assert one.access
        assert one.page.startswith("https://")
        assert set(one.usual) <= set(one.parts)


def test_only_what_has_every_part(world: World, tmp_path, monkeypatch):
    both = ("counts", "diagnostic-slides")
    plan, _ = get("tcga", tmp_path / "t", project=("TCGA-BRCA",), part=both, complete=True)
    assert {row["patient_id"] for row in (*plan.slides, *plan.samples)} == {"TCGA-A2-A04R"}
    (manifest,) = (tmp_path / "t").glob("gdc_manifest.*.txt")
    lines = manifest.read_text().splitlines()
    assert lines[0].split() == ["id", "filename", "md5", "size", "state"]
    assert len(lines) == 4
    for repo, gone in (
        ("MahmoodLab/hest", "wsis/TENX95.tif"),
        ("jiawennnn/STimage-1K4M", "Visium/image/Mouse_Brain_B1.png"),
    ):
        files = world.hub[repo] | {"Visium/image/other.png": b""}
        monkeypatch.setitem(world.hub, repo, {path: content for path, content in files.items() if path != gone})
    assert [row["slide"] for row in plan_collection("hest", Selection(limit=1, complete=True)).slides] == ["TENX96"]
    plan = plan_collection("stimage", Selection(everything=True, complete=True))
    assert [row["slide"] for row in plan.slides] == ["Human_Breast_A1"]
    assert len(plan.files) == 3
    with pytest.raises(FetchError, match="no file for that choice"):
        plan_collection("hest", Selection(ids=("TENX95",), pattern=("nothing/*",)))
