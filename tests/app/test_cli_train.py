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
    monkeypatch.setattr("search.training.open_sources", lambda _dataset, **_: slides)
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

    monkeypatch.setattr("search.training.train_dataset", note)
    asked = ("--dataset", "x", "--held-out", "P", "--held-out", "Q", "--loss", loss, "--dim", "8", "--seed", "3")
    assert histoseek("train", "own", "--out", tmp_path / "own", *asked).code == 0
    assert (seen["dataset"], seen["held_out"]) == ("x", {"P", "Q"})
    assert seen["recipe"] == Recipe(name="own", loss=loss, dim=8, seed=3)
    assert seen["checkpoint"] == (None if loss == "cca" else tmp_path / "own.checkpoint.safetensors")
