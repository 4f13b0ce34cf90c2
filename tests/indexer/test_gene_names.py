"""Gene identifiers of every kind, and what is reported of them."""

import gzip

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.errors import CountsError
from indexer.genes.names import (
    FATES,
    GeneTables,
    detect_species,
    name_columns,
    name_genes,
    read_id_table,
    read_orthologs,
)

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
    assert report.counts == {"mapped": 0, "renamed": 2, "ambiguous": 1, "unknown": 1, "dropped": 0}
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
    assert "no table of gene names is on this machine" in report.sentence()


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
