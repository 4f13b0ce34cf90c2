"""Colours of items, the numbers kept for browsers, and the library that draws tiles."""

import io
import json
import tarfile

import numpy as np
import pandas as pd
import pytest

from app.maps import GROUP_COLOURS, Classes, PointColours, SlideView
from app.viewer import assets
from app.viewer.arrays import Arrays
from app.viewer.component import Link, Scene, _data, _region
from app.viewer.overlays import colours_of
from indexer.errors import FetchError
from indexer.settings import Settings


def test_frequent_classes_have_colours_of_their_own():
    names = [f"type {i}" for i in range(12) for _ in range(12 - i)]
    codes, shown, colours = Classes((*names, None), "cell type").coded()
    assert shown == [*(f"type {i}" for i in range(7)), "other"]
    assert len(set(colours)) == len(colours) == 8
    assert colours[:7] == list(GROUP_COLOURS[:7])
    assert np.isnan(codes[-1])
    assert codes[0] == 0
    assert codes[-2] == 7


def test_few_classes_need_no_other():
    codes, shown, colours = Classes(("b", "a", "b", None), "annotation").coded()
    assert (shown, colours) == (["b", "a"], list(GROUP_COLOURS[:2]))
    np.testing.assert_array_equal(codes, [0, 1, 0, np.nan])


@pytest.mark.parametrize(
    ("values", "low", "high"),
    [
        (np.arange(101.0), 2, 98),
        (np.array([0.0] * 99 + [5.0]), 0, 5),  # counted in one spot
        (np.array([np.nan]), 0, 1),
    ],
)
def test_limits_leave_outliers_out_but_show_what_is_rare(values, low, high):
    assert PointColours(values, "x").limits == pytest.approx((low, high))


def test_colours_carry_digests_and_no_numbers():
    arrays = Arrays()
    sent = colours_of(PointColours(np.arange(5.0), "similarity", "Cividis"), arrays)
    assert np.frombuffer(arrays.get(sent["values"]), "<f4").tolist() == [0, 1, 2, 3, 4]
    assert (sent["map"], set(sent["maps"])) == ("Cividis", {"Viridis", "Cividis"})
    assert sent["maps"]["Viridis"][0] == "#440154"
    assert colours_of(Classes(("a", None), "label"), arrays)["names"] == ["a"]


def test_arrays_are_kept_once_and_within_bounds():
    arrays = Arrays(most_bytes=40)
    first, second = arrays.put(np.arange(5.0)), arrays.put(np.arange(5.0) + 1)
    assert arrays.put(np.arange(5.0)) == first
    arrays.put(np.zeros(5))
    assert arrays.get(second) is None  # put least recently
    assert arrays.get(first) is not None
    assert arrays.get(arrays.put_text("é")) == "é".encode()


def test_a_scene_names_its_item_its_outlines_and_its_link():
    points = pd.DataFrame(
        {"id": ["S/tile/a", "S/tile/b"], "kind": "tile", "x_px": [10.0, 90.0], "y_px": [20.0, 40.0]}
    ).assign(side_px=[np.nan, np.nan], spot_um=np.nan)
    outline = np.array([[0, 0], [5, 0], [5, 5]])
    link = Link("pair", ((0, -1, 7), (1, 0, 3)))
    sent = _data(Scene(SlideView("S", 100, 50), points, None, "S/tile/b", outlines=[outline], link=link))
    assert (sent["target"]["x"], sent["target"]["y"], sent["target"]["side_px"]) == (90, 40, None)
    assert (sent["items"]["shape"], sent["items"]["size_px"], sent["mpp"]) == ("square", None, None)
    assert sent["outlines"] == [[[0, 0], [5, 0], [5, 5]]]
    assert sent["link"] == {"group": "pair", "matrix": [[0, -1, 7], [1, 0, 3]]}
    assert _data(Scene(SlideView("S", 100, 50), points, None, "elsewhere"))["target"] is None
    json.dumps(sent)


@pytest.mark.parametrize(
    "sent", [None, 3, {"slide": "T", "geometry": {}}, {"slide": "S"}, {"slide": "S", "geometry": 1}]
)
def test_a_region_counts_only_on_the_slide_it_was_drawn_on(sent):
    assert _region(sent, "S") is None


def test_the_library_is_unpacked_beside_its_licence(tmp_path, monkeypatch):
    source = tmp_path / "o.tgz"
    with tarfile.open(source, "w:gz") as archive:
        for name, content in {"LICENSE.txt": b"BSD", "build/openseadragon/openseadragon.min.js": b"//"}.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    monkeypatch.setattr(assets, "_download", lambda archive: archive.write_bytes(source.read_bytes()))
    settings = Settings(cache_dir=tmp_path / "cache")
    assert assets.library(settings) is None
    script = assets.obtain(settings)
    assert script.read_bytes() == b"//"
    assert (script.parent / "LICENSE.txt").read_bytes() == b"BSD"
    assert assets.library(settings) == script
    monkeypatch.setattr(assets, "_download", lambda archive: pytest.fail("downloaded again"))
    assert assets.obtain(settings) == script


def test_a_library_that_cannot_be_had_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(assets, "URL", "http://127.0.0.1:9/openseadragon.tgz")
    with pytest.raises(FetchError, match=r"OpenSeadragon 6\.1\.1 \(BSD-3-Clause.*127\.0\.0\.1:9.*where there is a"):
        assets.obtain(Settings(cache_dir=tmp_path))
    assert assets.library(Settings(cache_dir=tmp_path)) is None
