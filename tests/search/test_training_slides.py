"""From an index with pairs to a space that ingest, search and evaluate accept."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.sparse as sp
import torch
from PIL import Image
from safetensors.torch import save_file

from encoders.contracts import PatchSpec
from encoders.errors import SpaceMismatchError, TrainingError, WeightsMissingError
from encoders.profiles import OUTSIDE, Profiles
from encoders.recipe import Recipe
from encoders.registry import open_space
from encoders.torchvision_ops import ensure_torchvision_imports
from indexer.building.build import build_index
from indexer.errors import FeaturesError, SlideError
from indexer.genes.panel import panel_of
from indexer.index import Index
from indexer.indexed_pairs import find_picture, indexed_slides, read_indexed_pairs, read_indexed_transcriptomes
from indexer.pairs import read_pairs
from indexer.progress import Silent
from indexer.readers.flat_image import FlatImage
from indexer.slides import Expression, SlideFacts
from search.engine import Engine
from search.errors import QueryError
from search.quality.index_evaluation import evaluate
from search.query import GenesQuery, PatchQuery
from search.training.request import TrainRequest, train_requested

ensure_torchvision_imports()
import timm  # noqa: E402 (after the shim that lets it import)

N_SPOTS = 36
RECIPE = Recipe(name="own", dim=2)
SETTINGS = {"n_genes": 20, "image_components": 6, "expression_components": 4, "n_null_pairs": 300, "orientations": 2}


@dataclass(frozen=True)
class PictureSlide:
    """A section of the planted world whose picture lies in a file; a slide without one has counts alone."""

    facts: SlideFacts
    tissues: tuple[int, ...]
    counts: sp.csr_matrix
    genes: tuple[str, ...]
    image_path: Path | None
    kind: str = "spot"

    @property
    def files(self):
        return () if self.image_path is None else (self.image_path,)

    def open_image(self):
        return None if self.image_path is None else FlatImage(self.image_path)

    def read_genes(self):
        return self.genes

    def read_expression(self):
        rng = np.random.default_rng(len(self.tissues))
        xy = np.column_stack([200 + 400 * np.array(self.tissues), 100 + 27 * np.arange(N_SPOTS)]).astype(np.float64)
        names = [f"s{i}" for i in range(N_SPOTS)]
        return Expression(names, self.counts, self.genes, xy + rng.uniform(-60, 60, xy.shape), spot_um=100.0)


@pytest.fixture(scope="module")
def slides(planted, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    made = []
    for number, (slide, patient) in enumerate((("A1", "A"), ("A2", "A"), ("B1", "B"), ("C1", "C"), ("D1", "D"))):
        tissues = tuple(np.random.default_rng(number).integers(0, 3, N_SPOTS).tolist())
        path = folder / f"{slide}.png"
        Image.fromarray(planted.PlantedImage(number).thumbnail(planted.SIDE_PX)).save(path)
        facts = replace(planted.planted_slides()[0].facts, slide=slide, patient=patient, generated=False)
        counts = planted.counts_of(tissues, number, depth=60)
        made.append(PictureSlide(facts, tissues, counts, planted.GENES, None if patient == "D" else path))
    return made


@pytest.fixture(scope="module")
def db(slides, planted, tmp_path_factory):
    folder = tmp_path_factory.mktemp("paired") / "index"
    report = build_index(
        folder, slides, planted.planted_space(), panel=panel_of(planted.GENES), tile_stride_um=400.0, thumbnails=False
    )
    assert not report.failed
    return folder


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A tiny timm model with random weights, in a file."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("tiny") / "model.safetensors"
    save_file(timm.create_model("test_vit", pretrained=False).state_dict(), path)
    return path


def request(db, weights, /, **changes):
    given = {
        "recipe": RECIPE,
        "db": str(db),
        "held_out": ("C",),
        "towers": SETTINGS,
        "choice": {"image_encoder": "timm/test_vit", "image_weights": weights, "side_um": 100.0},
    }
    return TrainRequest(**{**given, **changes})


@pytest.fixture(scope="module")
def own(db, weights, tmp_path_factory):
    out = tmp_path_factory.mktemp("spaces") / "own"
    train_requested(request(db, weights), out, progress=Silent())
    return out


def test_pairs_of_an_index_are_those_of_its_sources(db, slides):
    index, patch = Index.open(db), PatchSpec(100.0, 20)
    found = {slide.slide: slide for slide in indexed_slides(index)}
    assert list(found) == ["A1", "A2", "B1", "C1", "D1"]
    assert not found["D1"].has_picture
    expected, read = read_pairs(slides[2], patch), read_indexed_pairs(index, found["B1"], patch)
    assert (read.slide, read.patient) == ("B1", "B")
    assert np.abs(read.patches.astype(int) - expected.patches).mean() < 0.5  # positions are float32 in an index
    order = [read.genes.index(gene) for gene in expected.genes]
    np.testing.assert_array_equal(read.counts.toarray()[:, order], expected.counts.toarray())
    with pytest.raises(SlideError, match="Slide 'Z9' has no counts in this index"):
        indexed_slides(index, slides=["Z9"])


def test_counts_outside_the_panel_still_belong_to_the_library(slides, planted, tmp_path):
    panel = panel_of(planted.GENES[:12])
    build_index(tmp_path / "index", slides[:1], planted.planted_space(), panel=panel, tile_stride_um=400.0)
    index = Index.open(tmp_path / "index")
    section = read_indexed_transcriptomes(index, indexed_slides(index)[0])
    assert section.genes[-1] == OUTSIDE
    own = Profiles.read(section.counts, section.genes).log_normalised()[:, 0].toarray()
    whole = Profiles.read(slides[0].counts, slides[0].genes)
    expected = whole.log_normalised()[:, whole.genes.index(section.genes[0])].toarray()
    np.testing.assert_allclose(own, expected, rtol=1e-5)


def test_pictures_that_moved_are_found_where_one_says(db, slides, tmp_path):
    index = Index.open(db)
    slide = indexed_slides(index, slides=["A1"])[0]
    lost = replace(slide, image_path=tmp_path / "before" / "A1.png")
    with pytest.raises(SlideError, match=r"not at .*A1.png any more; say where .* --images FOLDER"):
        find_picture(lost)
    (tmp_path / "now" / "deep").mkdir(parents=True)
    with pytest.raises(SlideError, match=r"neither in .*now nor at"):
        find_picture(lost, tmp_path / "now")
    shutil.copy(slides[0].image_path, tmp_path / "now" / "deep" / "A1.png")
    assert find_picture(lost, tmp_path / "now") == tmp_path / "now" / "deep" / "A1.png"
    read_indexed_pairs(index, lost, PatchSpec(100.0, 20), images=tmp_path / "now")
    Image.new("RGB", (300, 300)).save(tmp_path / "now" / "deep" / "A1.png")
    with pytest.raises(SlideError, match="300 x 300 px; the one that was ingested had 1200 x 1200"):
        read_indexed_pairs(index, lost, PatchSpec(100.0, 20), images=tmp_path / "now")
    shutil.copy(slides[0].image_path, tmp_path / "now" / "A1.png")
    with pytest.raises(SlideError, match=r"holds 2 files A1\.png"):
        find_picture(lost, tmp_path / "now")
    with pytest.raises(SlideError, match="from no image file"):
        find_picture(replace(slide, image_path=None))


def test_a_space_trained_from_an_index_is_ingested_searched_and_evaluated(own, slides, tmp_path):
    card = open_space(own).card
    assert card.training_patients == ("A", "B", "D")
    assert card.recipe["image_tower"] == "timm/test_vit"
    rows = {(row.metric, row.direction): row for row in card.quality}
    assert {row.test for row in card.quality} == {"section C1, patient C held out"}
    assert rows["R@10%", "image->expression"].n_gallery == N_SPOTS
    assert rows["R@10%", "image->expression"].colour_baseline is not None
    assert rows["median rank / N", "image->expression"].value < 0.4  # chance is 0.5; three tissues, 36 spots

    report = build_index(tmp_path / "index", slides, open_space(own), tile_stride_um=400.0)
    assert not report.failed
    engine = Engine.open(tmp_path / "index", space=own)
    hits = engine.search(GenesQuery("TUM1 TUM2 TUM3"), target="image", kind="spot", k=10).to_pandas()
    assert len(hits) == 10
    pixels = np.asarray(Image.open(slides[3].image_path))[100:220, 140:260]
    found = engine.search(PatchQuery(pixels, 1.0, slide="C1"), k=5, exclude="none").to_pandas()
    assert (found["score"] <= 1.0001).all()
    measured = evaluate(engine)
    assert measured.slides == ("C1",)
    assert "A1" in " ".join(measured.notes)
    with pytest.raises(QueryError, match="--include-trained"):
        evaluate(engine, slides=["A1"])
    marked = evaluate(engine, slides=["A1"], include_trained=True)
    assert any(figure.trained_on for figure in marked.figures)


def test_a_second_run_encodes_nothing_and_gives_the_same(db, weights, own, tmp_path, monkeypatch):
    def never(*_):
        raise AssertionError("encoded again")

    monkeypatch.setattr("encoders.frozen_images.FrozenImageEncoder.features", never)
    again = train_requested(request(db, weights), tmp_path / "again", progress=Silent())
    assert again.card.revision == open_space(own).card.revision
    with pytest.raises(AssertionError, match="encoded again"):
        train_requested(request(db, weights, keeps_features=False), tmp_path / "again", progress=Silent())


def test_an_index_trains_a_space_of_minis_family_too(db, tmp_path, monkeypatch):
    from search.quality.evaluation import ColourStatistics

    monkeypatch.setattr("encoders.training.DefaultBackbone", lambda device: ColourStatistics())
    small = Recipe(name="linear", dim=2, n_genes=20, image_components=4, expression_components=4, n_null_pairs=300)
    plain = replace(small, normalise_stain=False)
    wanted = TrainRequest(recipe=plain, db=str(db), held_out=("C",))
    space = train_requested(wanted, tmp_path / "linear", progress=Silent())
    assert space.card.training_patients == ("A", "B", "D")
    assert "family" not in space.card.recipe


def trident(folder, slide, *, encoder="uni_v1", dim=1024, offset=0):
    """Features of TRIDENT, 80 px apart, that tell the three bands of the picture apart."""
    folder.mkdir(exist_ok=True)
    corners = np.array([(x, y) for x in range(0, 1120, 80) for y in range(0, 1120, 80)])
    band = np.minimum((corners[:, 0] + 40) // 400, 2)
    loadings = np.random.default_rng(5).normal(size=(3, dim))
    features = loadings[band] + np.random.default_rng(6).normal(scale=0.3, size=(len(corners), dim))
    with h5py.File(folder / f"{slide}.h5", "w") as file:
        file["features"] = features.astype(np.float32)
        file["features"].attrs["encoder"] = encoder
        file["coords"] = corners + offset
        file["coords"].attrs["patch_size_level0"] = 80


def test_features_made_elsewhere_are_the_image_side(db, tmp_path):
    for slide in ("A1", "A2", "B1", "C1"):
        trident(tmp_path / "features", slide)
    wanted = TrainRequest(recipe=RECIPE, db=str(db), held_out=("C",), towers=SETTINGS, features=tmp_path / "features")
    space = train_requested(wanted, tmp_path / "own", progress=Silent())
    assert space.card.recipe["image_tower"] == "uni"
    assert space.card.recipe["image_features_elsewhere"] is True
    assert space.card.training_patients == ("A", "B", "D")
    rows = {(row.metric, row.direction): row for row in space.card.quality}
    assert rows["median rank / N", "image->expression"].colour_baseline is None
    assert rows["median rank / N", "image->expression"].value < 0.35
    trident(tmp_path / "features", "A2", encoder="virchow", dim=2560)
    with pytest.raises(TrainingError, match="of 'virchow', those of A1 of 'uni'"):
        train_requested(wanted, tmp_path / "own", progress=Silent())
    trident(tmp_path / "features", "A2", dim=1000)
    with pytest.raises(SpaceMismatchError, match="1024"):
        train_requested(wanted, tmp_path / "own", progress=Silent())
    trident(tmp_path / "elsewhere", "Z9")
    with pytest.raises(TrainingError, match="None of the 1 feature files"):
        train_requested(replace(wanted, features=tmp_path / "elsewhere"), tmp_path / "own", progress=Silent())


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"held_out": ()}, TrainingError, "--hold-out PATIENT"),
        ({"held_out": ("X",)}, TrainingError, "There is no patient 'X'; those with images are A, B, C"),
        ({"held_out": ("D",)}, TrainingError, "held-out patients .D. has an image"),
        ({"held_out": ("A", "B", "C")}, TrainingError, "nothing is left to train on"),
        ({"slides": ["C1"]}, TrainingError, "nothing is left to train on"),
        ({"dataset": "her2st"}, TrainingError, "give one of them"),
        ({"db": None, "slides": ["A1"]}, TrainingError, "--slide is about the slides of an index"),
        ({"choice": {"image_encoder": "timm/test_vit"}}, WeightsMissingError, "Put model.safetensors"),
        ({"towers": {**SETTINGS, "fine_tune": True}}, TrainingError, "give --device cuda"),
        ({"recipe": replace(RECIPE, stop_on="patient", loss="infonce")}, TrainingError, "--validate-patient"),
        (
            {"recipe": replace(RECIPE, loss="infonce"), "towers": {**SETTINGS, "validate_patients": ("C",)}},
            TrainingError,
            "'C' is named to stop on and to test on",
        ),
        ({"features": Path("nowhere")}, TrainingError, "leave --images and --image-encoder out"),
        ({"features": Path("nowhere"), "choice": {}}, FeaturesError, "nowhere"),
    ],
)
def test_what_cannot_be_trained_is_refused(db, weights, tmp_path, changes, error, message):
    with pytest.raises(error, match=message):
        train_requested(request(db, weights, **changes), tmp_path / "own", progress=Silent())
    assert not (tmp_path / "own").exists()
