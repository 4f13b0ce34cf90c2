"""The panel and repeated symbols."""

import gzip

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from indexer.errors import CountsError
from indexer.genes.panel import panel_from_sources, panel_of, read_gene_table, sum_duplicates

SYMBOL = st.sampled_from(["ERBB2", "KRT19", "HLA-A", "MT-CO1", "IGKC", "C1orf159"])


@given(genes=st.lists(SYMBOL, min_size=1, max_size=12), seed=st.integers(0, 99))
def test_summing_keeps_every_count(genes, seed):
    counts = sp.csr_matrix(np.random.default_rng(seed).integers(0, 5, (3, len(genes))).astype(np.float32))
    summed, symbols, duplicated = sum_duplicates(counts, genes)
    assert symbols == tuple(dict.fromkeys(genes))
    assert set(duplicated) == {gene for gene in genes if genes.count(gene) > 1}
    assert summed.dtype == np.float32
    for column, symbol in enumerate(symbols):
        own = [place for place, gene in enumerate(genes) if gene == symbol]
        assert (summed[:, [column]].toarray() == counts[:, own].sum(axis=1)).all()


def test_unique_genes_are_not_copied():
    counts = sp.csr_matrix(np.eye(2, dtype=np.float32))
    assert sum_duplicates(counts, ["A", "B"])[0] is counts


@given(genes=st.lists(SYMBOL, max_size=8))
def test_a_panel_is_sorted_unique_and_found_again(genes):
    panel = panel_of(genes)
    assert panel.symbols == tuple(sorted(set(genes)))
    assert [panel.symbols[column] for column in panel.columns_of(genes)] == genes
    assert panel.columns_of(["NOPE"]).tolist() == [-1]
    assert panel.sha256 == panel_of(reversed(genes)).sha256


def test_other_genes_are_another_panel():
    assert panel_of(["A", "B"]).sha256 != panel_of(["A", "C"]).sha256
    assert len(panel_of(["A", "B"])) == 2


def test_the_panel_of_sources_needs_only_headers(write_section, counts_of_another):
    first, second = write_section(), counts_of_another
    first.spots.unlink()  # reading the expression would fail
    panel = panel_from_sources([first, second], gene_table={"VIM": "ENSG00000026025"})
    assert panel.symbols == ("CD3D", "ERBB2", "KRT19", "VIM", "ZZZ")
    assert panel.ensembl_ids == (None, None, None, "ENSG00000026025", None)


@pytest.fixture
def counts_of_another(tmp_path, facts):
    from indexer.readers.her2st import Her2stSlide

    (tmp_path / "other.tsv").write_text("\tZZZ\tVIM\n1x1\t1\t2\n")
    return Her2stSlide(facts, tmp_path / "other.tsv", tmp_path / "none.tsv")


def test_a_gene_table(tmp_path):
    path = tmp_path / "ids.csv.gz"
    path.write_bytes(gzip.compress(b"ENSG01.3,A\nENSG02,B\nENSG03,B\n"))
    assert read_gene_table(path) == {"A": "ENSG01"}
    path.with_suffix("").write_text("gene,symbol\n")
    with pytest.raises(CountsError, match=r"line 1: got \['gene', 'symbol'\]"):
        read_gene_table(path.with_suffix(""))
