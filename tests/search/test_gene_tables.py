"""Gene lists out of tables of differential expression and GMT files."""

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoders.errors import GeneQueryError
from encoders.gene_lists import WeightedGenes
from search.gene_tables import read_expression_table, read_gene_sets

ROWS = [("ERBB2", 4.0, 1e-9), ("GRB7", 2.0, 1e-4), ("VIM", -1.0, 1e-3), ("ACTB", 5.0, 0.9), ("ESR1", -3.0, 1e-6)]
SEURAT = '"","p_val","avg_log2FC","pct.1","pct.2","p_val_adj"\n' + "\n".join(
    f'"{gene}",{rate / 9},{fold},0.9,0.1,{rate}' for gene, fold, rate in ROWS
)
SCANPY = ",names,scores,logfoldchanges,pvals,pvals_adj\n" + "\n".join(
    f"{row},{gene},3,{fold},{rate / 9},{rate}" for row, (gene, fold, rate) in enumerate(ROWS)
)
DESEQ2 = "baseMean\tlog2FoldChange\tlfcSE\tstat\tpvalue\tpadj\n" + "\n".join(
    f"{gene}\t88\t{fold}\t1\t1\t{rate / 9}\t{rate}" for gene, fold, rate in ROWS
)
EDGER = "     logFC logCPM  F  PValue  FDR\n" + "\n".join(
    f"{gene}  {fold}  5 9  {rate / 9}  {rate}" for gene, fold, rate in ROWS
)
EXCEL = "padj;logFC;Gene\n" + "\n".join(f"{rate:f};{fold};{gene}".replace(".", ",") for gene, fold, rate in ROWS)


@pytest.mark.parametrize(
    "text", [SEURAT, SCANPY, DESEQ2, EDGER, EXCEL], ids=["seurat", "scanpy", "deseq2", "edger", "excel"]
)
def test_what_changes_most_and_surely_becomes_weights(text):
    table = read_expression_table(text)
    genes, rule = table.strongest(up=2, down=2)
    assert dict(zip(genes.symbols, genes.weights, strict=True)) == {
        "ERBB2": 1.0,
        "GRB7": 0.5,
        "ESR1": -0.75,
        "VIM": -0.25,
    }
    assert "4 of 5 rows with adjusted p < 0.05" in rule
    assert WeightedGenes.parse(str(genes)) == genes


def test_fewer_genes_and_only_those_that_go_down():
    assert read_expression_table(SEURAT).strongest(up=0, down=1)[0] == WeightedGenes(("ESR1",), (-1.0,))


def test_a_raw_p_value_is_adjusted_and_this_is_said():
    table = read_expression_table("gene,logFC,PValue\nA,1,0.01\nB,2,0.04\nC,3,0.03\nD,NA,0.5\nGene/1,1,0.2")
    assert np.allclose(table.rates, [0.03, 0.04, 0.04])
    assert "adjusted here" in table.said
    assert "2 rows without a gene or a number were left out" in table.said


def test_without_p_values_all_rows_count():
    genes, rule = read_expression_table("symbol\tlog2FC\nA\t2\nB\t-1").strongest()
    assert (genes.symbols, "all rows" in rule) == (("A", "B"), True)


def test_of_several_groups_one_is_chosen():
    table = read_expression_table("gene,avg_log2FC,p_val_adj,cluster\nA,2,0,T cells\nA,1,0,Tumour\nB,3,0,Tumour")
    assert table.group_names == ("T cells", "Tumour")
    assert table.strongest(group="Tumour")[0].symbols == ("B", "A")
    with pytest.raises(GeneQueryError, match=r"2 groups \(T cells, Tumour\); choose one"):
        table.strongest()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has 0 lines"),
        ("gene,logFC", "has 1 lines"),
        ("genes of mine\nA B C D E\n", "has 5 columns and the first 3"),
        ("gene\nA\n", "has one column"),
        ("gene,score\nA,1", "no column of a log fold change: it has gene, score"),
        ("logFC,padj\n1,0.1", "no column of a gene"),
        ("gene,logFC\nA,1\nB", "Line 3 of the table has 1 columns"),
        ("gene,logFC\nA,high\nB,low", "None of the 2 rows has a gene and a number in 'logFC'"),
    ],
)
def test_what_is_no_table_is_told_in_a_sentence(text, said):
    with pytest.raises(GeneQueryError, match=said.replace("(", r"\(")):
        read_expression_table(text)


def test_a_table_in_which_nothing_changes():
    table = read_expression_table("gene,logFC,padj\nA,1,0.5\nB,0,0.001")
    with pytest.raises(GeneQueryError, match=r"None of the 2 rows has an adjusted p-value below 0\.05"):
        table.strongest()


@given(st.text(max_size=200))
def test_any_text_is_a_table_or_a_sentence(text):
    for read in (lambda: read_expression_table(text).strongest(), lambda: read_gene_sets(text, "sets.gmt")):
        with suppress(GeneQueryError):
            assert read()


def test_gene_sets():
    found = read_gene_sets("EMT\thttps://example.org\tVIM\tFN1\t\nG2M\tna\tMKI67\n", "sets.gmt")
    assert {name: genes.symbols for name, genes in found.items()} == {"EMT": ("VIM", "FN1"), "G2M": ("MKI67",)}


@pytest.mark.parametrize(
    ("text", "said"), [("", "is empty"), ("A\tB", "holds no genes"), ("A\tx\tVIM\nA\tx\tFN1", "comes twice")]
)
def test_files_that_hold_no_gene_sets(text, said):
    with pytest.raises(GeneQueryError, match=said):
        read_gene_sets(text, "sets.gmt")
