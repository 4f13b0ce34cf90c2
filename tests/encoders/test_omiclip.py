"""OmiCLIP by a tiny model in its layout: converted without pickles, opened as a space, its token budget told."""

import os
from dataclasses import dataclass

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from encoders import registry
from encoders.catalogue import CLIP_MEAN, CLIP_STD
from encoders.coca import _empty, coca_config
from encoders.errors import (
    CheckpointError,
    EncoderError,
    GeneQueryError,
    PatchError,
    SpaceMismatchError,
    WeightsMissingError,
)
from encoders.gene_lists import WeightedGenes
from encoders.image_registry import describe_encoders, open_encoder
from encoders.omiclip import ARCHITECTURE, HOUSEKEEPING, convert, open_omiclip
from encoders.open_clip_models import import_open_clip
from encoders.registry import describe_spaces, known_spaces, open_space
from encoders.saving import CARD, WEIGHTS
from encoders.sections import PairedSection
from encoders.sentence_recipes import recipe_named
from encoders.sentences import GeneSentence, sentences_of
from encoders.trainer.feature_cache import FeatureCache
from encoders.trainer.image_towers import open_image_tower
from encoders.trainer.run import align_towers
from encoders.trainer.seen_sections import see
from encoders.trainer.text_towers import open_sentences
from encoders.trainer.tower_files import save_towers
from encoders.trainer.tower_recipe import TowerRecipe
from indexer.building.build import build_index
from indexer.generated.sections import generated_sections
from search import Engine, GenesQuery

CONTEXT = 76
TINY = {
    "embed_dim": 24,
    "vision_cfg": {
        "image_size": 32,
        "layers": 1,
        "width": 32,
        "head_width": 16,
        "patch_size": 16,
        "attentional_pool": True,
        "attn_pooler_heads": 2,
        "output_tokens": True,
    },
    "text_cfg": {
        "context_length": CONTEXT,
        "vocab_size": 49408,
        "width": 24,
        "heads": 2,
        "layers": 1,
        "embed_cls": True,
        "output_tokens": True,
    },
    "multimodal_cfg": {
        "context_length": CONTEXT,
        "vocab_size": 49408,
        "width": 24,
        "heads": 2,
        "layers": 1,
        "attn_pooler_heads": 2,
    },
}
#: A sentence of a breast tumour spot.
REAL_SENTENCE = (
    "RPL13 RPS2 MALAT1 TMSB10 COL1A1 COL3A1 IGKC ERBB2 KRT19 SPARC COL1A2 FN1 TIMP1 CD74 S100A6 VIM APOE C3 MGP LUM "
    "DCN IGHG1 IGLC2 FTL KRT8 KRT18 MUC1 XBP1 GATA3 ESR1 AZGP1 TFF3 CCND1 BGN POSTN THBS1 TAGLN ACTA2 MYL9 CALD1 "
    "IGHA1 JCHAIN CXCL14 SCGB2A2 PIP CRIP1 ELF3 CLDN4 SLPI LTF"
)
REAL_GENES = REAL_SENTENCE.split()


@pytest.fixture(scope="module")
def coca():
    torch.manual_seed(0)
    model = import_open_clip().CoCa(**TINY).eval()
    with torch.no_grad():  # as trained weights do, tell texts and pictures apart
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    return model


@pytest.fixture(scope="module")
def checkpoint(coca, tmp_path_factory):
    """A file as a training run of open_clip leaves it."""
    path = tmp_path_factory.mktemp("published") / "checkpoint.pt"
    state = {f"module.{name}": tensor for name, tensor in coca.state_dict().items()}
    momentum = {"state": {0: {"exp_avg": torch.ones(5)}}, "param_groups": [{"lr": 5e-6}]}
    torch.save({"epoch": 20, "name": "run", "state_dict": state, "optimizer": momentum, "loss": np.float64(1)}, path)
    return path


@pytest.fixture(scope="module")
def folder(checkpoint, tmp_path_factory):
    out = tmp_path_factory.mktemp("weights") / "omiclip"
    convert(checkpoint, out, housekeeping={"ACTB", "GAPDH"}, config=TINY)
    return out


@pytest.fixture(scope="module")
def space(folder):
    return open_omiclip(folder)


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_the_layout_expected_of_the_checkpoint_is_the_published_one():
    expected = _empty(coca_config(ARCHITECTURE)).state_dict()
    assert sum(name.startswith("visual.") for name in expected) == 307
    assert coca_config(ARCHITECTURE)["text_cfg"]["context_length"] == CONTEXT


def test_converting_keeps_the_towers_and_drops_the_rest(folder):
    from safetensors import safe_open

    assert {path.name for path in folder.iterdir()} == {CARD, WEIGHTS, HOUSEKEEPING}
    assert [path.name for path in folder.parent.iterdir()] == ["omiclip"]
    with safe_open(folder / WEIGHTS, framework="numpy") as stored:
        assert {name.split(".")[0] for name in stored.keys()} == {"visual", "text", "logit_scale"}  # noqa: SIM118


def test_the_card_says_how_sentences_are_written(space):
    assert space.card.name == "omiclip"
    assert space.card.recipe["sentence_recipe"] == "omiclip"
    assert space.card.recipe["housekeeping_genes"] == 2
    assert (space.card.dim, space.card.patch_side_px) == (24, 32)
    assert space.info("image").revision == space.info("expression").revision == space.card.revision


def test_other_sentences_make_another_revision(checkpoint, space, tmp_path):
    bare = convert(checkpoint, tmp_path / "bare", config=TINY)
    kept = convert(checkpoint, tmp_path / "kept", housekeeping={"ACTB", "GAPDH"}, recipe="omiclip-hla-mt", config=TINY)
    assert len({bare.revision, kept.revision, space.card.revision}) == 3
    assert bare.weights_sha256 == kept.weights_sha256 == space.card.weights_sha256
    assert open_space(tmp_path / "kept").expression.recipe.keeps("HLA-A")
    again = convert(checkpoint, tmp_path / "bare", housekeeping={"GAPDH", "ACTB"}, config=TINY)
    assert again.revision == space.card.revision


def test_images_are_encoded_as_open_clip_does(space, coca):
    patches = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (CLIP_MEAN, CLIP_STD))
    with torch.inference_mode():
        expected = coca.encode_image((torch.from_numpy(patches).permute(0, 3, 1, 2) / 255 - mean) / std).numpy()
    np.testing.assert_allclose(space.image.encode(patches), expected, atol=1e-5)


def test_profiles_are_encoded_as_their_sentences(space, coca):
    genes = [*REAL_GENES, "ACTB", "MT-CO1"]
    counts = np.random.default_rng(0).poisson(2, (4, len(genes))).astype(np.float32)
    counts[:, -2:] = 99
    texts = [str(s) for s in sentences_of(counts, genes, recipe=space.expression.recipe)]
    assert not any("ACTB" in text or "MT-CO1" in text for text in texts)
    tokenizer = import_open_clip().SimpleTokenizer(context_length=CONTEXT)
    with torch.inference_mode():
        expected = coca.encode_text(tokenizer(texts)).numpy()
    found = space.expression.encode_counts(sp.csr_matrix(counts), genes).vectors
    np.testing.assert_allclose(found, expected, atol=1e-5)
    by_section = space.expression.encode_counts(sp.csr_matrix(counts), genes, by_section=True)
    np.testing.assert_array_equal(by_section.vectors, found)


def test_the_budget_of_tokens_says_which_genes_were_cut(space):
    sentence = GeneSentence(tuple(REAL_GENES), "omiclip")
    report = space.expression.encode_sentence(sentence).genes
    assert (*report.used, *report.truncated) == tuple(REAL_GENES)
    tokenizer = import_open_clip().SimpleTokenizer()
    assert len(tokenizer.encode(" ".join(report.used))) <= CONTEXT - 2
    assert len(tokenizer.encode(" ".join([*report.used, report.truncated[0]]))) > CONTEXT - 2
    assert 20 <= len(report.used) <= 27


def test_genes_beyond_the_budget_change_nothing(space):
    report = space.expression.encode_sentence(GeneSentence(tuple(REAL_GENES), "omiclip")).genes
    cut = tuple(REAL_GENES[: len(report.used) + 1])  # the one that is cut through is still read in part
    vectors = [space.expression.encode_sentence(GeneSentence(s, "omiclip")).vectors for s in (cut, tuple(REAL_GENES))]
    np.testing.assert_array_equal(*vectors)


def test_a_list_is_written_from_the_largest_weight_down(space):
    encoding = space.expression.encode_list(WeightedGenes.parse("KRT19 ERBB2:3 HLA-A ACTB VIM:2"))
    written = space.expression.encode_sentence(GeneSentence(("ERBB2", "VIM", "KRT19"), "typed"))
    np.testing.assert_array_equal(encoding.vectors, written.vectors)
    assert encoding.genes.used == ("ERBB2", "VIM", "KRT19")
    assert encoding.genes.unknown == ("HLA-A", "ACTB")
    np.testing.assert_allclose(np.linalg.norm(encoding.vectors, axis=1), 1, atol=1e-6)


@pytest.mark.parametrize(("text", "said"), [("KRT19 -VIM", "low .VIM"), ("HLA-A ACTB", "leaves out all 2")])
def test_a_list_that_no_sentence_can_say_is_refused(space, text, said):
    with pytest.raises(GeneQueryError, match=said):
        space.expression.encode_list(WeightedGenes.parse(text))


def test_rows_without_counts_have_no_direction(space):
    counts = sp.csr_matrix(np.array([[0, 0], [3, 1]], dtype=np.float32))
    encoding = space.expression.encode_counts(counts, ["KRT19", "VIM"])
    assert not encoding.vectors[0].any()
    assert encoding.vectors[1].any()
    assert space.expression.encode_counts(counts[:0], ["KRT19", "VIM"]).vectors.shape == (0, 24)
    with pytest.raises(GeneQueryError, match="without counts"):
        space.expression.encode_counts(counts[:1], ["KRT19", "VIM"])
    with pytest.raises(GeneQueryError, match="leaves out all 2"):
        space.expression.encode_counts(counts, ["HLA-A", "ACTB"])
    with pytest.raises(GeneQueryError, match="one symbol a column"):
        space.expression.encode_counts(counts, ["KRT19"])


def test_the_space_opens_by_name_once_it_is_in_the_folder_of_weights(folder, space, monkeypatch):
    assert "omiclip" in known_spaces()
    monkeypatch.setenv("HISTOSEEK_WEIGHTS", str(folder.parent))
    assert open_space("omiclip").card == space.card == open_space(folder).card
    assert open_encoder("omiclip").patch == space.image.patch
    with pytest.raises(PatchError, match="omiclip"):
        open_encoder("omiclip", side_um=112.0)
    (status,) = [status for status in describe_spaces() if status.name == "omiclip"]
    assert status.state == "ready"
    monkeypatch.setattr("encoders.open_clip_models.PACKAGE", "a_package_that_is_not_there")
    (status,) = [status for status in describe_spaces() if status.name == "omiclip"]
    assert (status.state, ".[clip]" in status.hint) == ("package missing", True)


def test_without_weights_it_says_what_to_do_and_breaks_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("HISTOSEEK_WEIGHTS", str(tmp_path))
    with pytest.raises(WeightsMissingError, match=r"WangGuangyuLab/Loki.*histoseek encoders convert checkpoint\.pt"):
        open_space("omiclip")
    assert {status.name: status.state for status in describe_spaces()} == {
        "mini": "ready",
        "omiclip": "weights missing",
    }
    states = {status.facts.name: status for status in describe_encoders()}
    assert {states[name].state for name in ("uni", "omiclip", "plip")} == {"weights missing"}
    assert states["conch"].state == "features only"
    assert str(tmp_path / "uni") in states["uni"].hint
    with pytest.raises(EncoderError, match="TRIDENT"):
        open_encoder("conch")


def test_a_changed_file_is_refused(checkpoint, tmp_path):
    out = tmp_path / "space"
    convert(checkpoint, out, housekeeping={"ACTB"}, config=TINY)
    (out / HOUSEKEEPING).write_text("genesymbol\nGAPDH\n")
    with pytest.raises(SpaceMismatchError, match="list of 1 genes"):
        open_space(out)
    convert(checkpoint, out, config=TINY)
    data = bytearray((out / WEIGHTS).read_bytes())
    data[-1] ^= 1
    (out / WEIGHTS).write_bytes(data)
    with pytest.raises(SpaceMismatchError, match="SHA-256"):
        open_space(out).expression.encode_sentence(GeneSentence(("VIM",), "typed"))
    (out / WEIGHTS).write_bytes(data[:-9])
    with pytest.raises(CheckpointError, match="cut off"):
        open_space(out)
    (out / WEIGHTS).unlink()
    with pytest.raises(WeightsMissingError, match="weights"):
        open_space(out)


@dataclass
class Trap:
    folder: str

    def __reduce__(self):
        return (os.mkdir, (self.folder,))


def test_files_that_are_not_the_checkpoint_are_refused_and_leave_nothing(checkpoint, coca, tmp_path):
    state = coca.state_dict()
    wrong = {
        "other.pt": ({name: state[name] for name in list(state)[:9]}, "not a checkpoint of OmiCLIP"),
        "wider.pt": ({**state, "logit_scale": torch.ones(2)}, "of another shape"),
        "objects.pt": ({"state_dict": state, "args": Trap(str(tmp_path / "sprung"))}, "never unpickled"),
    }
    for name, (held, said) in wrong.items():
        torch.save(held, tmp_path / name)
        with pytest.raises(CheckpointError, match=said):
            convert(tmp_path / name, tmp_path / "out", config=TINY)
    (tmp_path / "cut.pt").write_bytes(checkpoint.read_bytes()[:-500])
    with pytest.raises(CheckpointError, match="cut off"):
        convert(tmp_path / "cut.pt", tmp_path / "out", config=TINY)
    with pytest.raises(CheckpointError, match=ARCHITECTURE):
        convert(checkpoint, tmp_path / "out")  # a tiny model is not the published one
    with pytest.raises(WeightsMissingError, match="none"):
        convert(tmp_path / "none.pt", tmp_path / "out", config=TINY)
    assert {path.name for path in tmp_path.iterdir()} == {*wrong, "cut.pt"}


def test_a_folder_of_other_things_is_not_replaced(checkpoint, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(CheckpointError, match="new folder"):
        convert(checkpoint, tmp_path, config=TINY)
    with pytest.raises(GeneQueryError, match="no gene-sentence recipe"):
        convert(checkpoint, tmp_path / "out", recipe="mine", config=TINY)
    with pytest.raises(PatchError, match="above 0"):
        convert(checkpoint, tmp_path / "out", side_um=0.0, config=TINY)


def test_registered_names_are_the_shipped_and_the_converted():
    assert known_spaces() == ("mini", "omiclip")
    assert registry.shipped_spaces() == ("mini",)


def test_an_index_lives_in_the_space_and_remembers_its_recipe(checkpoint, space, tmp_path):
    report = build_index(tmp_path / "db", generated_sections(n_patients=1, side_px=600), space, tile_stride_um=300.0)
    assert report.failed == ()
    engine = Engine.open(str(tmp_path / "db"), space=space)
    result = engine.search(GenesQuery("KRT19 HLA-A"), target="image", k=2)
    assert result.genes.used == ("KRT19",)
    assert result.genes.unknown == ("HLA-A",)
    assert len(result.to_pandas()) == 2
    assert engine.index.card.space.recipe["sentence_recipe"] == "omiclip"
    convert(checkpoint, tmp_path / "other", recipe="omiclip-hla-mt", config=TINY)
    with pytest.raises(SpaceMismatchError, match=space.card.revision):
        Engine.open(str(tmp_path / "db"), space=open_space(tmp_path / "other"))


def test_a_space_is_trained_on_both_towers_and_takes_them_from_the_weights_folder(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("HISTOSEEK_WEIGHTS", str(folder.parent))
    rng = np.random.default_rng(0)
    sections = [
        PairedSection(
            slide,
            patient,
            rng.integers(0, 256, (20, 32, 32, 3), dtype=np.uint8),
            sp.csr_matrix(rng.poisson(2.0, (20, len(REAL_GENES))).astype(np.float32)),
            tuple(REAL_GENES),
        )
        for slide, patient in (("S1", "P1"), ("S2", "P2"))
    ]
    recipe = TowerRecipe(
        expression_encoder="omiclip",
        dim=3,
        image_components=5,
        expression_components=5,
        orientations=1,
        n_null_pairs=99,
    )
    tower = open_image_tower("omiclip")
    seen = [see(section, tower, recipe, cache=FeatureCache(None)) for section in sections]
    texts = open_sentences("omiclip", recipe_named("omiclip", housekeeping={"VIM"}))
    save_towers(align_towers(seen, [], tower, recipe, texts=texts), tmp_path / "own")
    again = open_space(tmp_path / "own")
    assert (again.card.recipe["image_tower"], again.card.recipe["expression_encoder"]) == ("omiclip", "omiclip")
    assert again.card.recipe["text_tower_licence"].startswith("not stated for the weights")
    assert again.image.encode(sections[0].patches).shape == (20, 3)
    report = again.expression.encode_counts(sections[0].counts[:1], REAL_GENES).genes
    assert "VIM" not in report.used
    assert report.truncated
    monkeypatch.setenv("HISTOSEEK_WEIGHTS", str(tmp_path / "nowhere"))
    moved = open_space(tmp_path / "own")
    assert moved.card == again.card
    with pytest.raises(WeightsMissingError, match="OmiCLIP is not in"):
        moved.image.encode(sections[0].patches)
    with pytest.raises(WeightsMissingError, match="OmiCLIP is not in"):
        moved.expression.encode_sentence(GeneSentence(("VIM",), "typed"))
