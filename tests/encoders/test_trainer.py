"""The trainer on towers: it learns, its spaces open again, and it refuses what cannot be aligned."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp

from encoders.contracts import PatchSpec, unit_rows
from encoders.errors import EncoderError, GeneQueryError, PatchError, SpaceMismatchError, TrainingError
from encoders.gene_lists import WeightedGenes
from encoders.registry import open_space
from encoders.sections import FeatureSection
from encoders.sentences import GeneSentence
from encoders.towers import tower_of
from encoders.trainer.feature_cache import FeatureCache
from encoders.trainer.heads import Head, folded, hidden_start, place_in_training
from encoders.trainer.image_towers import FeaturesElsewhere
from encoders.trainer.run import RunOptions, align_towers
from encoders.trainer.seen_sections import see, see_features
from encoders.trainer.tower_files import save_towers
from encoders.trainer.tower_recipe import TowerRecipe
from encoders.trainer.views import balanced_weights

NOTHING_KEPT = FeatureCache(None)


class BlockTower:
    """The backbone of the small world as a tower; counts how often it is asked."""

    name, licence, weights_sha256, feature_dim = "block means", "CC0", "none", 48
    patch = PatchSpec(side_um=10.0, side_px=16)

    def __init__(self, backbone):
        self._backbone, self.calls = backbone, 0

    def features(self, patches):
        self.calls += 1
        return self._backbone.features(patches)


@pytest.fixture
def tower(backbone):
    return BlockTower(backbone)


@pytest.fixture
def recipe():
    return TowerRecipe(
        name="own",
        dim=3,
        n_genes=40,
        image_components=6,
        expression_components=6,
        hidden=8,
        orientations=1,  # the colours of its blocks depend on how a patch lies
        epochs=3,
        batch_size=32,
        gene_dropout=0.2,
        n_ranks=30,
        n_null_pairs=500,
    )


@pytest.fixture
def aligned(paired, extra, tower):
    def align(recipe, *, sections=None, **how):
        seen = [see(section, tower, recipe, cache=NOTHING_KEPT) for section in sections or paired]
        return align_towers(seen, extra, tower, recipe, **how)

    return align


def ranks_of(space, section):
    stain = space.image.stain_of(section.patches)
    features = space.image.features(section.patches, stain=stain)
    images = space.image.project(features, centre=features.mean(axis=0))
    found = space.expression.encode_counts(section.counts, section.genes, by_section=True).vectors
    scores = images @ found.T
    return (scores >= np.diag(scores)[:, None]).sum(axis=1)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"centring": "training"},
        {"loss": "infonce"},
        {"loss": "bleep", "head": "mlp"},
        {"loss": "infonce", "expression_encoder": "mlp", "head": "mlp"},
    ],
)
def test_a_new_patient_is_retrieved_and_the_space_opens_again(
    aligned, recipe, make_section, tmp_path, change, backbone
):
    space = aligned(replace(recipe, **change))
    new = make_section("S9", "P9")
    assert np.mean(ranks_of(space, new) <= 6) > 0.6  # chance is 0.1
    save_towers(space, tmp_path / "own")
    again = open_space(tmp_path / "own")
    assert again.card == space.card
    features = space.image.features(new.patches)
    np.testing.assert_array_equal(again.image.project(features), space.image.project(features))
    for by_section in (True, False):
        before, after = (
            s.expression.encode_counts(new.counts, new.genes, by_section=by_section) for s in (space, again)
        )
        np.testing.assert_array_equal(before.vectors, after.vectors)
    with pytest.raises(EncoderError, match="block means"):
        again.image.features(new.patches)  # no such encoder is on this machine


def test_the_card_names_towers_patients_and_settings(aligned, recipe):
    card = aligned(recipe).card
    assert card.training_patients == ("P1", "P2")
    assert card.recipe["image_tower"] == "block means"
    assert card.recipe["image_tower_licence"] == "CC0"
    assert card.recipe["paired_slides"] == "S1 S2"
    assert card.recipe["centring"] == "section"
    assert card.recipe["null image->expression"] == "different patients"
    assert card.calibration.n_pairs == 500
    assert {"image->expression", "genes->image", "sentence->image"} <= set(card.calibration.quantiles)


def test_both_forms_of_a_head_are_one_function():
    import torch

    rng = np.random.default_rng(0)
    x, axes, scale = rng.normal(size=(9, 5)), np.linalg.qr(rng.normal(size=(5, 3)))[0], rng.uniform(0.5, 2, size=5)
    parameters = {"linear": rng.normal(size=(3, 2)).astype(np.float32), **hidden_start(5, 4, 2, rng)}
    parameters["out"] = rng.normal(size=(4, 2)).astype(np.float32)
    parameters["hidden_bias"] = rng.normal(size=4).astype(np.float32)
    centre = x.mean(axis=0)
    scaled = torch.from_numpy(((x - centre) * scale).astype(np.float32))
    tensors = {name: torch.from_numpy(values) for name, values in parameters.items()}
    trained = place_in_training(scaled, torch.from_numpy(axes.astype(np.float32)), tensors).numpy()
    head = folded(parameters, axes, scale)
    for given in (x, sp.csr_matrix(x)):
        np.testing.assert_allclose(unit_rows(head.place(given, centre)), trained, atol=1e-5)
    again = Head.from_arrays(head.arrays("image"), "image")
    np.testing.assert_array_equal(again.place(x, centre), head.place(x, centre))


def test_a_hidden_layer_starts_at_the_closed_form(aligned, recipe, make_section):
    """With nothing learned in its one epoch (a rate of almost zero), the head is the closed form it started from."""
    still = replace(recipe, loss="infonce", expression_encoder="mlp", stop_on="none", epochs=1, learning_rate=1e-12)
    plain, deep = aligned(recipe), aligned(still)
    new = make_section("S9", "P9")
    vectors = [s.expression.encode_counts(new.counts, new.genes, by_section=True).vectors for s in (plain, deep)]
    np.testing.assert_allclose(*vectors, atol=1e-4)
    assert deep.expression.weights.expression_head.hidden is not None


def test_centring_on_the_training_ignores_the_section_and_is_kept(aligned, recipe, make_section):
    new = make_section("S9", "P9")
    own, training = aligned(recipe), aligned(replace(recipe, centring="training"))
    features = own.image.features(new.patches)
    moved = features.mean(axis=0) + 5
    assert not np.allclose(own.image.project(features, centre=moved), own.image.project(features))
    np.testing.assert_array_equal(training.image.project(features, centre=moved), training.image.project(features))
    by_section = [training.expression.encode_counts(new.counts, new.genes, by_section=s).vectors for s in (True, False)]
    np.testing.assert_array_equal(*by_section)
    assert training.card.recipe["centring"] == "training"


def test_lists_and_sentences_point_to_what_they_name(aligned, recipe, make_section):
    space = aligned(replace(recipe, loss="infonce", expression_encoder="mlp"))
    new = make_section("S9", "P9")
    spots = space.expression.encode_counts(new.counts, new.genes, by_section=True).vectors
    gene = space.expression.genes[0]
    scores = (space.expression.encode_list(WeightedGenes((gene,), (1.0,))).vectors @ spots.T).ravel()
    share = (new.counts / new.counts.sum(axis=1)).toarray()[:, new.genes.index(gene)]
    assert np.corrcoef(scores, share)[0, 1] > 0.4
    symbols = [new.genes[i] for i in np.argsort(-new.counts[0].toarray().ravel())]
    sentence = space.expression.encode_sentence(GeneSentence(tuple(symbols), "plain"))
    assert sentence.vectors.shape == (1, 3)
    assert len(sentence.genes.truncated) == len(symbols) - 30
    with pytest.raises(GeneQueryError, match="Did you mean GENE"):
        space.expression.encode_list(WeightedGenes(("GENEE1",), (1.0,)))


def test_the_same_input_gives_the_same_weights(aligned, recipe):
    wanted = replace(recipe, loss="bleep", head="mlp", expression_encoder="mlp")
    first, again = aligned(wanted), aligned(wanted)
    assert first.card == again.card
    assert first.image.weights.to_bytes() == again.image.weights.to_bytes()


class StoppedError(Exception):
    """Stands for a kill."""


def stop_after(epochs):
    def stop(done, _total):
        if done == epochs:
            raise StoppedError

    return stop


def test_an_interrupted_training_ends_like_a_whole_one(aligned, recipe, tmp_path):
    wanted = replace(recipe, loss="infonce", expression_encoder="mlp", stop_on="none")
    path, told = tmp_path / "run.safetensors", []
    with pytest.raises(StoppedError):
        aligned(wanted, options=RunOptions(checkpoint=path, on_epoch=stop_after(2)))
    resumed = aligned(wanted, options=RunOptions(checkpoint=path, on_epoch=lambda *at: told.append(at)))
    assert told == [(3, 3)]
    assert resumed.image.weights.to_bytes() == aligned(wanted).image.weights.to_bytes()
    with pytest.raises(TrainingError, match="another recipe"):
        aligned(replace(wanted, seed=9), options=RunOptions(checkpoint=path))
    with pytest.raises(TrainingError, match="another architecture"):
        aligned(replace(wanted, hidden=4), options=RunOptions(checkpoint=path))


def test_a_patient_may_stop_the_training(aligned, recipe, paired, make_section):
    wanted = replace(recipe, loss="infonce", validate_patients=("P3",), epochs=40, patience=1, learning_rate=0.3)
    told = []
    sections = [*paired, make_section("S4", "P3")]
    space = aligned(wanted, sections=sections, options=RunOptions(on_epoch=lambda *at: told.append(at)))
    assert 1 <= len(told) < 40
    assert space.card.recipe["validate_patients"] == "P3"
    assert "P3" in space.card.training_patients  # it decided when to stop, so it is no test
    with pytest.raises(TrainingError, match="Patient 'P7' has no paired section"):
        aligned(replace(wanted, validate_patients=("P7",)), sections=sections)
    with pytest.raises(TrainingError, match="nothing is left to train on"):
        aligned(replace(wanted, validate_patients=("P1",)))


def test_patients_count_the_same_whatever_their_number_of_spots():
    weights = balanced_weights([300, 100, 100], ["A", "B", "B"])
    assert [w.sum() for w in weights] == pytest.approx([250, 125, 125])


def test_features_made_elsewhere_train_a_space_that_names_them(paired, backbone, recipe, make_section, tmp_path):
    def elsewhere(section):
        features = backbone.features(section.patches)
        return FeatureSection(section.slide, section.patient, features, "uni", section.counts, section.genes)

    tower = FeaturesElsewhere("uni", 48, PatchSpec(128.0, 224))
    space = align_towers(see_features([elsewhere(s) for s in paired]), [], tower, recipe)
    save_towers(space, tmp_path / "own")
    again = open_space(tmp_path / "own")
    assert again.card.recipe["image_tower"] == "uni"
    assert again.card.recipe["normalise_stain"] is False
    assert tower_of(again).names == ("uni",)
    assert tower_of(again).dim == 48
    new = make_section("S9", "P9")
    assert again.image.project(backbone.features(new.patches)).shape == (60, 3)
    with pytest.raises(EncoderError, match="made elsewhere and cannot read pixels"):
        again.image.features(np.zeros((1, 224, 224, 3), dtype=np.uint8))
    with pytest.raises(PatchError, match="of uni"):
        again.image.project(np.zeros((2, 7), dtype=np.float32))


def test_features_that_do_not_fit_together_are_refused(paired):
    whole = [FeatureSection(s.slide, s.patient, np.ones((60, 4), np.float32), "uni", s.counts, s.genes) for s in paired]
    bad = np.ones((60, 4), np.float32)
    bad[7, 2] = np.nan
    for changed, message in (
        (replace(whole[1], encoder="virchow"), "of 'virchow', those of S1 of 'uni'"),
        (replace(whole[1], features=np.ones((60, 5), np.float32)), r"shape \(60, 5\)"),
        (replace(whole[1], features=bad), "hold NaN or infinite values .row 7"),
        (replace(whole[1], features=bad[:50]), "50 feature vectors but 60 rows"),
    ):
        with pytest.raises(TrainingError, match=message):
            see_features([whole[0], changed])


def test_features_are_kept_by_what_decides_them(paired, tower, recipe, tmp_path, caplog):
    cache = FeatureCache(tmp_path / "features")
    wanted = replace(recipe, orientations=2)
    first = see(paired[0], tower, wanted, cache=cache)
    assert tower.calls == 2
    again = see(paired[0], tower, wanted, cache=cache)
    assert tower.calls == 2
    np.testing.assert_array_equal(again.views[1], first.views[1])
    see(paired[0], tower, replace(wanted, normalise_stain=False), cache=cache)  # other pixels
    assert tower.calls == 4
    see(paired[0], tower, replace(wanted, stain_jitter=0.2), cache=cache)  # another second view
    assert tower.calls == 5
    kept = sorted((tmp_path / "features").iterdir())
    kept[0].write_bytes(kept[0].read_bytes()[:40])
    for changed in (wanted, replace(wanted, normalise_stain=False), replace(wanted, stain_jitter=0.2)):
        see(paired[0], tower, changed, cache=cache)
    assert tower.calls == 6
    assert "cannot be read" in caplog.text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dim": 7}, "7 dimensions needs as many components"),
        ({"n_genes": 2}, "the expression side has 2"),
        ({"image_components": 2}, "the image side has 2"),
        ({"expression_encoder": "mlp"}, "closed form"),
        ({"head": "mlp"}, "closed form"),
        ({"validate_patients": ("P1",)}, "closed form"),
        ({"loss": "triplet"}, "loss is 'triplet'"),
        ({"centring": "slide"}, "centring is 'slide'"),
        ({"gene_dropout": 1.0}, "gene_dropout is 1.0"),
        ({"loss": "infonce", "learning_rate": 1e25, "epochs": 9, "stop_on": "none"}, "lower the learning rate"),
    ],
)
def test_settings_that_cannot_be_met_are_refused(aligned, recipe, change, message):
    with pytest.raises(TrainingError, match=message):
        aligned(replace(recipe, **change))


def test_sections_that_cannot_be_aligned_are_refused(aligned, recipe, paired, make_section, tower):
    flat = [replace(s, counts=sp.csr_matrix(np.ones(s.counts.shape))) for s in paired]
    grey = [replace(s, patches=np.full_like(s.patches, 128)) for s in paired]
    short = [replace(paired[0], patches=paired[0].patches[:-4]), paired[1]]
    counts = paired[0].counts.toarray()
    counts[2, 3] = np.nan
    holed = [replace(paired[0], counts=sp.csr_matrix(counts)), paired[1]]
    for sections, message in (
        (flat, "does not vary"),
        (grey, "None of the 48 features varies"),
        (short, "56 patches but 60 rows"),
        (holed, "GENE3 in row 2"),
        ([make_section("S5", "P5", n_spots=6)], "There are 6 paired spots"),
    ):
        with pytest.raises(TrainingError, match=message):
            aligned(recipe, sections=sections)
    with pytest.raises(TrainingError, match="0 paired sections"):
        align_towers([], [], tower, recipe)


def test_a_tower_that_gives_no_numbers_is_refused(paired, tower, recipe, monkeypatch):
    monkeypatch.setattr(tower, "features", lambda patches: np.full((len(patches), 48), np.nan, dtype=np.float32))
    with pytest.raises(EncoderError, match="NaN or infinite features for 60 of 60 patches of S1"):
        see(paired[0], tower, recipe, cache=NOTHING_KEPT)


def test_files_that_do_not_belong_together_are_refused(aligned, recipe, tmp_path):
    save_towers(aligned(recipe), tmp_path / "own")
    card = tmp_path / "own" / "card.json"
    card.write_text(card.read_text().replace('"centring": "section"', '"centring": "slide"'))
    with pytest.raises(SpaceMismatchError, match="centred by 'slide'"):
        open_space(tmp_path / "own")
    (tmp_path / "own" / "weights.safetensors").write_bytes(b"cut")
    with pytest.raises(SpaceMismatchError, match="do not belong together"):
        open_space(tmp_path / "own")
    (tmp_path / "own" / "notes.txt").write_text("mine")
    with pytest.raises(TrainingError, match="is not a saved space"):
        save_towers(aligned(recipe), tmp_path / "own")
