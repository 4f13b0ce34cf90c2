"""Gene sentences by the published recipe, beside pandas, which the published function uses."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from encoders.errors import GeneQueryError
from encoders.sentence_recipes import OMICLIP, RECIPES, read_housekeeping, recipe_named
from encoders.sentences import PLAIN, GeneSentence, sentences_of
from indexer.datasets.manifest import load_manifest
from indexer.sources import open_sources

HOUSEKEEPING = frozenset({"ACTB", "GAPDH", "B2M"})


def published(values, genes, housekeeping):
    """The steps of `generate_gene_df`, in their order, on a dense frame."""
    frame = pd.DataFrame(np.asarray(values), columns=list(genes))
    frame = frame.loc[:, ~frame.columns.str.contains(".", regex=False)]
    frame = frame.loc[:, ~frame.columns.str.contains("-", regex=False)]
    frame = frame.loc[:, ~frame.columns.isin(list(housekeeping))]
    return [" ".join(row.nlargest(50).index) for _, row in frame.iterrows()]


def a_panel(rng, n_genes):
    names = [f"G{i}" for i in range(n_genes)]
    marked = ["HLA-A", "MT-CO1", "RP11.2", "A.1-2", *sorted(HOUSEKEEPING), "RPL13"]
    for at, name in zip(rng.permutation(n_genes)[: len(marked)], marked, strict=True):
        names[at] = name
    return names


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 2**32 - 1), st.integers(60, 90), st.floats(0.01, 3), st.sampled_from(["float32", "int32", "uint16"])
)
def test_sentences_are_those_of_the_published_function(seed, n_genes, rate, dtype):
    rng = np.random.default_rng(seed)
    genes = a_panel(rng, n_genes)
    values = rng.poisson(rate, size=(3, n_genes)).astype(dtype)
    recipe = recipe_named("omiclip", housekeeping=HOUSEKEEPING)
    expected = published(values, genes, HOUSEKEEPING)
    assert [str(s) for s in sentences_of(values, genes, recipe=recipe)] == expected
    assert [str(s) for s in sentences_of(sp.csr_matrix(values), genes, recipe=recipe)] == expected
    assert [str(s) for s in sentences_of(sp.csc_matrix(values), genes, recipe=recipe)] == expected


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_scaled_values_below_zero_come_after_the_zeros(seed):
    rng = np.random.default_rng(seed)
    values = rng.integers(-2, 2, size=(2, 70)).astype(np.float64)
    genes = [f"G{i}" for i in range(70)]
    expected = published(values, genes, ())
    assert [str(s) for s in sentences_of(sp.csr_matrix(values), genes, recipe=OMICLIP)] == expected
    assert [str(s) for s in sentences_of(values, genes, recipe=OMICLIP)] == expected


def test_a_profile_of_few_genes_is_padded_in_gene_order():
    genes = [f"G{i}" for i in range(60)]
    values = np.zeros((1, 60))
    values[0, [3, 50]] = 1, 2
    (sentence,) = sentences_of(values, genes, recipe=OMICLIP)
    assert sentence.symbols == ("G50", "G3", *(f"G{i}" for i in range(49) if i != 3))
    assert sentence.recipe == "omiclip"
    assert sentences_of(values, genes, recipe=PLAIN) == [GeneSentence(("G50", "G3"), "plain")]


def test_stored_zeros_and_unsorted_columns_change_nothing():
    genes = [f"G{i}" for i in range(55)]
    rows = sp.csr_matrix((np.array([0.0, 2.0, 5.0, 5.0]), np.array([4, 9, 7, 2]), np.array([0, 4])), shape=(1, 55))
    (sentence,) = sentences_of(rows, genes, recipe=OMICLIP)
    assert str(sentence) == published(rows.toarray(), genes, ())[0]
    assert sentence.symbols[:4] == ("G2", "G7", "G9", "G0")


def test_sparse_rows_are_not_made_dense(monkeypatch):
    def refuse(*_, **__):
        pytest.fail("a sparse matrix was made dense")

    for method in ("toarray", "todense"):
        monkeypatch.setattr(sp.csr_matrix, method, refuse)
    rows = sp.random(5, 3_000, density=0.002, format="csr", rng=np.random.default_rng(0))
    assert {len(s.symbols) for s in sentences_of(rows, [f"G{i}" for i in range(3_000)], recipe=OMICLIP)} == {50}


def test_variants_differ_in_what_their_names_say():
    genes = ["HLA-A", "MT-CO1", "RP11.2", *(f"G{i}" for i in range(120))]
    values = np.arange(len(genes), 0, -1)[None, :]
    wrote = {name: sentences_of(values, genes, recipe=recipe)[0] for name, recipe in RECIPES.items()}
    assert wrote["omiclip"].symbols[0] == "G0"
    assert wrote["omiclip-hla-mt"].symbols[:3] == ("HLA-A", "MT-CO1", "G0")
    assert len(wrote["omiclip-100"].symbols) == 100
    assert {name: sentence.recipe for name, sentence in wrote.items()} == {name: name for name in RECIPES}


def test_an_unknown_recipe_lists_the_known():
    with pytest.raises(GeneQueryError, match=r"'loki'.*omiclip, .*plain"):
        recipe_named("loki")


def test_housekeeping_genes_are_read_by_their_column(tmp_path):
    path = tmp_path / "housekeeping_genes.csv"
    path.write_text(",genesymbol,source\n0,ACTB,a\n1,GAPDH,b\n2,,c\n")
    assert read_housekeeping(path) == {"ACTB", "GAPDH"}
    assert not recipe_named("omiclip", housekeeping=read_housekeeping(path)).keeps("ACTB")


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"symbol\nACTB\n", "genesymbol"), (b"", "none"), (b"genesymbol\n", "names no gene"), (b"\xff\xfe\x00", "text")],
)
def test_a_file_without_housekeeping_genes_is_refused(tmp_path, content, said):
    path = tmp_path / "genes.csv"
    path.write_bytes(content)
    with pytest.raises(GeneQueryError, match=said):
        read_housekeeping(path)


def test_a_missing_housekeeping_file_says_where_one_is(tmp_path):
    with pytest.raises(GeneQueryError, match="Loki"):
        read_housekeeping(tmp_path / "none.csv")


@pytest.mark.parametrize("values", [np.array([[1, np.nan]]), sp.csr_matrix([[1, np.inf]]), np.ones((1, 3)), np.ones(2)])
def test_what_cannot_be_ranked_is_refused(values):
    with pytest.raises(GeneQueryError, match=r"ranked|one symbol a column"):
        sentences_of(values, ["A", "B"], recipe=OMICLIP)


@pytest.mark.real
def test_sentences_of_a_real_section_are_those_of_the_published_function(mirror):
    (section,) = open_sources("her2st", manifest=load_manifest(), slides=["C1"])
    read = section.read_expression()
    recipe = recipe_named("omiclip", housekeeping=HOUSEKEEPING)
    found = [str(sentence) for sentence in sentences_of(read.counts, read.genes, recipe=recipe)]
    assert found == published(read.counts.toarray(), read.genes, HOUSEKEEPING)
    assert {len(text.split(" ")) for text in found} == {50}
