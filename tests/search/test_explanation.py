"""Why an item is a hit: genes left out, squares painted over, examples beside it."""

import numpy as np
import pytest
import scipy.sparse as sp

from encoders.contracts import PatchSpec
from search.errors import ItemMissingError, QueryError
from search.explanation.genes import Profile, of_profile
from search.explanation.pictures import Patch, occlusion, patch_of_item
from search.query import ExamplesQuery, GenesQuery, ItemQuery, PatchQuery, ProfileQuery, SentenceQuery, SlideQuery
from search.query_form import query_from_dict

TUMOUR, STROMA = "A1/spot/s0", "A1/spot/s4"


def losses(found):
    return dict(zip(found.table["gene"].to_pylist(), found.table["loss"].to_pylist(), strict=True))


def test_the_loss_of_a_gene_of_a_list_is_the_score_less_that_of_the_list_without_it(engine):
    hit = "B1/spot/s0"
    found = engine.explain(GenesQuery("TUM1:2 STR1"), hit, target="expression")
    vector = engine.catalogue.vector(engine.catalogue.row_of(hit), "expression")
    without = engine._current().encode(GenesQuery("TUM1:2")).vector @ vector
    assert found.driven_by == "query genes"
    assert losses(found)["STR1"] == pytest.approx(found.score - without, abs=1e-6)
    assert losses(found)["STR1"] < 0 < losses(found)["TUM1"]


def test_a_list_of_one_gene_loses_all_its_score(engine):
    found = engine.explain(GenesQuery("TUM1"), "B1/spot/s0", target="expression")
    assert losses(found)["TUM1"] == pytest.approx(found.score, abs=1e-6)


def test_words_of_a_sentence_are_left_out_in_turn(engine):
    found = engine.explain(SentenceQuery("TUM1 TUM2 STR1"), "B1/spot/s0", target="expression")
    assert losses(found)["TUM1"] > 0 > losses(found)["STR1"]


def test_genes_of_a_mixed_profile_speak_for_their_own_tissue(planted):
    counts = np.repeat([60.0, 40.0, 0.0], 10)
    profile = Profile(counts, np.full(30, 1 / 30), None)
    found = of_profile(profile, planted.GENES, planted.planted_space(), planted_direction(0), "hit profile")
    told = dict(zip(found.genes, found.losses, strict=True))
    assert all((told[f"TUM{i}"] > 0) and (told[f"STR{i}"] < 0) for i in range(10))
    changed = counts.copy()
    changed[0] = counts.sum() / 30
    vector = planted.planted_space().expression.encode_counts(sp.csr_matrix(changed[None]), planted.GENES).vectors[0]
    assert told["TUM0"] == pytest.approx(found.score - float(vector @ planted_direction(0)), abs=1e-5)


def test_a_hit_found_by_a_picture_is_explained_by_its_own_profile(engine):
    found = engine.explain(ItemQuery(TUMOUR, "image"), "B1/spot/s4", target="expression", pictures=False)
    assert found.driven_by == "hit profile"
    assert "was encoded anew" not in " ".join(found.notes)  # centred on its section, as it was indexed


def test_genes_of_both_are_said_to_be_shared(engine):
    found = engine.explain(ItemQuery(TUMOUR, "expression"), "B1/spot/s0", target="expression", pictures=False)
    table = found.to_pandas().set_index("gene")
    assert found.driven_by == "query profile"
    assert set(table.index[table["shared"]].str[:3]) == {"TUM"}
    assert {"gene", "fold"} == set(found.standouts[0])
    assert found.standouts[0]["gene"].startswith("TUM")


def test_labelled_items_of_other_patients_stand_beside_the_hit(engine):
    found = engine.explain(ItemQuery(TUMOUR, "expression"), "B1/spot/s0", target="expression", pictures=False)
    assert {one["label"] for one in found.labelled} == {"tumour"}
    assert "A" not in {one["patient"] for one in found.labelled}


def test_the_square_that_makes_the_score_is_found(planted):
    space = planted.planted_space()
    pixels = np.broadcast_to(planted.COLOURS[1].astype(np.uint8), (20, 20, 3)).copy()
    pixels[:4, 16:] = planted.COLOURS[0]  # a corner of tumour
    seen = occlusion(Patch(pixels, None, "query"), space, planted_direction(0), "query")
    assert np.unravel_index(seen.losses.argmax(), seen.losses.shape)[0] == 0
    assert np.unravel_index(seen.losses.argmax(), seen.losses.shape)[1] >= 4
    assert seen.score == pytest.approx(float(space.image.encode(pixels[None])[0] @ planted_direction(0)), abs=1e-6)


def planted_direction(tissue):
    vector = np.full(3, -1 / 3, dtype=np.float32)
    vector[tissue] += 1
    return vector / np.linalg.norm(vector)


def test_both_pictures_are_painted_over_where_pictures_are_compared(engine):
    found = engine.explain(ItemQuery(TUMOUR, "image"), "B1/spot/s0", target="image")
    assert [one.of for one in found.occlusion] == ["query", "hit"]
    assert {one.losses.shape for one in found.occlusion} == {(6, 6)}
    assert {one.source for one in found.occlusion} == {"thumbnail"}
    patch = PatchQuery(np.full((100, 100, 3), planted_colour(), np.uint8), 1.0)
    assert engine.explain(patch, "B1/spot/s0", target="expression").occlusion[0].source == "query"


def planted_colour():
    return (190, 40, 120)


def test_an_item_without_a_picture_has_nothing_to_paint_over(engine):
    row = engine.catalogue.row_of("C1/spot/s0")
    assert patch_of_item(engine.catalogue, row, PatchSpec(100.0, 20)) is None


def test_items_of_the_query_nearest_to_the_hit_are_named(engine):
    query = ExamplesQuery(ItemQuery(STROMA, "expression"), (ItemQuery(TUMOUR, "expression"),))
    found = engine.explain(query, "B1/spot/s0", target="expression", pictures=False)
    assert found.query_items[0]["id"] == TUMOUR


def test_profiles_slides_and_what_results_say_are_explained_too(engine, planted):
    counts = planted.counts_of([0]).toarray()[0]
    found = engine.explain(ProfileQuery(counts, planted.GENES), "B1/spot/s0", target="expression", pictures=False)
    assert found.driven_by == "query profile"
    slide = engine.catalogue.value(engine.catalogue.slide_row("B1"), "id")
    whole = engine.explain(SlideQuery("A1"), slide)
    assert whole.parts == ()
    assert query_from_dict(whole.query) == SlideQuery("A1", whole.using)


def test_what_cannot_be_explained_is_refused(engine):
    with pytest.raises(ItemMissingError, match="B1/spot/s99"):
        engine.explain(ItemQuery(TUMOUR), "B1/spot/s99")
    with pytest.raises(QueryError, match="no image vector"):
        engine.explain(ItemQuery(TUMOUR), "C1/spot/s0", target="image")
