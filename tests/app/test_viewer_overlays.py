"""Colours of items, the numbers kept for browsers, and the library that draws tiles."""

import io
import tarfile

import numpy as np
import pytest

from app.maps import GROUP_COLOURS, PointColours
from app.viewer import assets
from app.viewer.arrays import Arrays
from app.viewer.overlays import Classes, colours_of
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
