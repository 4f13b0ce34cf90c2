"""Cells and bulk samples in h5ad, csv, parquet, GCT, GDC and Xena files, and what is said of damaged ones."""

import gzip

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from indexer.errors import CountsError, DataError, JoinError
from indexer.format import Circumstances
from indexer.formats import find_slides
from indexer.genes.tables import GeneTables
from tests.indexer import written_files as written

TABLES = Circumstances(tables=GeneTables({"ENSG00000141736": "ERBB2", "ENSG00000026025": "VIM"}))
CELLS = "cell,ERBB2,VIM,VIM\na,1,2,3\nb,0,5,0\n"
GCT = (
    "#1.2\n3\t2\nName\tDescription\tGTEX-1117F-0226-SM-5GZZ7\tGTEX-111CU-1826-SM-5GZYN\n"
    "ENSG00000141736.14\tNEU\t1.5\t2\nENSG00000026025.13\tVIM\t3\t4\nENSG00000026025.13_PAR_Y\tVIM\t10\t0\n"
)
STAR = (
    "# gene-model: GENCODE v36\ngene_id\tgene_name\tgene_type\tunstranded\tstranded_first\tstranded_second\n"
    "N_unmapped\t\t\t999\t999\t999\nENSG00000141736.14\tERBB2\tprotein_coding\t70\t1\t1\n"
    "ENSG00000026025.16\tVIM\tprotein_coding\t8\t1\t1\n"
)
SHEET = (
    "File ID\tFile Name\tProject ID\tCase ID\tSample ID\tSample Type\n"
    "u1\tabc.rna_seq.augmented_star_gene_counts.tsv\tTCGA-BRCA\tTCGA-A2-A04R\tTCGA-A2-A04R-01A\tPrimary Tumor\n"
)
XENA = "sample\tTCGA-A2-A04R-01\tTCGA-A2-A04R-11\nERBB2\t3\t0\nVIM\t1\t10\n"


_STAR = ".rna_seq.augmented_star_gene_counts.tsv"


def table_of(slide):
    found = slide.read_expression()
    return dict(zip(found.genes, found.counts.toarray().T.tolist(), strict=True))


@pytest.mark.parametrize("name", ["cells.csv", "cells.csv.gz", "cells.tsv", "cells.txt"])
def test_cells_by_genes(tmp_path, name):
    text = (CELLS if ".csv" in name else CELLS.replace(",", "\t")).encode()
    (tmp_path / name).write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    (slide,) = find_slides(tmp_path, "cells-by-genes", TABLES)
    assert (slide.facts.slide, slide.kind, slide.facts.species) == ("cells", "cell", "human")
    assert table_of(slide) == {"ERBB2": [1, 0], "VIM": [5, 5]}
    assert slide.read_expression().names == ("a", "b")
    assert slide.gene_report().summed == ("VIM",)


def test_genes_by_cells_and_parquet(tmp_path):
    (tmp_path / "flat.csv").write_text('"a","b"\n"ERBB2",1,0\n"VIM",5,5\n')  # as R writes it
    frame = pd.DataFrame({"gene": ["ERBB2", "VIM"], "a": [1, 5], "b": [0, 5]})
    frame.to_parquet(tmp_path / "packed.parquet")
    slides = find_slides(tmp_path, "genes-by-cells", TABLES)
    assert [slide.facts.slide for slide in slides] == ["flat", "packed"]
    for slide in slides:
        assert table_of(slide) == {"ERBB2": [1, 0], "VIM": [5, 5]}
        assert slide.read_genes() == ("ERBB2", "VIM")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("samples-by-genes", "id,ERBB2,VIM\nTCGA-A2-A04R-01,1,2\nTCGA-A2-A04R-11,3,4\n"),
        ("genes-by-samples", "TCGA-A2-A04R-01,TCGA-A2-A04R-11\nERBB2,1,3\nVIM,2,4\n"),  # as R writes it
    ],
)
def test_tables_of_bulk_samples(tmp_path, name, text):
    (tmp_path / "bulk.csv").write_text(text)
    first, second = find_slides(tmp_path, name, TABLES)
    assert first.facts.patient == second.facts.patient == "TCGA-A2-A04R"
    assert (first.kind, table_of(first)) == ("transcriptome", {"ERBB2": [1], "VIM": [2]})
    assert table_of(second) == {"ERBB2": [3], "VIM": [4]}


def spots(**parts):
    """The twenty spots of the tiny `outs` in the layout of squidpy."""
    rows = written.spot_rows()
    counts = written.matrix(features=written.FEATURES[:4]).T.astype(np.float32)
    obs = {"array_row": [row[2] for row in rows], "array_col": [row[3] for row in rows]}
    found = anndata.AnnData(
        sp.csr_matrix(counts),
        obs=pd.DataFrame(obs, index=[row[0] for row in rows]),
        var=pd.DataFrame({"gene_ids": [one[0] for one in written.FEATURES[:4]]}, index=["NEU", "KRT19", "VIM", "V2"]),
    )
    found.obsm["spatial"] = np.array([(row[5], row[4]) for row in rows])
    found.uns["spatial"] = {"lib": {"scalefactors": {"spot_diameter_fullres": 26.0}}}
    for name, value in parts.items():
        setattr(found, name, value)
    return found


def test_h5ad_of_squidpy_has_positions_scale_and_current_names(tmp_path):
    spots().write_h5ad(tmp_path / "S.h5ad")
    (slide,) = find_slides(tmp_path / "S.h5ad", "h5ad", TABLES)
    assert (slide.kind, slide.facts.mpp_source) == ("spot", "pitch")
    assert slide.facts.mpp == pytest.approx(2.5)
    found = slide.read_expression()
    assert found.genes == ("ERBB2", "KRT19", "VIM", "V2")
    np.testing.assert_allclose(found.xy_px[4], [80, 50 + 40 * 3**0.5 / 2])
    assert found.spot_um == 55
    np.testing.assert_array_equal(found.counts.toarray()[4], [5, 10, 15, 20])


def test_h5ad_counts_come_from_their_layer_and_fractions_are_told(tmp_path):
    cells = spots(obsm={})
    cells.layers["counts"] = cells.X.copy()
    cells.X = sp.csr_matrix(np.log1p(cells.X.toarray()))
    cells.write_h5ad(tmp_path / "layer.h5ad")
    del cells.layers["counts"]
    cells.write_h5ad(tmp_path / "logged.h5ad")
    layer, logged = find_slides(tmp_path, "h5ad", TABLES)
    assert layer.kind == "cell"
    assert layer.read_expression().counts.sum() == written.matrix(features=written.FEATURES[:4]).sum()
    logged.read_expression()
    assert "no whole numbers" in logged.remarks()[-1]


def test_gct_samples_are_slides_of_their_donors(tmp_path):
    (tmp_path / "gtex.gct.gz").write_bytes(gzip.compress(GCT.encode()))
    first, second = find_slides(tmp_path, "gct", TABLES)
    assert (first.facts.patient, first.facts.slide) == ("GTEX-1117F", "GTEX-1117F-0226-SM-5GZZ7")
    assert (first.kind, first.facts.species) == ("transcriptome", "human")
    assert table_of(first) == {"ERBB2": [1.5], "VIM": [13]}
    assert table_of(second) == {"ERBB2": [2], "VIM": [4]}
    assert "2 samples" in first.remarks()[0]
    assert second.remarks() == ()  # said once for the file


def test_star_counts_find_their_patient_in_the_sample_sheet(tmp_path):
    (tmp_path / "u1").mkdir()
    (tmp_path / "u1" / "abc.rna_seq.augmented_star_gene_counts.tsv").write_text(STAR)
    with pytest.raises(DataError, match="not in a sample sheet"):
        find_slides(tmp_path, "gdc-star", TABLES)
    (tmp_path / "gdc_sample_sheet.2026-01-01.tsv").write_text(SHEET)
    (slide,) = find_slides(tmp_path, "gdc-star", TABLES)
    assert (slide.facts.slide, slide.facts.patient) == ("TCGA-A2-A04R-01A", "TCGA-A2-A04R")
    assert (slide.facts.cohort, slide.facts.species) == ("TCGA-BRCA", "human")
    assert table_of(slide) == {"ERBB2": [70], "VIM": [8]}
    assert "1 dropped (N_unmapped)" in slide.remarks()[0]


FULL_STAR = (
    "# gene-model: GENCODE v36\ngene_id\tgene_name\tgene_type\tunstranded\tstranded_first\tstranded_second\t"
    "tpm_unstranded\tfpkm_unstranded\tfpkm_uq_unstranded\nN_unmapped\t\t\t9\t9\t9\t\t\t\n"
    "ENSG00000141736.14\tERBB2\tprotein_coding\t70\t1\t1\t7.5\t6.5\t5.5\n"
    "ENSG00000026025.16\tVIM\tprotein_coding\t8\t1\t1\t0.5\t0.25\t0.125\n"
)


@pytest.mark.parametrize(
    ("end", "values"), [("-tpm", [7.5, 0.5]), ("-fpkm", [6.5, 0.25]), ("-fpkm-uq", [5.5, 0.125]), ("", [70, 8])]
)
def test_the_format_chooses_the_column_of_star_files(tmp_path, end, values):
    names = [f"TCGA-A2-A0{number}R-01A{_STAR}" for number in (4, 5)]  # a barcode in the name needs no sheet
    for name in names:
        (tmp_path / name).write_text(FULL_STAR)
    first, second = find_slides(tmp_path, f"gdc-star{end}", TABLES)
    assert (first.facts.slide, first.facts.patient) == ("TCGA-A2-A04R-01A", "TCGA-A2-A04R")
    assert table_of(first) == table_of(second) == dict(zip(("ERBB2", "VIM"), [[v] for v in values], strict=True))
    assert len(first.remarks()) == 1
    assert second.remarks() == ()  # their genes are the same


def test_fpkm_uq_of_the_older_gdc(tmp_path):
    text = "ENSG00000141736.12\t7.5\nENSG00000026025.13\t0\n"
    (tmp_path / "abc.FPKM-UQ.txt.gz").write_bytes(gzip.compress(text.encode()))
    sheet = SHEET.replace("abc.rna_seq.augmented_star_gene_counts.tsv", "abc.FPKM-UQ.txt.gz")
    (tmp_path / "gdc_sample_sheet.tsv").write_text(sheet)
    (sample,) = find_slides(tmp_path, "gdc-fpkm", TABLES)
    assert (sample.facts.patient, sample.facts.cohort) == ("TCGA-A2-A04R", "TCGA-BRCA")
    assert table_of(sample) == {"ERBB2": [7.5], "VIM": [0]}


CPTAC = "idx\tC3L-00001\tC3N-00148.N\nENSG00000141736.14\t3\t0\nENSG00000026025.16\t1\tNA\nVIM\t2\t1\n"


def test_cptac_is_turned_back_and_genes_with_gaps_are_told(tmp_path):
    (tmp_path / "BRCA_RNAseq_gene_RSEM_coding_UQ_1500_log2_Tumor.txt").write_text(CPTAC)
    tumour, normal = find_slides(tmp_path, "cptac", TABLES)
    assert [tumour.facts.patient, normal.facts.patient] == ["C3L-00001", "C3N-00148"]
    assert table_of(tumour) == {"ERBB2": [7], "VIM": [3]}
    assert table_of(normal) == {"ERBB2": [0], "VIM": [1]}
    assert "1 genes without a value in some sample are left out" in tumour.remarks()[-1]


def test_many_samples_are_read_a_few_at_a_time(tmp_path, monkeypatch):
    """From a file on disk, in blocks of samples and of genes that do not divide the table."""
    monkeypatch.setattr("indexer.readers.sample_matrix._BLOCK_GENES", 4)
    monkeypatch.setattr("indexer.readers.sample_matrix._IN_MEMORY", 100)
    monkeypatch.setattr("indexer.readers.samples._BLOCK", 3)
    values = np.arange(70).reshape(10, 7)
    frame = pd.DataFrame(values, [f"G{i}" for i in range(10)], [f"S{i}" for i in range(7)])
    frame.to_csv(tmp_path / "bulk.tsv", sep="\t", index_label="gene")
    samples = find_slides(tmp_path, "genes-by-samples", TABLES)
    found = np.concatenate([sample.read_expression().counts.toarray() for sample in samples])
    np.testing.assert_array_equal(found, values.T)


def test_xena_is_turned_back_from_its_logarithm(tmp_path):
    (tmp_path / "HiSeqV2").write_text(XENA)
    tumour, normal = find_slides(tmp_path / "HiSeqV2", "xena", TABLES)
    assert tumour.facts.patient == normal.facts.patient == "TCGA-A2-A04R"
    assert table_of(tumour) == {"ERBB2": [7], "VIM": [1]}
    assert table_of(normal) == {"ERBB2": [0], "VIM": [1023]}


def harmed(text, *changes):
    for old, new in changes:
        text = text.replace(old, new)
    return text.encode()


def packed(text):
    return gzip.compress(text.encode() * 50)[:60]


BROKEN = {
    "negative": ("cells-by-genes", "a.csv", harmed(CELLS, (",5,", ",-5,")), "got -5; expected raw counts"),
    "word": ("cells-by-genes", "a.csv", harmed(CELLS, (",5,", ",x,")), "row 'b', column 'VIM': got 'x'"),
    "empty cell": ("cells-by-genes", "a.csv", harmed(CELLS, (",5,", ",,")), "row 'b', column 'VIM': got ''"),
    "cut line": ("cells-by-genes", "a.csv", harmed(CELLS, (",5,0", "")), "row 'b', column '(ERBB2|VIM)'"),
    "header alone": ("cells-by-genes", "a.csv", b"cell,ERBB2\n", "cut short or no table"),
    "nothing": ("cells-by-genes", "a.csv", b"", "cut short or no table"),
    "picture": ("cells-by-genes", "a.tsv", b"\x89PNG\r\n\x1a\n\xff\xff", "Cannot read"),
    "wrong separator": ("cells-by-genes", "a.tsv", CELLS.encode(), "separated by tabs"),
    "cut gzip": ("cells-by-genes", "a.csv.gz", packed(CELLS), "Cannot read"),
    "text as gzip": ("cells-by-genes", "a.csv.gz", CELLS.encode(), "Cannot read"),
    "text as parquet": ("cells-by-genes", "a.parquet", CELLS.encode(), "expected a parquet table"),
    "text as h5ad": ("h5ad", "a.h5ad", CELLS.encode(), "Cannot read .* as h5ad"),
    "no GCT": ("gct", "a.gct", CELLS.encode(), "as GCT"),
    "cut GCT": ("gct", "a.gct", harmed(GCT, ("3\t2\n", "5\t2\n")), "has 3 genes of 2 samples; expected 5 and 2"),
    "sample twice": ("gct", "a.gct", harmed(GCT, ("GTEX-111CU-1826-SM-5GZYN", "GTEX-1117F-0226-SM-5GZZ7")), "repeated"),
    "negative sample": (
        "genes-by-samples",
        "a.csv",
        b"gene,S1,S2\nVIM,1,-5\n",
        "gene 'VIM', sample 'S2': got -5; expected a finite amount",
    ),
    "word in a sample": (
        "genes-by-samples",
        "a.csv",
        b"gene,S1,S2\nVIM,1,x\n",
        "line 2, gene 'VIM', sample 'S2': got 'x'",
    ),
    "empty sample cell": ("genes-by-samples", "a.csv", b"gene,S1,S2\nVIM,,1\n", "sample 'S1': got ''"),
    "gap in GCT": (
        "gct",
        "a.gct",
        harmed(GCT, ("\t3\t4", "\t\t4")),
        "line 5, gene 'ENSG00000026025.13', sample 'GTEX-1117F",
    ),
    "cut sample line": ("genes-by-samples", "a.csv", b"gene,S1,S2\nVIM,1,2\nKRT8,1\n", "got 1 numbers; expected 2"),
    "infinite": ("genes-by-samples", "a.csv", b"gene,S1,S2\nVIM,1,inf\n", "got inf"),
    "log ratios": ("cptac", "a.tsv", harmed(CPTAC, ("\t3\t", "\t-0.3\t")), "log ratios of proteins"),
    "STAR without its column": ("gdc-star-tpm", f"TCGA-A2-A04R-01A{_STAR}", STAR.encode(), "no column tpm_unstranded"),
    "cut STAR": ("gdc-star", f"TCGA-A2-A04R-01A{_STAR}", STAR[:-6].encode(), "ends in the middle of a line"),
    "one column": ("gdc-fpkm", "TCGA-A2-A04R-01A.FPKM.txt", b"ENSG1\n", "lines without two cells"),
    "centred": ("xena", "a.tsv", harmed(XENA, ("\t0\n", "\t-2\n")), r"values from -2 to 10; expected log2\(x \+ 1\)"),
    "not logged": ("xena", "a.tsv", harmed(XENA, ("\t10\n", "\t1000\n")), "values from 0 to 1000"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_damaged_table_says_its_own_reason(tmp_path, fault):
    name, file, content, reason = BROKEN[fault]
    (tmp_path / file).write_bytes(content)
    with pytest.raises(CountsError, match=reason):
        find_slides(tmp_path, name, TABLES)[0].read_expression()


def two_sections():
    found = spots()
    found.uns["spatial"] = {"left": {}, "right": {}}
    return found


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: spots(obsm={"spatial": np.array([(row[4], row[5]) for row in written.spot_rows()])}), "look swapped"),
        (lambda: spots(obsm={"spatial": np.zeros((20, 3))}), r"positions of shape \(20, 3\)"),
        (two_sections, r"holds 2 sections \(left, right\)"),
    ],
    ids=["swapped", "three columns", "two sections"],
)
def test_positions_of_h5ad_that_cannot_be_right(tmp_path, make, reason):
    make().write_h5ad(tmp_path / "S.h5ad")
    (slide,) = find_slides(tmp_path, "h5ad")
    assert slide.facts.mpp is None
    with pytest.raises(JoinError, match=reason):
        slide.read_expression()
