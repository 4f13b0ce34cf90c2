"""What the viewer's routes answer, to the viewer and to others."""

import numpy as np
import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from app.viewer.routes import ARRAYS, BASE, viewer_routes
from app.viewer.tiles import IndexedSlide, Tiles


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slides")
    Image.new("RGB", (700, 500), (200, 150, 180)).save(folder / "S 1.png")
    slides = {
        "S/1": IndexedSlide("S/1", folder / "S 1.png", (700, 500), b"jpeg"),
        "moved": IndexedSlide("moved", folder / "gone.svs", (700, 500), None),
    }
    tiles = Tiles(slides.get, folder / "pyramids")
    with TestClient(Starlette(routes=viewer_routes(tiles))) as one:
        yield one
    tiles.close()


def get(client, what, **asked):
    return client.get(f"{BASE}/{what}", params=asked)


def test_a_tile_is_a_picture_that_the_browser_may_keep(client):
    facts = get(client, "slide", slide="S/1").json()
    assert (facts["state"], facts["width"], facts["height"], facts["top"]) == ("ready", 700, 500, 1)
    answer = get(client, "tile", slide="S/1", stamp=facts["stamp"], level=1, x=1, y=0)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/jpeg")
    assert "immutable" in answer.headers["cache-control"]
    again = client.get(answer.request.url, headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    ("x", "level"), [("2", "1"), ("-1", "1"), ("0", "9"), ("1e3", "1"), ("٣", "1"), ("9" * 30, "1"), ("", "")]
)
def test_a_tile_that_is_none_is_not_found(client, x, level):
    stamp = get(client, "slide", slide="S/1").json()["stamp"]
    assert get(client, "tile", slide="S/1", stamp=stamp, level=level, x=x, y="0").status_code == 404


@pytest.mark.parametrize("name", ["", "S 1.png", "../S 1.png", "/etc/passwd", "S/1\0", "moved/../S/1", "%2e%2e"])
def test_only_slides_of_the_index_have_tiles(client, name):
    assert get(client, "slide", slide=name).status_code == 404
    assert get(client, "picture", slide=name).status_code == 404
    assert get(client, "tile", slide=name, stamp="1", level=0, x=0, y=0).status_code == 404


@pytest.mark.parametrize("name", ["../routes.py", "/etc/passwd", "viewer.py", "", "../../../README.md"])
def test_only_the_viewers_scripts_are_given(client, name):
    assert get(client, "script", name=name).status_code == 404


def test_scripts_pictures_and_numbers(client):
    script = get(client, "script", name="viewer.js")
    assert "javascript" in script.headers["content-type"]
    assert "export async function mount" in script.text
    assert get(client, "picture", slide="S/1").content == b"jpeg"
    assert get(client, "picture", slide="moved").status_code == 404
    digest = ARRAYS.put([1.5, np.nan])
    values = np.frombuffer(get(client, "numbers", id=digest).content, dtype="<f4")
    assert values[0] == 1.5
    assert np.isnan(values[1])
    assert get(client, "numbers", id="0" * 64).status_code == 404


def test_a_file_that_moved_is_a_sentence(client):
    facts = get(client, "slide", slide="moved").json()
    assert facts["state"] == "picture"
    assert "gone.svs is not where it was read" in facts["sentence"]


def test_the_address_is_not_to_be_guessed(client):
    assert len(BASE) > 24
    assert client.get("/viewer/slide", params={"slide": "S/1"}).status_code == 404
    assert client.post(f"{BASE}/slide").status_code == 405
