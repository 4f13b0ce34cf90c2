"""An evaluation of the planted index: what is perfect there, what is refused, and what is said to be absent."""

from dataclasses import replace

import pytest
import scipy.sparse as sp

from search.engine import Engine
from search.errors import ItemMissingError, QueryError
from search.quality.evaluated_items import choose_slides
from search.quality.gene_list_quality import list_vectors, top_genes
from search.quality.index_evaluation import evaluate
from search.quality.quality_figures import RANDOM


def trained_engine(engine, planted, patients):
    space = planted.planted_space()
    card = space.card.model_copy(update={"training_patients": tuple(patients)})
    return Engine(engine.index, replace(space, card=card))


def test_unknown_slides_are_named(engine):
    with pytest.raises(ItemMissingError, match=r"No slide 'Z9'.*A1"):
        evaluate(engine, slides=["Z9"])


def test_only_trained_patients_are_refused(engine, planted):
    with pytest.raises(QueryError, match=r"every patient asked about \(A\).*--include-trained"):
        evaluate(trained_engine(engine, planted, "A"), slides=["A1", "A2"])


def test_trained_patients_are_left_out_or_marked(engine, planted):
    own = trained_engine(engine, planted, "A")
    found = evaluate(own, slides=["A1", "B1"])
    assert found.slides == ("B1",)
    assert not any(figure.trained_on for figure in found.figures)
    assert "A1" in found.notes[0]
    marked = evaluate(own, slides=["A1", "B1"], include_trained=True)
    groups = {f.group: f.trained_on for f in marked.figures if f.question == "image->expression" and f.method != RANDOM}
    assert groups == {"section A1": True, "section B1": False, "all patients": True}
    mixed = [f.note for f in marked.figures if f.group == "all patients" and f.trained_on]
    assert all("some of these patients were trained on" in note for note in mixed)


def test_labels_are_found_in_other_patients(engine):
    found = evaluate(engine, slides=["A1", "B1", "C1"])
    labels = {(f.method, f.metric): f for f in found.figures if f.question == "label from expression"}
    assert labels["planted", "macro-F1 @5"].value == 1.0
    assert labels["kNN on log-counts", "macro-F1 @5"].value == 1.0
    assert labels["most common label", "macro-F1 @5"].value < 0.5
    assert labels["planted", "macro-F1 @5"].n_queries == 24
    assert labels["planted", "macro-F1 @5"].n_gallery == 48  # three other patients, two slides of eight spots each


def test_tissues_that_look_alike_tie_and_colours_are_absent(engine):
    found = evaluate(engine, slides=["A1"])
    one = {(f.question, f.metric, f.method): f for f in found.figures}
    r = one["image->expression", "R@10", "planted"]
    assert (r.value, r.n_gallery, r.group) == (1.0, 8, "section A1")
    assert {q for q, _, _ in one} >= {"niche image->expression", "niche expression->image", "label from image"}
    assert any("colour baseline is absent" in note for note in found.notes)
    assert any("Prediction was not measured: 30 genes vary" in note for note in found.notes)
    assert found.generated


def test_an_index_without_pairs_says_so(engine):
    found = evaluate(engine, slides=["C1"])
    assert any("no slide asked about has spots with both" in note for note in found.notes)
    with pytest.raises(QueryError, match="Nothing can be measured"):
        evaluate(engine, slides=["E1"])


def test_gene_lists_point_at_their_tissue(planted):
    genes = planted.GENES
    counts = sp.csr_matrix(planted.counts_of([0, 0, 1, 2, 2, 2]))
    lists = top_genes(counts, genes, genes, 5, by="rise")
    assert [{g[:3] for g in own} for own in lists[:1] + lists[2:4]] == [{"TUM"}, {"STR"}, {"IMM"}]
    vectors = list_vectors(lists, planted.planted_space().expression)
    assert vectors.argmax(axis=1).tolist() == [0, 0, 1, 2, 2, 2]
    with pytest.raises(QueryError, match=r"30 genes .* lists of 31"):
        top_genes(counts, genes, genes, 31)


def test_choice_of_slides_keeps_those_not_trained_on(engine):
    chosen = choose_slides(engine.catalogue, ["A", "Z"], slides=None, include_trained=False)
    assert chosen.trained == {"A"}
    assert chosen.refused == ("A1", "A2")
    assert len(chosen.asked) == 14
