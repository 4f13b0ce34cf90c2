"""Slides whose tiles come from files of TRIDENT, CLAM or HEST: vectors, joins, facts, and refusals by name."""

import json
import re
from dataclasses import replace

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from PIL import Image

from encoders.errors import SpaceMismatchError
from encoders.registry import open_space
from indexer.building.build import build_index
from indexer.datasets.manifest import load_manifest
from indexer.errors import FeaturesError, ManifestError
from indexer.features.tile_files import TileFile, layout_of, tile_files
from indexer.features.tiled import middle_of
from indexer.features.tiled_slides import TiledSlide, open_tiled_slides
from indexer.index import Index
from indexer.pairs import read_feature_pairs
from indexer.readers.her2st import Her2stSlide
from indexer.readers.table_slide import TableSlide, read_slide_table
from indexer.sources import open_slide
from indexer.tissue.tiles import read_patches
from tests.indexer.store_doubles import GENES, FakeImage, fake_space, write_source

SIDE = 40  # px at 1 um/px: the patch of the fake encoder
CENTRES = np.array([[x, y] for y in range(120, 400, 40) for x in range(120, 520, 40)])
SPACE = fake_space()


def features_at(centres):
    """Features that the fake encoder makes of the fake slide A1."""
    image = FakeImage(ord("A") + ord("1"))
    pixels = np.stack([image.read(float(x), float(y), SIDE, 16) for x, y in centres])
    return SPACE.image.features(pixels)


def write_h5(path, arrays, attributes=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            file[name] = values
            file[name].attrs.update((attributes or {}).get(name, {}))
    return path


def write_trident(path, *, centres=CENTRES, features=None, encoder="fake-image", side=SIDE, magnification=10.0):
    values = features_at(centres) if features is None else features
    size = {"patch_size": SIDE, "target_magnification": magnification, "patch_size_level0": side, "overlap": 0}
    attributes = {"coords": size, "features": {"encoder": encoder, "name": path.stem}}
    return write_h5(path, {"coords": (centres - side // 2).astype(np.int64), "features": values}, attributes)


def write_spots(path, xy, names=None):
    """An h5ad of spots as HEST has it, each with some counts."""
    counts = sp.csr_matrix(np.random.default_rng(0).poisson(2, (len(xy), len(GENES))).astype(np.float32) + 1)
    obs = pd.DataFrame(index=names if names is not None else [f"s{i}" for i in range(len(xy))])
    file = anndata.AnnData(
        counts, obs=obs, var=pd.DataFrame(index=list(GENES)), obsm={"spatial": np.asarray(xy, float)}
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    file.write_h5ad(path)
    return path


def write_table(path, **extra):
    columns = {"slide": "A1", "patient_id": "P7", "mpp": "1.0", "organ": "breast", "licence": "CC0-1.0", **extra}
    path.write_text(f"{','.join(columns)}\n{','.join(columns.values())}\n")
    return path


@pytest.fixture
def base(tmp_path):
    return write_source(tmp_path / "src", "A1")


@pytest.fixture
def table_slide(tmp_path):
    return read_slide_table(write_table(tmp_path / "slides.csv"))["A1"]


def vectors_of(db, kind, side="image"):
    index = Index.open(db)
    table, vectors = index.metadata(), index.vectors(side)
    rows = {table["id"][int(row)].as_py(): vectors.vectors[place] for place, row in enumerate(vectors.rows)}
    return {name: vector for name, vector in rows.items() if f"/{kind}/" in name}


def test_features_give_the_vectors_that_the_picture_gives(base, tmp_path):
    expression = base.read_expression()
    build_index(tmp_path / "pixels", [base], SPACE, tile_stride_um=60)
    tiles = Index.open(tmp_path / "pixels").metadata().to_pandas().query("kind == 'tile'")
    # whole pixels, as TRIDENT's corners are; the spots of the fake slide lie between pixels
    centres = np.vstack([tiles[["x_px", "y_px"]].to_numpy(), expression.xy_px])
    file = write_trident(tmp_path / "f" / "A1.h5", centres=np.rint(centres), features=features_at(centres))
    report = build_index(tmp_path / "features", [TiledSlide(base, TileFile(file, "trident"))], SPACE, tile_stride_um=60)
    assert report.failed == ()
    assert report.notes == ("A1: 12 of 12 spots joined to a tile (median distance 0 of 40 px)",)
    for kind in ("spot", "slide"):
        pixels, features = (vectors_of(tmp_path / name, kind) for name in ("pixels", "features"))
        assert pixels.keys() == features.keys()
        assert min(float(pixels[name] @ features[name]) for name in pixels) > 0.999
    assert Index.open(tmp_path / "features").card.counts["tile"] == len(centres)
    thumbnails = Index.open(tmp_path / "features").thumbnails(range(5))
    assert sum(one is not None for one in thumbnails) == 4  # all but the slide itself


def test_without_a_picture_tiles_have_places_and_vectors_but_no_thumbnails(table_slide, tmp_path):
    file = TileFile(write_trident(tmp_path / "A1.h5"), "trident")
    report = build_index(tmp_path / "db", [TiledSlide(table_slide, file)], SPACE)
    assert report.added == ("A1",)
    index = Index.open(tmp_path / "db")
    (slide,) = index.slides().to_pylist()
    assert (slide["patient"], slide["licence"], slide["mpp"], slide["mpp_source"]) == ("P7", "CC0-1.0", 1.0, "user")
    assert (slide["thumbnail"], slide["width_px"], slide["n_tiles"]) == (None, None, len(CENTRES))
    tiles = index.metadata().to_pandas().query("kind == 'tile'")
    np.testing.assert_array_equal(tiles[["x_px", "y_px"]].to_numpy(), CENTRES)
    assert index.thumbnails(range(len(index))) == [None] * len(index)


@pytest.mark.parametrize(
    ("spoiled", "said"),
    [
        ({"magnification": 20.0, "side": 20}, "20 um.*40 um"),
        ({"side": 60}, "mpp 1 .*0.667"),
        ({"centres": CENTRES + 300}, "positions lie outside the image"),
        ({"centres": CENTRES[:0], "features": np.ones((0, 12))}, "no tile"),
    ],
)
def test_a_feature_file_that_does_not_fit_its_slide_fails_that_slide(base, tmp_path, spoiled, said):
    slide = TiledSlide(base, TileFile(write_trident(tmp_path / "A1.h5", **spoiled), "trident"))
    (failed,) = build_index(tmp_path / "db", [slide], SPACE).failed
    assert re.search(said, failed.reason)


@pytest.mark.parametrize(
    ("encoder", "dim", "said"),
    [("uni_v1", 1024, "encoder 'uni'; .*'fake-image'"), ("fake-image", 5, "of 5 dimensions; .* have 12")],
)
def test_features_of_another_encoder_or_length_end_the_run(base, tmp_path, monkeypatch, encoder, dim, said):
    monkeypatch.setattr("encoders.towers._dim_of", lambda image: 12)
    file = write_trident(tmp_path / "A1.h5", encoder=encoder, features=np.ones((len(CENTRES), dim)))
    with pytest.raises(SpaceMismatchError, match=said):
        build_index(tmp_path / "db", [TiledSlide(base, TileFile(file, "trident"))], SPACE)


def test_spots_that_lie_on_no_tile_have_no_image_and_few_joined_is_an_error(table_slide, tmp_path):
    file = TileFile(write_trident(tmp_path / "A1.h5"), "trident")
    near = [[125, 118], [200, 205], [300, 300], [10, 10]]
    slide = replace(table_slide, counts=write_spots(tmp_path / "near.h5ad", near))
    report = build_index(tmp_path / "db", [TiledSlide(slide, file)], SPACE)
    assert report.notes[0].startswith("A1: 3 of 4 spots joined")
    assert set(vectors_of(tmp_path / "db", "spot")) == {"A1/spot/s0", "A1/spot/s1", "A1/spot/s2"}
    assert len(vectors_of(tmp_path / "db", "spot", "expression")) == 4
    far = replace(table_slide, counts=write_spots(tmp_path / "far.h5ad", np.array(near) + 1000))
    (failed,) = build_index(tmp_path / "db2", [TiledSlide(far, file)], SPACE).failed
    assert failed.error == "JoinError"
    assert "0 of 4 spots" in failed.reason


def test_pairs_for_the_trainer_are_spots_with_the_features_of_their_tile(table_slide, tmp_path):
    file = write_trident(tmp_path / "A1.h5")
    counts = write_spots(tmp_path / "spots.h5ad", [[125, 118], [10, 10], [160, 120]])
    section = read_feature_pairs(TiledSlide(replace(table_slide, counts=counts), TileFile(file, "trident")))
    np.testing.assert_allclose(section.features, features_at(CENTRES[:2]), rtol=1e-6)
    assert (section.slide, section.patient, section.encoder) == ("A1", "P7", "fake-image")
    assert section.counts.shape == (2, len(GENES))


def test_clam_features_need_their_encoder_named_and_find_their_patches(table_slide, tmp_path):
    corners = (CENTRES - SIDE // 2).astype(np.int64)
    write_h5(tmp_path / "run" / "h5_files" / "A1.h5", {"coords": corners, "features": features_at(CENTRES)})
    size = {"coords": {"patch_size": 20, "downsample": (2.0, 2.0)}}
    write_h5(tmp_path / "run" / "patches" / "A1.h5", {"coords": corners}, size)
    table = {"A1": table_slide}
    (unnamed,) = open_tiled_slides(tmp_path / "run", table=table)
    assert unnamed.tiles.format == "clam"
    with pytest.raises(SpaceMismatchError, match=r"does not say which encoder.*--features-encoder"):
        build_index(tmp_path / "db", [unnamed], SPACE)
    (named,) = open_tiled_slides(tmp_path / "run", table=table, encoder="fake-image")
    assert build_index(tmp_path / "db", [named], SPACE).added == ("A1",)
    assert len(vectors_of(tmp_path / "db", "tile")) == len(CENTRES)
    (small,) = open_tiled_slides(tmp_path / "run", table=table, encoder="fake-image", side_px=30)
    (failed,) = build_index(tmp_path / "db", [small], SPACE).failed  # what was said of the file counts as a change
    assert "30 um" in failed.reason


@pytest.fixture
def hest(tmp_path):
    """Writes a HEST sample T1, any part of it changed."""

    def write(*, coords=None, n_px=120, spots=True, patient="H3", barcodes=None):
        image = FakeImage(1)
        centres = CENTRES[:6]
        # 120 px at 0.5 um/px cover 60 um, 60 level-0 pixels at 1 um/px
        pixels = np.stack([image.read(float(x), float(y), 60, n_px) for x, y in centres])
        names = np.array([[name.encode()] for name in barcodes or [f"b{i}" for i in range(6)]])
        corners = centres - 30 if coords is None else coords(centres)
        root = tmp_path / "hest"
        write_h5(root / "patches" / "T1.h5", {"img": pixels, "coords": corners, "barcode": names})
        if spots:
            write_spots(
                root / "st" / "T1.h5ad", np.vstack([centres, [[600, 400]]]), [*(f"b{i}" for i in range(6)), "z"]
            )
        (root / "metadata").mkdir(exist_ok=True)
        known = {"patient": patient, "organ": "Breast", "pixel_size_um_estimated": 1.0, "st_technology": "Visium"}
        (root / "metadata" / "T1.json").write_text(json.dumps(known))
        return root

    return write


@pytest.mark.parametrize(
    "coords",
    [None, lambda centres: centres, lambda centres: centres[:, ::-1]],
    ids=["corners", "centres", "y before x"],
)
def test_patches_of_hest_are_encoded_and_paired_by_barcode(hest, tmp_path, coords):
    (slide,) = open_tiled_slides(hest(coords=coords))
    assert (slide.facts.patient, slide.facts.organ, slide.facts.mpp) == ("H3", "breast", 1.0)
    report = build_index(tmp_path / "db", [slide], SPACE)
    assert "T1: 6 of 7 spots joined to a patch by barcode" in report.notes
    index = Index.open(tmp_path / "db")
    assert index.card.counts == {"slide": 1, "spot": 7}
    images = vectors_of(tmp_path / "db", "spot")
    assert set(images) == {f"T1/spot/b{i}" for i in range(6)}
    with h5py.File(slide.tiles.path) as file:
        features = SPACE.image.features(middle_of(file["img"][()], 60.0, SPACE.image.patch))
    expected = SPACE.image.project(features, centre=features.mean(axis=0))
    assert min(float(images[f"T1/spot/b{i}"] @ expected[i]) for i in range(6)) > 0.999
    (row,) = index.slides().to_pylist()
    assert row["section_stats"] is not None


def test_the_middle_of_a_patch_is_cut_at_the_scale_of_the_encoder():
    ramp = np.broadcast_to(np.arange(120, dtype=np.uint8)[None, None, :, None], (1, 120, 120, 3))
    cut = middle_of(ramp, 60.0, SPACE.image.patch)  # 40 of 60 um: pixels 20 to 100, in 16 steps of 5
    assert cut.shape == (1, 16, 16, 3)
    np.testing.assert_allclose(cut[0, 0, :, 0], 22 + 5 * np.arange(16), atol=1)


def test_hest_without_spots_gives_tiles_and_a_nameless_patient_stands_alone(hest, tmp_path, caplog):
    (slide,) = open_tiled_slides(hest(spots=False, patient=None))
    assert slide.facts.patient == "T1"
    assert "names no patient" in caplog.text
    build_index(tmp_path / "db", [slide], SPACE)
    assert Index.open(tmp_path / "db").card.counts == {"slide": 1, "tile": 6}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"n_px": 60}, "cover 30 um"),
        ({"coords": lambda c: c + 200}, "px from the spots of the same barcode"),
        ({"barcodes": [f"x{i}" for i in range(6)]}, "0 of 6 barcodes"),
        ({"barcodes": ["b0"] * 6}, "barcode twice"),
    ],
)
def test_hest_parts_that_do_not_fit_are_refused(hest, tmp_path, changed, said):
    (failed,) = build_index(tmp_path / "db", open_tiled_slides(hest(**changed)), SPACE).failed
    assert said in failed.reason


def test_layouts_are_told_from_the_files(hest, tmp_path):
    assert layout_of(write_trident(tmp_path / "A1.h5")) == "trident"
    assert layout_of(hest() / "patches" / "T1.h5") == "hest"
    assert layout_of(write_h5(tmp_path / "c.h5", {"coords": CENTRES, "features": CENTRES})) == "clam"
    (tmp_path / "A1.pt").touch()
    with pytest.raises(FeaturesError, match="two files of slide 'A1'"):
        tile_files(tmp_path)
    with pytest.raises(FeaturesError, match="no file or folder"):
        tile_files(tmp_path / "none")
    with pytest.raises(FeaturesError, match="expected one of trident, clam, hest"):
        tile_files(tmp_path, layout="other")
    with pytest.raises(FeaturesError, match="holds no file"):
        tile_files(tmp_path / "hest" / "metadata")


def test_a_slide_that_nothing_describes_is_named(tmp_path, table_slide, caplog):
    write_trident(tmp_path / "f" / "B9.h5")
    with pytest.raises(ManifestError, match=r"1 of 1 slides with tile files: B9.*--slides"):
        open_tiled_slides(tmp_path / "f", table={"A1": table_slide})
    base = replace(table_slide, given_facts=replace(table_slide.given_facts, slide="B9"))
    (slide,) = open_tiled_slides(tmp_path / "f", table={"A1": table_slide}, of_manifest=lambda name: base)
    assert slide.facts.slide == "B9"
    assert "1 slides of the table have no tile file" in caplog.text


def test_trident_says_the_mpp_where_nobody_else_does(table_slide, tmp_path):
    bare = replace(table_slide, given_facts=replace(table_slide.given_facts, mpp=None, mpp_source=None))
    slide = TiledSlide(bare, TileFile(write_trident(tmp_path / "A1.h5", side=80), "trident"))
    assert (slide.facts.mpp, slide.facts.mpp_source) == (0.5, "file")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("slide,mpp\nA1,1\n", "no column 'patient_id'"),
        ("slide,patient_id\nA1,\n", "line 2: 'patient_id' is empty"),
        ("slide,patient_id,mpp\nA1,P,much\n", "mpp is 'much'"),
        ("slide,patient_id\nA1,P\nA1,P\n", "'A1' is there twice"),
        ("slide,patient_id\n", "no line below"),
    ],
)
def test_a_table_of_slides_that_does_not_say_enough_is_refused(tmp_path, text, said):
    (tmp_path / "slides.csv").write_text(text)
    with pytest.raises(ManifestError, match=said):
        read_slide_table(tmp_path / "slides.csv")


def test_a_table_names_files_beside_it_and_tells_what_it_does_not_read(tmp_path, caplog):
    table = write_table(tmp_path / "slides.csv", image="A1.png", counts="st/A1.h5ad", tumour_grade="2")
    slide = read_slide_table(table)["A1"]
    assert isinstance(slide, TableSlide)
    assert slide.files == (tmp_path / "A1.png", tmp_path / "st" / "A1.h5ad")
    assert "columns not read: tumour_grade" in caplog.text


def test_a_table_alone_brings_pictures_and_counts_of_ones_own(tmp_path):
    Image.fromarray(FakeImage(1).thumbnail(10_000)).save(tmp_path / "A1.png")
    write_spots(tmp_path / "A1.h5ad", CENTRES[:5])
    slides = read_slide_table(write_table(tmp_path / "slides.csv", image="A1.png", counts="A1.h5ad"))
    report = build_index(tmp_path / "db", slides.values(), SPACE, tile_stride_um=60)
    assert (report.added, report.failed) == (("A1",), ())
    index = Index.open(tmp_path / "db")
    assert index.card.counts["spot"] == 5
    assert len(vectors_of(tmp_path / "db", "spot")) == len(vectors_of(tmp_path / "db", "spot", "expression")) == 5


class Fewer(Her2stSlide):
    """A section with every fifth of its spots."""

    def read_expression(self):
        whole = super().read_expression()
        rows = np.arange(0, len(whole.names), 5)
        names = [whole.names[row] for row in rows]
        return replace(whole, names=names, counts=whole.counts[rows], xy_px=whole.xy_px[rows], labels=None)


@pytest.mark.real
@pytest.mark.usefixtures("mirror")
def test_features_of_the_default_backbone_stand_in_for_a_real_picture(tmp_path):
    """Vectors of C6 by its feature file are those by its picture; corners of tiles are whole pixels."""
    space = open_space("mini")
    source = Fewer(**vars(open_slide("C6", manifest=load_manifest())))
    build_index(tmp_path / "pixels", [source], space, tile_stride_um=900, thumbnails=False)
    tiles = Index.open(tmp_path / "pixels").metadata().to_pandas().query("kind == 'tile'")
    side_px = space.image.patch.side_um / source.facts.mpp
    spots = source.read_expression().xy_px
    centres = np.vstack([tiles[["x_px", "y_px"]].to_numpy(), spots])
    image = source.open_image()
    pixels = np.concatenate(list(read_patches(image, centres, side_px=side_px, out_px=space.image.patch.side_px)))
    image.close()
    some = np.unique(np.linspace(0, len(pixels) - 1, 256).astype(np.int64))
    features = space.image.features(pixels, stain=space.image.stain_of(pixels[some]))
    size = {"patch_size": 448, "target_magnification": 10 / space.image.patch.mpp, "patch_size_level0": side_px}
    attributes = {"coords": size, "features": {"encoder": "mini-image", "name": "C6"}}
    arrays = {"coords": np.rint(centres - side_px / 2).astype(np.int64), "features": features}
    write_h5(tmp_path / "features_mini" / "C6.h5", arrays, attributes)
    (slide,) = open_tiled_slides(tmp_path / "features_mini", of_manifest=lambda name: replace(source, image_path=None))
    report = build_index(tmp_path / "features", [slide], space, thumbnails=False)
    assert report.notes[0].startswith(f"C6: {len(spots)} of {len(spots)} spots joined to a tile (median distance 0 of")
    for kind in ("spot", "slide"):
        by_pixels, by_features = (vectors_of(tmp_path / name, kind) for name in ("pixels", "features"))
        assert by_pixels.keys() == by_features.keys()
        assert min(float(by_pixels[name] @ by_features[name]) for name in by_pixels) >= 0.999
