"""Genes asked for by names of long ago, ids and mouse symbols."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoders.errors import GeneQueryError
from encoders.gene_lists import WeightedGenes
from indexer.genes.shipped import shipped_tables
from indexer.genes.tables import GeneTables
from search.gene_names import GeneNames, aliases_of

TABLES = GeneTables(
    symbols_of_alias={
        "HER2": ("ERBB2",), "CD45": ("PTPRC",), "P53": ("TP53", "TP53BP1"), "GLTSCR2": ("NOP53",), "NGR": ("RTN4R",),
    },
    symbol_of_id={"ENSG00000141736": "ERBB2"},
    approved=frozenset({"ERBB2", "PTPRC", "TP53", "TP53BP1", "NOP53", "VIM", "RTN4R"}),
    human_of_mouse={"Trp53": ("TP53",), "Gm1": ()},
)  # fmt: skip
KNOWN = ("ERBB2", "PTPRC", "TP53", "VIM", "GLTSCR2")
NAMES = GeneNames(KNOWN, TABLES)


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("ERBB2", "ERBB2"), ("vim", "VIM"), ("HER2", "ERBB2"), ("her2", "ERBB2"), ("ENSG00000141736.14", "ERBB2"),
        ("Trp53", "TP53"), ("NOP53", "GLTSCR2"), ("GLTSCR2", "GLTSCR2"),
        ("P53", "P53"), ("NGR", "NGR"), ("Gm1", "Gm1"), ("ERBBB2", "ERBBB2"), ("ENSG00000000001", "ENSG00000000001"),
    ],
)  # fmt: skip
def test_a_gene_by_any_of_its_names(name, symbol):
    assert NAMES.read([name]).names == (symbol,)
    assert NAMES.read(["Cd8", name, "ENSG00000000002"]).names[1] == symbol  # whatever stands beside it


def test_what_was_read_as_what_and_what_could_not_be_is_said():
    read = NAMES.read(["HER2", "vim", "CD45", "P53", "NGR", "ERBBB2", "HER2"])
    assert read.notes() == (
        "HER2 was read as ERBB2, CD45 as PTPRC.",
        "P53 may be TP53 or TP53BP1: left out, write the gene that is meant.",
    )
    hints = ("NGR is RTN4R, which is not known here.", "ERBBB2 is not known; spelled alike: ERBB2.")
    assert NAMES.missing(read) == hints


@pytest.mark.parametrize(
    ("given_names", "said"),
    [
        (["P53", "FOO"], r"None of the 2 genes is known to this space \(P53, FOO\). P53 may be TP53 or TP53BP1"),
        (["NGR"], "NGR is RTN4R, which is not known here"),
        (["ERBBB2"], "spelled alike: ERBB2"),
        (["FOO"], "Give symbols such as ERBB2, PTPRC, TP53"),
    ],
)
def test_an_error_says_what_may_have_been_meant(given_names, said):
    with pytest.raises(GeneQueryError, match=said):
        NAMES.check_any(NAMES.read(given_names), "this space")


def test_weights_of_two_names_of_one_gene_are_added_up():
    genes, read = NAMES.read_list(WeightedGenes.parse("HER2:2 ERBB2 -CD45 P53 vim FOO NOP53"))
    assert str(genes) == "ERBB2:3 -PTPRC P53 VIM FOO GLTSCR2"
    assert read.renamed == (("HER2", "ERBB2"), ("CD45", "PTPRC"), ("NOP53", "GLTSCR2"))
    with pytest.raises(GeneQueryError, match="HER2 and ERBB2 cancel"):
        NAMES.read_list(WeightedGenes.parse("HER2 -ERBB2"))


def test_an_alias_that_is_a_gene_of_the_panel_stays_that_gene():
    assert NAMES.read(["HER2", "CD45"], lambda: ("HER2",)).names == ("HER2", "PTPRC")
    with_both = GeneNames(("HER2", "ERBB2"), TABLES)
    assert with_both.read(["HER2"]).names == ("HER2",)


def test_without_known_symbols_any_current_one_is_found():
    assert GeneNames((), TABLES).read(["HER2", "P53", "FOO"]).names == ("ERBB2", "P53", "FOO")


def test_aliases_lead_to_one_gene():
    assert aliases_of(KNOWN, TABLES) == {"ERBB2": ("HER2",), "PTPRC": ("CD45",)}


SHIPPED = GeneNames(("ERBB2", "KMT2A", "VIM", "CD8B"))


@given(st.lists(st.one_of(st.text(max_size=12), st.sampled_from(sorted(shipped_tables().symbols_of_alias)[::50]))))
def test_any_names_are_read_one_each_and_known_ones_never_change(names):
    read = SHIPPED.read([*names, "ERBB2"])
    assert len(read.names) == len(names) + 1
    assert read.names[-1] == "ERBB2"
    changed = {name: new for name, new in zip(names, read.names, strict=False) if name != new}
    assert set(changed.values()) <= {"ERBB2", "KMT2A", "VIM", "CD8B"}
    assert all(SHIPPED.read([new]).names == (new,) for new in changed.values())
    read.notes()
    SHIPPED.missing(read)
