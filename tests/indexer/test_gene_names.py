"""Gene identifiers of every kind, and what is reported of them."""

import gzip
from io import BytesIO

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.building.frames import receive, send
from indexer.errors import CountsError
from indexer.genes.local import tables_with
from indexer.genes.names import name_columns, name_genes
from indexer.genes.report import FATES, sum_up
from indexer.genes.shipped import shipped_tables
from indexer.genes.species import detect_species
from indexer.genes.tables import GeneTables, read_id_table, read_orthologs

TABLES = GeneTables(
    symbol_of_id={"ENSG00000141736": "ERBB2", "ENSG00000026025": "VIM", "ENSG00000136261": "BZW2"},
    human_of_mouse={"Erbb2": ("ERBB2",), "Khdc1b": ("KHDC1", "KHDC1L"), "Vim": ("VIM", "VIM2")},
    symbols_of_alias={"HER2": ("ERBB2",), "P1": ("VIM", "BZW2")},
)


@pytest.mark.parametrize(
    ("symbol", "gene_id", "fate", "name"),
    [
        ("ERBB2", "", "mapped", "ERBB2"),
        ("ENSG00000141736.17", "", "renamed", "ERBB2"),
        ("NEU", "ENSG00000141736", "renamed", "ERBB2"),  # an old symbol beside its id
        ("HER2", "", "renamed", "ERBB2"),
        ("P1", "", "ambiguous", "P1"),
        ("ENSG00000000001.3", "", "unknown", "ENSG00000000001"),
        ("N_noFeature", "", "dropped", ""),
        ("NegControlProbe_00042", "", "dropped", ""),
        ("", "", "dropped", ""),
    ],
)
def test_what_becomes_of_a_human_gene(symbol, gene_id, fate, name):
    names, report = name_genes([symbol, "VIM", "BZW2", "ERBB2"], [gene_id, "", "", ""], TABLES)
    assert names[0] == name
    assert (symbol, name) in report.genes[fate]


def test_mouse_genes_become_their_human_orthologs():
    names, report = name_genes(["Erbb2", "Vim", "Khdc1b", "Gm597"], None, TABLES)
    assert names == ("ERBB2", "VIM", "Khdc1b", "Gm597")  # of two orthologs the one of the same letters
    assert report.species == "mouse"
    assert report.counts == dict.fromkeys(FATES, 0) | {"renamed": 2, "ambiguous": 1, "unknown": 1}
    assert "2 renamed (Erbb2 -> ERBB2, Vim -> VIM), 1 ambiguous (Khdc1b)" in report.sentence()


def test_columns_of_one_gene_are_added_up_and_told():
    counts = sp.csr_matrix(np.array([[1, 2, 4, 8]], dtype=np.float32))
    named, genes, report = name_columns(counts, ["ERBB2", "VIM", "HER2", "N_unmapped"], None, TABLES)
    assert genes == ("ERBB2", "VIM")
    np.testing.assert_array_equal(named.toarray(), [[5, 2]])
    assert report.summed == ("ERBB2",)
    assert "1 symbols summed (ERBB2)" in report.sentence()


def test_species_by_ids_before_symbols():
    assert detect_species(["Erbb2", "Vim", "Krt8"], ["ENSG00000141736", "", ""]) == "human"
    assert detect_species(["ENSMUSG00000062312"]) == "mouse"
    assert detect_species(["Q1", "x"]) == "unknown"


def test_without_tables_names_are_kept_and_that_is_said():
    names, report = name_genes(["ERBB2", "ENSG00000141736"], None, GeneTables())
    assert names == ("ERBB2", "ENSG00000141736")
    assert "no table of gene names was used" in report.sentence()


@settings(deadline=None)
@given(st.lists(st.text(max_size=12), max_size=20))
def test_every_gene_has_one_fate_and_naming_again_changes_nothing(symbols):
    names, report = name_genes(symbols, None, TABLES)
    assert sum(report.counts[fate] for fate in FATES) == len(symbols) == len(names)
    kept = [name for name in names if name]
    if report.species != "mouse":
        assert list(name_genes(kept, None, TABLES)[0]) == kept


def test_tables_are_read_or_refused_by_line(tmp_path):
    table = tmp_path / "t.csv.gz"
    table.write_bytes(gzip.compress(b"MT-TF,\nXKR4,Xkr4\n,Gm1\nUGT1A1,Ugt1a\nUGT1A2,Ugt1a\n"))
    assert read_orthologs(table) == {"Xkr4": ("XKR4",), "Ugt1a": ("UGT1A1", "UGT1A2")}
    (tmp_path / "ids.csv").write_text("ENSG1.2,A\nENSG2\n")
    with pytest.raises(CountsError, match=r"line 2: got \['ENSG2'\]"):
        read_id_table(tmp_path / "ids.csv")


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("HER2", "ERBB2"),  # alias
        ("MLL", "KMT2A"),  # previous symbol
        ("NOP53", "NOP53"),  # current
        ("2-Sep", "SEPTIN2"),  # a spreadsheet's SEPT2
        ("HLA.A", "HLA-A"),  # R's
        ("C1ORF159", "C1orf159"),
        ("TBCE-1", "TBCE"),  # the second of two, as scanpy numbers them
        ("GRCh38_VIM", "VIM"),
        ("ENSG00000141736.14", "ERBB2"),
        ("RP11-34P13.7", "RP11-34P13.7"),  # in no table
    ],
)
def test_names_are_made_current_by_the_tables_that_come_with_histoseek(written, name):
    names, report = name_genes([written, "TBCE", "KRT19"], None, shipped_tables())
    assert names == (name, "TBCE", "KRT19")
    assert report.counts["unknown"] == (written == "RP11-34P13.7")


def test_the_shipped_tables_know_both_ids_and_what_is_ambiguous_or_without_ortholog():
    tables = shipped_tables()
    assert tables.id_of_symbol["ERBB2"] == "ENSG00000141736"
    assert len(tables.human_symbols) > 44_000
    names, report = name_genes(["1-Mar", "KRT19", "KRT8"], None, tables)
    assert report.genes["ambiguous"] == (("1-Mar", "1-Mar"),)  # MARCHF1 or MTARC1
    names, report = name_genes(["Cd8b1", "ENSMUSG00000062312.1", "Kcnb2", "Gm597"], None, tables)
    assert (names, report.species) == (("CD8B", "ERBB2", "KCNB2", "Gm597"), "mouse")  # Kcnb2 by HCOP
    assert report.genes["no ortholog"] == (("Gm597", "Gm597"),)


def test_genes_are_written_as_the_space_knows_them():
    space = ("GLTSCR2", "ERBB2", "SEPT2", "SEPTIN2")  # of SEPT2 it knows the present name as well
    tables = shipped_tables().spelt_as(space)
    names, report = name_genes(["NOP53", "GLTSCR2", "HER2", "SEPT2"], None, tables)
    assert names == ("GLTSCR2", "GLTSCR2", "ERBB2", "SEPTIN2")
    assert ("NOP53", "GLTSCR2") in report.genes["renamed"]
    assert tables.id_of_symbol["GLTSCR2"] == tables.id_of_symbol["NOP53"]
    assert tables.sha256 == shipped_tables().sha256  # the space is no property of the file


def test_what_is_added_to_tables_fills_and_never_overrides():
    other = GeneTables(
        symbol_of_id={"ENSG00000141736": "WRONG", "ENSG00000000009": "AC1.1"}, human_of_mouse={"Gm1": ("GM1",)}
    )
    both = TABLES.filled_from(other)
    assert both.symbol_of_id["ENSG00000141736"] == "ERBB2"
    assert both.symbol_of_id["ENSG00000000009"] == "AC1.1"
    assert both.human_of_mouse["Gm1"] == ("GM1",)
    assert both.sha256 not in {TABLES.sha256, other.sha256}
    assert TABLES.filled_from(GeneTables()) is TABLES


def test_aliases_of_a_newer_release_go_before_the_shipped_symbols():
    newer = GeneTables(symbols_of_alias={"ERBB2": ("ERBBX",)}).filled_from(shipped_tables())
    names, report = name_genes(["ERBB2", "ENSG00000141736", "HER2", "KRT19"], None, newer)
    assert names == ("ERBBX", "ERBBX", "ERBBX", "KRT19")  # HER2 by the shipped alias of what was ERBB2
    assert report.counts["renamed"] == 3


def test_genes_of_many_slides_are_summed_up_by_species():
    lists = {"A": ["HER2", "VIM", "QQQ1"], "B": ["VIM", "BZW2", "ERBB2", "P1"], "C": ["Erbb2", "Vim", "Gm597"]}
    rows = {slide: name_genes(symbols, None, TABLES)[1].as_row() for slide, symbols in lists.items()}
    human, mouse = sum_up(rows)
    assert human == (
        "Genes of 2 slides, species human: 1 to 3 mapped, 0 to 1 renamed (HER2 -> ERBB2), 0 to 1 ambiguous (P1), "
        "0 to 1 unknown (QQQ1)."
    )
    assert mouse == "Genes of 1 slide, species mouse: 2 renamed (Erbb2 -> ERBB2, Vim -> VIM), 1 unknown (Gm597)."
    assert sum_up({}) == ()


def test_another_process_is_told_how_tables_are_made_and_not_their_names(tmp_path):
    (tmp_path / "ids.csv").write_text("ENSG00000000009,AC1.1\n")
    tables = tables_with(ids=tmp_path / "ids.csv").spelt_as(["GLTSCR2"])
    sent = BytesIO()
    send(sent, tables)
    assert sent.tell() < 10_000
    there = [receive(BytesIO(sent.getvalue())) for _ in range(2)]
    assert there[0] is there[1]  # made once a process
    assert (there[0].sha256, there[0].spelling) == (tables.sha256, {"NOP53": "GLTSCR2"})
    assert there[0].symbol_of_id["ENSG00000000009"] == "AC1.1"
