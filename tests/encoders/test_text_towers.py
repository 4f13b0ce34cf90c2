"""Spaces on a text tower: sentences of any recipe read by any open_clip text tower, and what is refused."""

import json
import string
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from encoders.contracts import PatchSpec
from encoders.errors import (
    CheckpointError,
    GeneQueryError,
    SpaceMismatchError,
    UnknownEncoderError,
    WeightsMissingError,
)
from encoders.gene_lists import WeightedGenes
from encoders.open_clip_models import import_open_clip
from encoders.profiles import OUTSIDE, Profiles
from encoders.registry import open_space
from encoders.sections import FeatureSection, read_profiles
from encoders.sentence_recipes import NORMALISED_RANK, gene_norms_of, recipe_named
from encoders.sentences import GeneSentence, sentences_of
from encoders.trainer.feature_cache import FeatureCache
from encoders.trainer.image_towers import FeaturesElsewhere
from encoders.trainer.run import RunOptions, align_towers
from encoders.trainer.seen_sections import see_features
from encoders.trainer.text_towers import open_sentences
from encoders.trainer.tower_files import save_towers
from encoders.trainer.tower_recipe import TowerRecipe

NAME = "open_clip/tiny-text-clip"
CONFIG = {
    "embed_dim": 12,
    "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "patch_size": 16, "head_width": 16},
    "text_cfg": {"context_length": 40, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A tiny open_clip model with random weights, in a file."""
    open_clip = import_open_clip()
    folder = tmp_path_factory.mktemp("text")
    (folder / "tiny-text-clip.json").write_text(json.dumps(CONFIG))
    open_clip.add_model_config(folder / "tiny-text-clip.json")
    torch.manual_seed(0)
    model = open_clip.create_model("tiny-text-clip", load_weights=False)
    torch.save(model.state_dict(), folder / "w.pt")
    return folder / "w.pt"


@pytest.fixture
def recipe():
    return TowerRecipe(
        name="texts",
        expression_encoder=NAME,
        dim=3,
        image_components=6,
        expression_components=6,
        n_null_pairs=200,
        sentence_recipe="plain",
    )


def spelt(number):
    """A symbol without digits, which a tiny tokeniser's budget is kinder to."""
    return "".join(string.ascii_uppercase[(number // 26**i) % 26] for i in range(3))


@pytest.fixture
def sections(paired, backbone):
    genes = tuple(spelt(i) for i in range(60))
    return [FeatureSection(s.slide, s.patient, backbone.features(s.patches), "uni", s.counts, genes) for s in paired]


TOWER = FeaturesElsewhere("uni", 48, PatchSpec(128.0, 224))


@pytest.mark.parametrize("loss", ["cca", "infonce"])
def test_a_space_on_sentences_opens_again_and_reads_them_alike(sections, weights, recipe, tmp_path, loss):
    wanted = replace(recipe, loss=loss, epochs=2, stop_on="none", head="linear" if loss == "cca" else "mlp")
    texts = open_sentences(NAME, recipe_named("plain", housekeeping={"AAA"}), weights=weights)
    space = align_towers(see_features(sections), [], TOWER, wanted, texts=texts)
    save_towers(space, tmp_path / "own", places={"text": weights})
    again = open_space(tmp_path / "own")
    card = again.card
    assert card.recipe["sentence_recipe"] == "plain"
    assert card.recipe["text_tower_sha256"] == texts.info.weights_sha256
    assert {"genes->image", "sentence->expression"} <= set(card.calibration.quantiles)
    new = sections[0]
    for by_section in (True, False):
        before, after = (
            s.expression.encode_counts(new.counts, new.genes, by_section=by_section) for s in (space, again)
        )
        np.testing.assert_allclose(before.vectors, after.vectors, atol=1e-6)
        np.testing.assert_allclose(np.linalg.norm(after.vectors, axis=1), 1.0, atol=1e-5)
        assert "AAA" not in after.genes.used
    one = sentences_of(new.counts[:1], new.genes, recipe=texts.recipe)[0]
    alone = again.expression.encode_sentence(one)
    row = again.expression.encode_counts(new.counts[:1], new.genes).vectors
    np.testing.assert_allclose(alone.vectors, row, atol=1e-5)
    assert alone.genes.truncated  # 40 tokens are not 50 genes
    assert again.expression.encode_list(WeightedGenes(("AAB", "AAC"), (2.0, 1.0))).genes.used == ("AAB", "AAC")
    with pytest.raises(GeneQueryError, match="leave negative weights out"):
        again.expression.encode_list(WeightedGenes(("AAB",), (-1.0,)))
    with pytest.raises(GeneQueryError, match="cannot be centred on its own mean"):
        again.expression.encode_counts(new.counts[:1], new.genes, by_section=True)


def test_text_features_are_kept(sections, weights, recipe, tmp_path, monkeypatch):
    cache = FeatureCache(tmp_path)
    texts = open_sentences(NAME, recipe_named("plain"), weights=weights)
    first = align_towers(see_features(sections), [], TOWER, recipe, texts=texts, options=RunOptions(cache=cache))
    assert len(list(tmp_path.iterdir())) == 2
    read = []
    original = type(texts).encode_counts
    monkeypatch.setattr(
        type(texts), "encode_counts", lambda self, c, g, **k: read.append(c.shape) or original(self, c, g, **k)
    )
    align_towers(see_features(sections), [], TOWER, recipe, texts=texts, options=RunOptions(cache=cache))
    calls = len(read)
    align_towers(see_features(sections), [], TOWER, recipe, texts=texts)
    assert len(read) == calls + calls + 2  # the calibration reads again; the pairs' sentences were kept
    assert first.card.recipe["expression_encoder"] == NAME


def test_text_towers_that_are_not_there_are_named(weights, recipe, tmp_path, monkeypatch):
    plain = recipe_named("plain")
    with pytest.raises(UnknownEncoderError, match="profile, mlp, omiclip and open_clip/NAME"):
        open_sentences("geneformer", plain)
    with pytest.raises(WeightsMissingError, match=r"model.safetensors .* into .*tiny-text-clip"):
        open_sentences(NAME, plain)
    with pytest.raises(WeightsMissingError, match="OmiCLIP is not in"):
        open_sentences("omiclip", plain)
    other = tmp_path / "other.pt"
    torch.save({"token_embedding.weight": torch.zeros(3, 3)}, other)
    with pytest.raises(CheckpointError, match="not a checkpoint of the text tower"):
        open_sentences(NAME, plain, weights=other).encode_sentence(GeneSentence(("AAB",), "typed"))


def test_other_weights_than_those_trained_on_are_refused(sections, weights, recipe, tmp_path):
    texts = open_sentences(NAME, recipe_named("plain"), weights=weights)
    copy = tmp_path / "copy.pt"
    copy.write_bytes(weights.read_bytes())
    space = align_towers(see_features(sections), [], TOWER, recipe, texts=texts)
    save_towers(space, tmp_path / "own", places={"text": copy})
    state = torch.load(copy, weights_only=True)
    torch.save({**state, "text_projection": state["text_projection"] + 1}, copy)
    with pytest.raises(SpaceMismatchError, match="was trained on the text tower"):
        open_space(tmp_path / "own").expression.encode_sentence(GeneSentence(("AAB",), "typed"))
    copy.unlink()
    with pytest.raises(WeightsMissingError, match="are not on this machine"):
        open_space(tmp_path / "own").expression.encode_sentence(GeneSentence(("AAB",), "typed"))


def test_normalised_ranks_put_genes_first_that_are_high_for_themselves(sections, weights, recipe, tmp_path):
    counts = sp.csr_matrix(np.array([[900, 6, 3, 0], [800, 2, 3, 1], [850, 2, 4, 1], [880, 2, 3, 1]], dtype=np.float32))
    genes = ("HIGH", "MARKER", "FLAT", "RARE")
    norms = gene_norms_of([Profiles.read(counts, genes)], min_spots=3)
    share = np.asarray(counts.todense() / counts.sum(axis=1)) * 1e4
    assert norms == pytest.approx({g: float(np.median(c[c > 0])) for g, c in zip(genes, share.T, strict=True)})
    named = recipe_named(NORMALISED_RANK, gene_norms=norms)
    for values in (counts, counts.toarray()):
        assert sentences_of(values, genes, recipe=named)[0].symbols[0] == "MARKER"
    assert sentences_of(counts, genes, recipe=recipe_named("plain"))[0].symbols[0] == "HIGH"
    assert not named.keeps("NEVERSEEN")
    with pytest.raises(GeneQueryError, match="none is given"):
        recipe_named(NORMALISED_RANK)
    with pytest.raises(GeneQueryError, match="divisor of HIGH is 0"):
        recipe_named(NORMALISED_RANK, gene_norms={"HIGH": 0.0})

    norms = gene_norms_of(read_profiles([s.expression for s in sections]))
    texts = open_sentences(NAME, recipe_named(NORMALISED_RANK, gene_norms=norms), weights=weights)
    wanted = replace(recipe, sentence_recipe=NORMALISED_RANK)
    save_towers(
        align_towers(see_features(sections), [], TOWER, wanted, texts=texts), tmp_path / "own", places={"text": weights}
    )
    again = open_space(tmp_path / "own")
    assert again.card.recipe["sentence_recipe"] == NORMALISED_RANK
    assert again.expression.sentences.recipe.gene_norms == pytest.approx(norms, rel=1e-5)


def test_what_lies_outside_a_panel_is_no_gene():
    counts = sp.csr_matrix(np.array([[1.0, 2.0, 50.0]]))
    assert sentences_of(counts, ("AAB", "AAC", OUTSIDE), recipe=recipe_named("plain"))[0].symbols == ("AAC", "AAB")
