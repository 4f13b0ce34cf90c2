"""`histoseek train` passes its choices on, and refuses before anything is read what cannot work."""

import pytest

from encoders.recipe import Recipe
from encoders.registry import open_space
from indexer.slides import SlideFacts


class Slide:
    """A slide that must not be read."""

    files = ()

    def __init__(self, patient, *, has_image):
        self.facts = SlideFacts(
            "S", patient, "small", "breast", "tumour", "ST", "human", "CC0", "none", mpp=0.5, mpp_source="user"
        )
        self.image_path = "picture" if has_image else None


def test_a_held_out_patient_without_an_image_is_refused_at_once(histoseek, tmp_path, monkeypatch):
    slides = [Slide("A", has_image=True), Slide("B", has_image=False)]
    monkeypatch.setattr("search.training.run.open_sources", lambda _dataset, **_: slides)
    ran = histoseek("train", "own", "--out", tmp_path / "own", "--held-out", "B")
    assert ran.code == 1
    assert "held-out patients (B) has an image" in ran.stderr
    assert "hold out a patient with one (A)" in ran.stderr.replace("\n", " ")


def test_a_data_set_that_is_not_known_is_refused(histoseek, tmp_path):
    ran = histoseek("train", "own", "--out", tmp_path / "own", "--dataset", "nowhere")
    assert ran.code == 1
    assert "her2st" in ran.stderr  # the known ones


@pytest.mark.parametrize("wrong", [("--loss", "triplet"), ("--stop-on", "spot"), ("--dim", "0")])
def test_choices_that_do_not_exist_are_usage_errors(histoseek, tmp_path, wrong):
    assert histoseek("train", "own", "--out", tmp_path / "own", *wrong).code == 2


@pytest.mark.parametrize("loss", ["cca", "bleep"])
def test_choices_reach_the_trainer(histoseek, tmp_path, monkeypatch, loss):
    seen = {}

    def note(dataset, held_out, recipe, out, *, checkpoint, **_):
        seen.update(dataset=dataset, held_out=held_out, recipe=recipe, out=out, checkpoint=checkpoint)
        return open_space("mini")

    monkeypatch.setattr("search.training.run.train_dataset", note)
    asked = ("--dataset", "x", "--held-out", "P", "--held-out", "Q", "--loss", loss, "--dim", "8", "--seed", "3")
    assert histoseek("train", "own", "--out", tmp_path / "own", *asked).code == 0
    assert (seen["dataset"], seen["held_out"]) == ("x", {"P", "Q"})
    assert seen["recipe"] == Recipe(name="own", loss=loss, dim=8, seed=3)
    assert seen["checkpoint"] == (None if loss == "cca" else tmp_path / "own.checkpoint.safetensors")


def test_choices_of_towers_reach_the_trainer(histoseek, tmp_path, monkeypatch):
    seen = {}

    def note(request, out, *, progress):
        seen.update(request=request, out=out)
        return open_space("mini")

    monkeypatch.setattr("search.training.request.train_requested", note)
    asked = ("--db", tmp_path / "index", "--hold-out", "B", "--validate-patient", "C", "--loss", "infonce")
    image = ("--image-encoder", "timm/x", "--image-weights", tmp_path / "x.safetensors", "--side-um", "112")
    tuned = ("--fine-tune", "--device", "cpu", "--no-bf16", "--workers", "2", "--no-stain", "--centring", "training")
    genes = ("--expression-encoder", "mlp", "--gene-dropout", "0.5", "--head", "mlp", "--no-cache")
    assert histoseek("train", "own", "--out", tmp_path / "own", *asked, *image, *tuned, *genes).code == 0
    request = seen["request"]
    assert request.on_towers
    assert (request.db, request.held_out, request.device) == (str(tmp_path / "index"), ("B",), "cpu")
    assert request.choice == {
        "image_encoder": "timm/x",
        "image_weights": tmp_path / "x.safetensors",
        "side_um": 112.0,
    }
    assert request.towers == {
        "expression_encoder": "mlp",
        "head": "mlp",
        "centring": "training",
        "normalise_stain": False,
        "gene_dropout": 0.5,
        "fine_tune": True,
        "bf16": False,
        "workers": 2,
        "validate_patients": ("C",),
    }
    assert not request.keeps_features


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("--db", "x", "--dataset", "her2st"), "give one of them"),
        (("--fine-tune", "--loss", "infonce"), "give --device cuda"),
        (("--expression-encoder", "mlp"), "closed form"),
        (("--expression-encoder", "geneformer"), "There is no expression encoder"),
        (("--image-encoder", "nothing"), "There is no encoder 'nothing'"),
        (("--image-encoder", "uni"), "The weights of 'uni' are not on this machine"),
    ],
)
def test_towers_that_cannot_be_had_are_refused_before_anything_is_read(histoseek, tmp_path, monkeypatch, asked, said):
    slides = [Slide("A", has_image=True), Slide("B", has_image=True)]
    monkeypatch.setattr("search.training.request.open_sources", lambda _dataset, **_: slides)
    ran = histoseek("train", "own", "--out", tmp_path / "own", "--held-out", "B", *asked)
    assert ran.code == 1
    assert said in " ".join(ran.stderr.split())


def test_a_device_that_does_not_exist_is_a_usage_error(histoseek, tmp_path):
    assert histoseek("train", "own", "--out", tmp_path / "own", "--device", "gpu").code == 2
