"""The expression side: counts checked, genes matched, lists and sentences placed."""

import numpy as np
import pytest
import scipy.sparse as sp

from encoders.errors import GeneQueryError
from encoders.gene_lists import WeightedGenes
from encoders.registry import open_space
from encoders.sentences import GeneSentence, sentences_of


@pytest.fixture(scope="module")
def encoder(small_space):
    return small_space.expression


@pytest.fixture(scope="module")
def section(make_section):
    return make_section("S4", "P3")


def encode(encoder, counts, genes, **options):
    return encoder.encode_counts(sp.csr_matrix(np.asarray(counts, dtype=float)), genes, **options)


def test_a_profile_is_centred_scaled_and_projected(encoder, section):
    weights = encoder.weights
    dense = section.counts.toarray().astype(float)
    log = np.log1p(dense / dense.sum(axis=1, keepdims=True) * 1e4)[:, [section.genes.index(g) for g in encoder.genes]]
    expected = (log - weights.gene_mean) / weights.gene_sd @ weights.expression_projection
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(encode(encoder, dense, section.genes).vectors, expected, atol=1e-5)


def test_a_section_is_centred_on_itself(encoder, section):
    weights = encoder.weights
    dense = section.counts.toarray().astype(float)
    log = np.log1p(dense / dense.sum(axis=1, keepdims=True) * 1e4)[:, [section.genes.index(g) for g in encoder.genes]]
    expected = (log - log.mean(axis=0)) / weights.gene_sd @ weights.expression_projection
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    vectors = encode(encoder, dense, section.genes, by_section=True).vectors
    np.testing.assert_allclose(vectors, expected, atol=1e-5)


def test_missing_genes_count_as_average(encoder, section):
    kept = [i for i, gene in enumerate(section.genes) if gene in encoder.genes[:20]]
    encoding = encode(encoder, section.counts.toarray()[:, kept], [section.genes[i] for i in kept])
    assert set(encoding.genes.used) == set(encoder.genes[:20])
    assert np.isfinite(encoding.vectors).all()


def test_repeated_symbols_are_summed(encoder, section):
    counts = section.counts.toarray()
    split = np.concatenate([counts - counts // 2, counts // 2], axis=1)
    twice = encode(encoder, split, [*section.genes, *section.genes])
    np.testing.assert_allclose(twice.vectors, encode(encoder, counts, section.genes).vectors, atol=1e-6)


@pytest.mark.parametrize(("value", "shown"), [(-2.0, "-2"), (np.nan, "nan"), (np.inf, "inf")])
def test_bad_counts_are_named(encoder, section, value, shown):
    counts = section.counts.toarray().astype(float)
    counts[7, 4] = value
    with pytest.raises(GeneQueryError, match=rf"{shown} for GENE4 in row 7"):
        encode(encoder, counts, section.genes)


def test_no_shared_gene_shows_examples(encoder):
    with pytest.raises(GeneQueryError, match="Ensembl"):
        encode(encoder, [[1.0, 2.0]], ["ENSG00000141736", "ENSG00000171345"])


def test_a_row_without_counts_has_no_direction(encoder, section):
    counts = section.counts.toarray()
    counts[3] = 0
    vectors = encode(encoder, counts, section.genes, by_section=True).vectors
    assert not vectors[3].any()
    np.testing.assert_allclose(np.linalg.norm(np.delete(vectors, 3, axis=0), axis=1), 1.0, atol=1e-5)
    # and it does not pull the section's mean
    others = encode(encoder, np.delete(counts, 3, axis=0), section.genes, by_section=True).vectors
    np.testing.assert_allclose(np.delete(vectors, 3, axis=0), others, atol=1e-5)


def test_profiles_without_any_count_are_refused(encoder, section):
    with pytest.raises(GeneQueryError, match="without counts"):
        encode(encoder, np.zeros((2, len(section.genes))), section.genes)


def test_one_row_cannot_be_its_own_section(encoder, section):
    with pytest.raises(GeneQueryError, match="by_section=False"):
        encode(encoder, section.counts.toarray()[:1], section.genes, by_section=True)


def test_case_is_forgiven_where_only_one_gene_fits(encoder):
    exact = encoder.encode_list(WeightedGenes((encoder.genes[0],), (1.0,)))
    lower = encoder.encode_list(WeightedGenes((encoder.genes[0].lower(),), (1.0,)))
    np.testing.assert_array_equal(exact.vectors, lower.vectors)
    assert lower.genes.used == (encoder.genes[0],)


def test_an_exact_symbol_wins_over_another_case(encoder):
    known = encoder.genes[0]
    both = encode(encoder, [[900.0, 1.0, 9.0]], [known.lower(), known, encoder.genes[1]])
    assert both.genes.used == (known, encoder.genes[1])
    assert both.genes.unknown == (known.lower(),)


def test_unknown_genes_are_reported_and_the_rest_used(encoder):
    known = encoder.genes[0]
    encoding = encoder.encode_list(WeightedGenes((known, "NOTAGENE"), (1.0, 5.0)))
    assert encoding.genes.used == (known,)
    assert encoding.genes.unknown == ("NOTAGENE",)
    alone = encoder.encode_list(WeightedGenes((known,), (1.0,)))
    np.testing.assert_array_equal(encoding.vectors, alone.vectors)


def test_only_unknown_genes_suggest_what_is_spelled_alike():
    encoder = open_space("mini").expression
    with pytest.raises(GeneQueryError, match="ERBB2"):
        encoder.encode_list(WeightedGenes.parse("ERB2 ERRB2"))
    with pytest.raises(GeneQueryError, match="known"):
        encoder.encode_sentence(GeneSentence.parse("QQQQ"))


def test_weights_that_cancel_are_refused(encoder):
    gene = encoder.genes[0]
    with pytest.raises(GeneQueryError, match="cancel"):
        encoder.encode_list(WeightedGenes((gene, gene.lower()), (1.0, -1.0)))


def test_a_list_points_at_spots_that_have_its_genes_high(encoder, section):
    weights = encoder.weights
    strong = int(np.argmax(np.linalg.norm(weights.expression_projection, axis=1)))
    query = encoder.encode_list(WeightedGenes((weights.genes[strong],), (1.0,))).vectors[0]
    scores = encode(encoder, section.counts.toarray(), section.genes, by_section=True).vectors @ query
    level = section.counts.toarray()[:, section.genes.index(weights.genes[strong])]
    assert np.corrcoef(scores, level)[0, 1] > 0.3


def test_a_sentence_is_near_the_profile_it_was_written_from(encoder, section):
    profiles = encode(encoder, section.counts.toarray(), section.genes).vectors
    sentences = sentences_of(section.counts, section.genes)
    read = np.concatenate([encoder.encode_sentence(sentence).vectors for sentence in sentences])
    own = np.einsum("ij,ij->i", read, profiles)
    others = (read @ profiles.T).mean()
    assert own.mean() > others + 0.3


def test_genes_beyond_the_last_rank_are_truncated(encoder):
    symbols = tuple(f"GENE{i}" for i in range(60))
    report = encoder.encode_sentence(GeneSentence(symbols, "typed")).genes
    assert report.truncated == symbols[len(encoder.weights.rank_curve) :]
    assert not set(report.used) & set(report.truncated)
