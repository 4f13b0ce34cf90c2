"""Gene lists and gene sentences: what is written can be read again."""

import math

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from encoders.errors import GeneQueryError
from encoders.gene_lists import WeightedGenes
from encoders.sentences import GeneSentence, SentenceRecipe, sentences_of

symbols = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,11}", fullmatch=True)
weights = st.floats(-100, 100, allow_nan=False).filter(lambda w: abs(w) > 1e-3)


@given(st.dictionaries(symbols, weights, min_size=1, max_size=20))
def test_a_list_survives_being_written_and_read(genes):
    written = str(WeightedGenes(tuple(genes), tuple(genes.values())))
    read = WeightedGenes.parse(written)
    assert read.symbols == tuple(genes)
    np.testing.assert_allclose(read.weights, list(genes.values()), rtol=1e-5)


@given(st.dictionaries(symbols, weights, min_size=1, max_size=20), st.sampled_from([" ", ",", ", ", "\n", ";  "]))
def test_any_separator_reads_the_same(genes, separator):
    terms = str(WeightedGenes(tuple(genes), tuple(genes.values()))).split()
    assert WeightedGenes.parse(separator.join(terms)) == WeightedGenes.parse(" ".join(terms))


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused_in_words(text):
    try:
        genes = WeightedGenes.parse(text)
    except GeneQueryError:
        return
    assert genes.symbols
    assert all(math.isfinite(w) and w != 0 for w in genes.weights)


def test_the_example_of_the_manual():
    genes = WeightedGenes.parse("ERBB2:2 KRT19 -VIM")
    assert genes == WeightedGenes(("ERBB2", "KRT19", "VIM"), (2.0, 1.0, -1.0))


def test_repeats_are_summed():
    assert WeightedGenes.parse("KRT19 KRT19:2") == WeightedGenes(("KRT19",), (3.0,))


@pytest.mark.parametrize(
    ("text", "what"),
    [("", "empty"), ("  \n", "empty"), ("KRT19:0", "KRT19:0"), ("KRT19:nan", "KRT19:nan"), ("A:1e999", "A:1e999")],
)
def test_what_cannot_be_read_is_named(text, what):
    with pytest.raises(GeneQueryError, match=what):
        WeightedGenes.parse(text)


def test_genes_that_cancel_are_refused():
    with pytest.raises(GeneQueryError, match="cancel"):
        WeightedGenes.parse("KRT19 -KRT19")


def test_a_list_has_an_end():
    with pytest.raises(GeneQueryError, match="5000"):
        WeightedGenes.parse(" ".join(f"G{i}" for i in range(5_001)))


@given(st.lists(symbols, min_size=1, max_size=60, unique=True))
def test_a_sentence_survives_being_written_and_read(genes):
    sentence = GeneSentence(tuple(genes), "typed")
    assert GeneSentence.parse(str(sentence)) == sentence


@given(st.lists(st.integers(0, 50), min_size=1, max_size=30), st.integers(1, 10))
def test_a_sentence_ranks_from_high_to_low(values, n_genes):
    genes = [f"G{i}" for i in range(len(values))]
    recipe = SentenceRecipe("short", n_genes=n_genes)
    (sentence,) = sentences_of(sp.csr_matrix([values]), genes, recipe=recipe)
    expected = sorted((i for i, v in enumerate(values) if v > 0), key=lambda i: (-values[i], i))[:n_genes]
    assert sentence.symbols == tuple(genes[i] for i in expected)


def test_a_recipe_leaves_genes_out():
    recipe = SentenceRecipe("tidy", drop_containing=("MT-",), drop_symbols=frozenset({"ACTB"}))
    (sentence,) = sentences_of(sp.csr_matrix([[9, 8, 7, 6]]), ["MT-CO1", "ACTB", "KRT19", "ERBB2"], recipe=recipe)
    assert sentence == GeneSentence(("KRT19", "ERBB2"), "tidy")


def test_an_empty_sentence_is_refused():
    with pytest.raises(GeneQueryError, match="empty"):
        GeneSentence.parse(" ")
