"""Counts tables, spot positions and their join, on a tiny section; then the real ones."""

import gzip

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.datasets.manifest import load_manifest
from indexer.errors import CountsError, JoinError, SlideError
from indexer.readers.counts_table import read_counts_table, read_gene_header
from indexer.sources import local_gene_table, open_sources, source_files

SYMBOLS = st.lists(st.from_regex(r"[A-Z][A-Z0-9.-]{0,7}", fullmatch=True), min_size=1, max_size=5)


def replaced(text: str, row: str, column: int, value: str) -> str:
    lines = [line.split("\t") for line in text.splitlines()]
    for line in lines:
        if line[0] == row:
            line[column] = value
    return "\n".join("\t".join(line) for line in lines) + "\n"


@pytest.fixture
def counts_text(write_section) -> str:
    return write_section().counts.read_text()


def test_a_section_is_read(write_section):
    section = write_section()
    found = section.read_expression()
    assert found.genes == section.read_genes() == ("ERBB2", "KRT19", "VIM", "CD3D")
    assert found.counts.shape == (20, 4)
    assert found.counts.dtype == np.float32
    row = found.names.index("3x2")
    assert found.counts[row].toarray().tolist() == [[0, 6, 12, 18]]
    assert found.xy_px[row].tolist() == [120, 80]
    assert found.spot_um == 100
    assert found.labels is None
    assert found.counts.nnz == 60


def test_nothing_is_opened_before_it_is_asked_for(write_section):
    section = write_section()
    for path in section.files:
        path.unlink()
    assert section.facts.slide == "S1"
    assert section.image_path is not None
    with pytest.raises(CountsError, match="Cannot read the counts"):
        section.read_expression()


def test_positions_remain_without_an_image(write_section):
    section = write_section(image=False)
    assert section.open_image() is None
    assert section.read_expression().xy_px is not None
    assert len(section.files) == 2


@given(symbols=SYMBOLS, rows=st.lists(st.lists(st.integers(0, 10**6), min_size=5, max_size=5), min_size=1, max_size=4))
def test_a_counts_table_is_read_back(tmp_path_factory, symbols, rows):
    values = [row[: len(symbols)] for row in rows]
    path = tmp_path_factory.mktemp("counts") / "c.tsv.gz"
    lines = ["\t".join(["", *symbols]), *("\t".join([f"r{i}", *map(str, row)]) for i, row in enumerate(values))]
    path.write_bytes(gzip.compress("\r\n".join(lines).encode()))
    names, genes, counts = read_counts_table(path)
    assert genes == read_gene_header(path) == tuple(symbols)
    assert names == tuple(f"r{i}" for i in range(len(rows)))
    assert counts.toarray().tolist() == values


def test_other_ways_to_write_numbers_are_read(write_section, counts_text):
    text = replaced(replaced(counts_text, "1x1", 1, "1.5"), "1x1", 2, "1e3")
    found = write_section(counts=replaced(text, "1x1", 3, "00")).read_expression()
    assert found.counts[found.names.index("1x1")].toarray().tolist() == [[1.5, 1000, 0, 3]]


@pytest.mark.parametrize("value", ["-1", "nan", "inf", "abc", "", "1,5", "0x1"])
def test_a_bad_count_names_its_cell(write_section, counts_text, value):
    section = write_section(counts=replaced(counts_text, "2x3", 2, value))
    with pytest.raises(CountsError, match=r"row '2x3', gene 'KRT19'.*at least 0"):
        section.read_expression()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no counts below its header"),
        ("\tA\tB\n", "no counts below its header"),
        ("\tA\tB\n1x1\t1\n", "names 3 genes in its header but its first row holds 1"),
        ("\tA\tB\n1x1\t1\t2\n1x2\t1\n", "line 3: got 1 counts; expected 2"),
        ("\tA\t\n1x1\t1\t2\n", "gene 2 of the header has no name"),
        ("\tA\tB\n1x1\t1\t2\n1x1\t1\t2\n", "two rows named '1x1'"),
    ],
)
def test_a_malformed_table(write_section, text, says):
    with pytest.raises(CountsError, match=says):
        write_section(counts=text).read_expression()


def test_a_table_cut_short(tmp_path):
    whole = gzip.compress(b"\tA\tB\n" + b"1x1\t1\t2\n" * 1)
    (tmp_path / "c.tsv.gz").write_bytes(whole[:-9])
    with pytest.raises(CountsError, match="Cannot read the counts"):
        read_counts_table(tmp_path / "c.tsv.gz")


def test_repeated_genes_are_added_up_and_said(write_section, counts_text, caplog):
    section = write_section(counts=counts_text.replace("VIM", "KRT19"))
    found = section.read_expression()
    assert found.genes == section.read_genes() == ("ERBB2", "KRT19", "CD3D")
    assert found.counts[found.names.index("1x1")].toarray().tolist() == [[0, 3, 3]]
    assert "KRT19" in caplog.text


def test_spots_without_counts_are_dropped(write_section, counts_text):
    fewer = "\n".join(line for line in counts_text.splitlines() if not line.startswith(("1x1\t", "4x4\t")))
    assert len(write_section(counts=fewer).read_expression().names) == 18


def test_counts_without_position_show_both_names(write_section, counts_text):
    section = write_section(counts=counts_text.replace("5x4\t", "9x9\t"))
    with pytest.raises(JoinError, match=r"19 of 20 counts rows.*like '9x9', positions like '1x1', '1x2'"):
        section.read_expression()


def test_too_few_joined(write_section, counts_text):
    section = write_section(counts="\n".join(counts_text.splitlines()[:6]))
    with pytest.raises(JoinError, match=r"5 of 5 counts rows match one of 20 spot positions.*50%"):
        section.read_expression()


def test_swapped_columns_are_recognised(write_section, spot_rows):
    swapped = [{**row, "pixel_x": row["pixel_y"], "pixel_y": row["pixel_x"]} for row in spot_rows]
    with pytest.raises(JoinError, match="x and y look swapped"):
        write_section(spots=swapped, image=False).read_expression()


def test_swapped_columns_are_recognised_by_the_image_alone(write_section, spot_rows, facts):
    from indexer.readers.spot_positions import SpotPositions, check_positions

    few = SpotPositions(np.array([[1, 1], [9, 1]]), np.array([[50.0, 10.0], [50.0, 190.0]]))
    with pytest.raises(JoinError, match=r"x and y look swapped.*outside the image"):
        check_positions(few, "Slide S", size_px=(200, 100))


def test_another_resolution_is_recognised(write_section, spot_rows):
    larger = [{**row, "pixel_x": row["pixel_x"] * 2, "pixel_y": row["pixel_y"] * 2} for row in spot_rows]
    with pytest.raises(JoinError, match="80 px apart; expected about 40 px"):
        write_section(spots=larger, image=False).read_expression()


def test_centres_beside_the_image(write_section, spot_rows):
    moved = [{**row, "pixel_x": row["pixel_x"] + 500} for row in spot_rows]
    with pytest.raises(JoinError, match="outside the image of 240 x 200 pixels"):
        write_section(spots=moved).read_expression()


@pytest.mark.parametrize("value", ["", "nan", "left"])
def test_a_bad_position_names_its_line(write_section, spot_rows, value):
    spot_rows[3]["pixel_y"] = value
    with pytest.raises(JoinError, match="line 5, column pixel_y"):
        write_section(spots=spot_rows).read_expression()


def test_missing_columns_and_repeated_spots(write_section, spot_rows):
    without = [{key: value for key, value in row.items() if key != "pixel_x"} for row in spot_rows]
    with pytest.raises(JoinError, match="no column pixel_x"):
        write_section(spots=without).read_expression()
    with pytest.raises(JoinError, match="lists spot 1x1 twice"):
        write_section(spots=[*spot_rows, spot_rows[0]]).read_expression()


def test_labels_join_on_rounded_coordinates(write_section):
    text = "Row.names\tx\ty\tlabel\na\t1.02\t1.98\tstroma\nb\tNA\tNA\tfat\nc\t2.9\t4.1\tcancer\n"
    found = write_section(labels=text).read_expression()
    labels = dict(zip(found.names, found.labels, strict=True))
    assert {name: label for name, label in labels.items() if label} == {"1x2": "stroma", "3x4": "cancer"}


def test_labels_that_meet_no_spot(write_section):
    with pytest.raises(JoinError, match=r"no region of S1_labels\.tsv meets a spot"):
        write_section(labels="x\ty\tlabel\n77\t88\tfat\n").read_expression()


def test_an_unreadable_image_is_a_slide_error(write_section):
    section = write_section()
    section.image_path.write_bytes(b"not an image")
    with pytest.raises(SlideError, match="not an image"):
        section.open_image()
    section.image_path.unlink()
    with pytest.raises(SlideError, match="is missing"):
        section.open_image()


def test_an_image_cut_short_is_a_slide_error(write_section):
    section = write_section()
    whole = section.image_path.read_bytes()
    section.image_path.write_bytes(whole[: len(whole) // 2])
    image = section.open_image()
    with pytest.raises(SlideError, match=r"Cannot decode.*cut short or damaged"):
        image.read(100, 100, 20, 20)


@pytest.mark.real
def test_all_sections_of_her2st(mirror):
    manifest = load_manifest()
    spots, labelled = 0, {}
    for source in open_sources("her2st", manifest=manifest):
        found = source.read_expression()
        spots += len(found.names)
        assert found.genes == source.read_genes()
        assert found.xy_px.shape == (len(found.names), 2)
        if found.labels is not None:
            labelled[source.facts.slide] = sum(label is not None for label in found.labels)
    assert spots == 13_620
    assert labelled == {"B1": 295, "C1": 176, "D1": 306, "E1": 587, "F1": 691, "G2": 467, "H1": 613}


@pytest.mark.real
def test_c2_is_what_the_table_says(mirror):
    import pandas as pd

    manifest = load_manifest()
    source, b4 = open_sources("her2st", manifest=manifest, slides=["C2", "B4"])
    table = pd.read_csv(mirror / "her2st/counts/C2.tsv.gz", sep="\t", index_col=0)
    found = source.read_expression()
    assert list(found.names) == list(table.index)
    assert list(found.genes) == list(table.columns)
    assert (found.counts.toarray() == table.to_numpy()).all()
    assert b4.open_image().size_px == (9272, 9923)
    assert len(b4.read_expression().names) == 283


@pytest.mark.real
def test_single_cells(mirror):
    (cells,) = open_sources("wu2021", manifest=load_manifest())
    found = cells.read_expression()
    assert (cells.kind, cells.facts.patient, cells.facts.cohort) == ("cell", "CID4465", "wu2021")
    assert found.counts.shape == (1564, 29733)
    assert len(set(found.genes)) == 29733
    assert cells.read_genes() == found.genes
    assert found.labels.count("Plasmablasts") == 110
    assert cells.open_image() is None


@pytest.mark.real
def test_the_manifests_gene_table_has_ids_of_genes_without_a_name_of_their_own(mirror):
    assert local_gene_table(load_manifest())["ARHGEF19-AS1"] == "ENSG00000234166"


def test_ensembl_ids_without_a_gene_table_of_the_manifest(monkeypatch, tmp_path):
    monkeypatch.setenv("HISTOSEEK_MIRROR", str(tmp_path))
    monkeypatch.setenv("HISTOSEEK_CACHE_DIR", str(tmp_path))
    table = local_gene_table(load_manifest())
    assert table["ERBB2"] == "ENSG00000141736"
    assert "ARHGEF19-AS1" not in table


def test_a_reader_wants_only_its_files():
    her2st = load_manifest().dataset("her2st")
    assert source_files(her2st, slides=["B1"]) == (
        "her2st/counts/B1.tsv.gz",
        "her2st/spots/B1_selection.tsv",
        "her2st/labels/B1_labeled_coordinates.tsv",
    )
