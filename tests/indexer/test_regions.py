"""Regions drawn in QuPath decide where tiles lie and what they are called; regions of another slide are refused."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.building.build import build_index
from indexer.errors import RegionError
from indexer.formats import find_slides
from indexer.generated.sections import GeneratedImage
from indexer.index import Index
from indexer.tissue.annotated import annotate
from indexer.tissue.regions import check_regions, read_regions, region_names, region_shares
from indexer.tissue.tiles import lay_tiles
from tests.indexer.store_doubles import fake_space, write_source
from tests.indexer.test_tissue_tiles import painted

SIZE = (400, 300)


def ring(x0, y0, x1, y1):
    return [[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]]


def feature(geometry, name=None, **properties):
    """As QuPath 0.4 and later writes it."""
    told = {"objectType": "annotation"} | (
        {} if name is None else {"classification": {"name": name, "color": [1, 2, 3]}}
    )
    return {"type": "Feature", "id": "8a9b", "geometry": geometry, "properties": told | properties}


def box(x0, y0, x1, y1, *holes, name=None, **properties):
    return feature({"type": "Polygon", "coordinates": [ring(x0, y0, x1, y1), *holes]}, name, **properties)


def write(path, *features):
    path.write_text(json.dumps({"type": "FeatureCollection", "features": list(features)}))
    return path


def laid(path, *, side=10.0, **options):
    return lay_tiles(GeneratedImage(painted()), 1.0, side, side, slide="S", regions=read_regions(path, **options))


def test_tiles_lie_in_the_regions_to_keep_and_carry_their_class(tmp_path):
    two = {"type": "MultiPolygon", "coordinates": [[ring(0, 0, 20, 20)], [ring(300, 200, 320, 220)]]}
    path = write(tmp_path / "S.geojson", box(100, 100, 200, 200, name="Tumor"), feature(two, "Stroma"))
    found = laid(path)
    tumour = found.xy_px[[label == "Tumor" for label in found.labels]]
    stroma = found.xy_px[[label == "Stroma" for label in found.labels]]
    assert (len(tumour), len(stroma), len(found.xy_px)) == (100, 8, 108)  # glass is kept too where it was drawn
    assert tumour.min(axis=0).tolist() == [105, 105]
    assert tumour.max(axis=0).tolist() == [195, 195]


def test_holes_and_dropped_classes_hold_no_tile(tmp_path):
    hole = ring(120, 120, 160, 160)
    path = write(
        tmp_path / "S.geojson", box(100, 100, 200, 200, hole, name="Tumor"), box(180, 100, 200, 200, name="Ignore*")
    )
    assert len(laid(path).xy_px) == 100 - 16 - 20
    path = write(tmp_path / "S.geojson", box(100, 100, 200, 200), box(150, 100, 200, 200, name="Necrosis"))
    assert set(laid(path).labels) == {None, "Necrosis"}
    only = laid(path, drop=["necrosis"])
    assert len(only.xy_px) == 50
    assert only.labels == (None,) * 50


def test_regions_to_drop_alone_leave_the_tissue_that_is_found(tmp_path):
    whole = lay_tiles(GeneratedImage(painted()), 1.0, 10, 10, slide="S").xy_px
    path = write(tmp_path / "S.geojson", box(0, 0, 200, 300, name="drop"))
    assert laid(path).xy_px.tolist() == whole[whole[:, 0] > 200].tolist()


def test_of_nested_regions_the_inner_one_names_a_tile():
    regions = read_of(box(0, 0, 400, 300, name="Tissue"), box(100, 100, 200, 200, name="Tumor"))
    names = region_names(regions.keep, np.array([[150.0, 150], [50, 50]]), 20, SIZE)
    assert names == ("Tumor", "Tissue")


def read_of(*features):
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        return read_regions(write(Path(folder) / "S.geojson", *features))


def test_other_spellings_of_a_class_and_what_is_no_region(tmp_path):
    told = json.dumps({"name": "Tumor"})  # LazySlide writes it as text
    content = [
        box(0, 0, 50, 50) | {"properties": {"classification": told}},
        box(0, 0, 50, 50) | {"properties": {"classification": "Stroma"}},
        box(0, 0, 50, 50) | {"properties": {}},
        box(0, 0, 5, 5, name="Cell", objectType="detection"),
        feature({"type": "Point", "coordinates": [3, 4]}, "Seed"),
    ]
    (tmp_path / "S.geojson").write_text(json.dumps(content))  # a list of features, as older QuPath wrote
    assert [region.name for region in read_regions(tmp_path / "S.geojson").keep] == ["Tumor", "Stroma", None]


@settings(deadline=None, max_examples=50)
@given(
    x=st.integers(0, 300), y=st.integers(0, 200), width=st.integers(1, 100), height=st.integers(1, 100),
    side=st.sampled_from([16, 32, 48]),
)  # fmt: skip
def test_shares_are_those_of_the_plane(x, y, width, height, side):
    """A rectangle covers of a tile what arithmetic says, to a pixel of the raster along each edge."""
    centres = np.array([[40.0, 40], [200, 150], [351, 251]])
    (region,) = read_of(box(x, y, x + width, y + height)).keep
    overlap = np.clip(
        np.minimum(centres + side / 2, (x + width, y + height)) - np.maximum(centres - side / 2, (x, y)), 0, None
    )
    shares = region_shares([region], centres, side, SIZE)
    assert np.abs(shares - overlap.prod(axis=1) / side**2).max() <= 0.3


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("no json", "expected GeoJSON"),
        ('{"a": 1}', "holds no GeoJSON features"),
        ('{"type": "FeatureCollection", "features": []}', "has no polygon"),
        ('{"type": "FeatureCollection", "features": [7]}', "feature 1 has no geometry"),
        (json.dumps([feature({"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]})]), "fewer than 3 points"),
        (json.dumps([feature({"type": "Polygon", "coordinates": [[[0, "x"]] * 3]})]), "cannot be read"),
        (json.dumps([feature({"type": "Polygon", "coordinates": None})]), "cannot be read"),
        (json.dumps([feature({"type": "Polygon", "coordinates": [[[0, float("nan")]] * 4]})]), "no finite numbers"),
    ],
)
def test_damaged_regions_say_their_own_reason(tmp_path, content, reason):
    (tmp_path / "S.geojson").write_text(content)
    with pytest.raises(RegionError, match=reason):
        read_regions(tmp_path / "S.geojson")


def test_regions_of_another_slide_are_refused():
    check_regions(read_of(box(-5, -5, 404, 304)), SIZE, slide="S")  # drawn a little over the edge
    with pytest.raises(RegionError, match=r"reaches from x 0, y 0 to x 800, y 600; expected within 400 x 300"):
        check_regions(read_of(box(0, 0, 800, 600, name="Tumor")), SIZE, slide="S")


def test_files_belong_to_the_slide_of_their_name(tmp_path):
    slides = [write_source(tmp_path / "src", name) for name in ("A", "B")]
    write(tmp_path / "A.svs.geojson", box(0, 0, 9, 9))
    first, second = annotate(slides, tmp_path)
    assert first.files == (*slides[0].files, tmp_path / "A.svs.geojson")
    assert second is slides[1]
    assert annotate(slides[1:], tmp_path / "A.svs.geojson")[0].facts.slide == "B"  # one slide, one file
    with pytest.raises(RegionError, match=r"has regions of 'A', but the slides are 'B'"):
        annotate(slides[1:], tmp_path)
    with pytest.raises(RegionError, match="no file or folder"):
        annotate(slides, tmp_path / "none")


def test_an_index_holds_the_class_of_each_tile_and_a_changed_file_is_read_again(tmp_path):
    slides = [write_source(tmp_path / "src", "A", spots=None)]
    path = write(tmp_path / "A.geojson", box(200, 150, 320, 270, name="Tumor"), box(320, 150, 440, 270))

    def run():
        return build_index(tmp_path / "idx", annotate(slides, path), fake_space(), tile_stride_um=40)

    assert run().added == ("A",)
    tiles = Index.open(tmp_path / "idx").metadata().to_pandas().query("kind == 'tile'")
    assert sorted(tiles.x_px[tiles.label == "Tumor"].unique().tolist()) == [220, 260, 300]
    assert tiles.label.isna().sum() == (tiles.x_px > 320).sum() == 9
    assert run().skipped == ("A",)
    write(path, box(200, 150, 320, 270, name="Stroma"))
    assert run().replaced == ("A",)
    write(path, box(2000, 150, 3200, 270, name="Stroma"))
    assert "expected within 640 x 480" in run().failed[0].reason


def test_slides_of_a_folder_take_regions(tmp_path):
    from PIL import Image

    Image.fromarray(painted()).save(tmp_path / "S.png")
    write(tmp_path / "S.geojson", box(0, 0, 50, 50))
    (slide,) = annotate(find_slides(tmp_path, "slides"), tmp_path)
    assert len(slide.read_regions().keep) == 1
    assert slide.read_expression() is None
    assert slide.read_genes() == ()
