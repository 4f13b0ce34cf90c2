"""What is in an index twice is found: turned, mirrored, cropped, saved anew; neighbouring sections are not."""

import io
import warnings
from functools import cache

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image, ImageDraw

from encoders.contracts import unit_rows
from indexer.index import Index
from indexer.safety.fingerprints import distances, fingerprint
from indexer.safety.leaks import find_leaks, patient_key
from indexer.safety.registration import register
from indexer.schema import SLIDES_SCHEMA
from indexer.store.location import locate
from indexer.store.locks import writer_lock
from indexer.store.writer import IndexWriter
from tests.indexer.store_doubles import DIM
from tests.indexer.tiny_index import PANEL, tiny_settings, tiny_slide

GLASS = (236, 228, 238)
UM_PER_PX = 10.0


@cache
def tissue(seed, like=None, size=(420, 380)):
    """A made section: an outline, and glands within it; `like` gives the outline of another."""
    rng, outline = np.random.default_rng(seed), np.random.default_rng(seed if like is None else like)
    angles = np.linspace(0, 2 * np.pi, 90)
    waves = zip(outline.uniform(5, 25, 4), outline.uniform(0, 6.28, 4), range(1, 5), strict=True)
    edge = 130 + sum(height * np.cos(k * angles + phase) for height, phase, k in waves)
    middle = np.array(size) / 2
    mask, picture = Image.new("1", size), Image.new("RGB", size, (205, 140, 190))
    points = middle + edge[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    ImageDraw.Draw(mask).polygon([tuple(point) for point in points], fill=1)
    pen = ImageDraw.Draw(picture)
    for x, y, r in rng.uniform((0, 0, 2), (*size, 9), (400, 3)):
        pen.ellipse(
            (x - r, y - r, x + r, y + r), fill=((95, 60, 140), (240, 225, 240), (150, 90, 160))[rng.integers(3)]
        )
    whole = np.asarray(Image.composite(picture, Image.new("RGB", size, GLASS), mask), dtype=np.float64)
    return Image.fromarray(np.clip(whole + rng.normal(0, 6, whole.shape), 0, 255).astype(np.uint8))


def jpeg(picture, quality=85):
    buffer = io.BytesIO()
    picture.convert("RGB").save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def cropped(picture, left, right):
    width, height = picture.size
    return picture.crop((round(left * width), 0, round(right * width), round(height * (1 - left))))


#: Copies of a picture, each with its micrometres per pixel over those of the picture.
COPIES = {
    "turned by 90": lambda p: (jpeg(p.transpose(Image.Transpose.ROTATE_90)), 1),
    "mirrored": lambda p: (jpeg(p.transpose(Image.Transpose.FLIP_LEFT_RIGHT)), 1),
    "turned by 33": lambda p: (jpeg(p.rotate(33, Image.Resampling.BICUBIC, expand=True, fillcolor=GLASS)), 1),
    "half as large": lambda p: (jpeg(p.resize((p.width // 2, p.height // 2), Image.Resampling.BOX)), 2),
    "saved anew": lambda p: (jpeg(p, quality=25), 1),
    "cropped": lambda p: (jpeg(cropped(p, 0.15, 1.0)), 1),
    "all at once": lambda p: (
        jpeg(cropped(p, 0.1, 1.0).transpose(Image.Transpose.TRANSPOSE).rotate(-8, expand=True, fillcolor=GLASS), 40),
        1,
    ),
}


def slide_with(slide, content, *, um_per_px=UM_PER_PX, seed=0, **facts):
    """Rows of a slide with a thumbnail at `um_per_px` of a slide of 0.5 um per pixel."""
    items, row = tiny_slide(slide, 1, seed=seed)
    (row,) = row.to_pylist()
    row |= {"patient": slide, "mpp": 0.5, "thumbnail": content} | facts
    row["thumbnail_scale"] = None if content is None else 0.5 / um_per_px
    return items, pa.Table.from_pylist([row], schema=SLIDES_SCHEMA)


def with_slide_item(items, vector):
    """The same items, the only one standing for the slide, with a vector."""
    table = items[0]
    known = {"kind": pa.array(["slide"]), "image_vector": pa.array([vector.tolist()], pa.list_(pa.float32(), DIM))}
    for name, column in known.items():
        place = table.schema.get_field_index(name)
        table = table.set_column(place, table.schema.field(place), column)
    return [table]


def write(folder, *slides):
    location = locate(folder)
    with writer_lock(location):
        writer = IndexWriter.open(location, tiny_settings(), PANEL)
        for items, row in slides:
            writer.commit(items, row)
    return Index.open(folder)


@pytest.mark.parametrize("how", COPIES)
def test_a_copy_is_the_same_section(how):
    picture = tissue(1)
    content, scale = COPIES[how](picture)
    found = register((jpeg(picture), UM_PER_PX), (content, scale * UM_PER_PX))
    assert found.is_same, found
    own = fingerprint(jpeg(picture), UM_PER_PX)
    assert distances(own, fingerprint(content, scale * UM_PER_PX)[None])[0] < 0.16


def test_a_neighbour_of_the_same_outline_is_not():
    found = register((jpeg(tissue(1)), UM_PER_PX), (jpeg(tissue(2, 1)), UM_PER_PX))
    assert not found.is_same, found


def test_the_turn_is_told():
    picture = tissue(3)
    found = register((jpeg(picture), UM_PER_PX), (COPIES["turned by 90"](picture)[0], UM_PER_PX))
    assert found.turned_deg == pytest.approx(90, abs=1)
    assert not found.mirrored


def test_pictures_that_are_there_twice_are_found_and_remembered(tmp_path, monkeypatch):
    picture = tissue(1)
    copy, _ = COPIES["all at once"](picture)
    slides = [
        slide_with("A", jpeg(picture)),
        slide_with("B", copy, cohort="other"),
        slide_with("C", jpeg(tissue(2, 1))),
    ]
    index = write(tmp_path, *slides)
    (leak,) = find_leaks(index)
    assert (leak.kind, leak.slides, leak.crosses) == ("picture", ("A", "B"), True)
    assert leak.cohorts == ("x", "other")
    assert "index delete" in leak.sentence()

    monkeypatch.setattr("indexer.safety.leaks.register", None)  # the second time nothing is compared again
    monkeypatch.setattr("indexer.safety.leaks.fingerprint", None)
    assert find_leaks(index) == (leak,)
    assert find_leaks(index, new=["C"]) == ()


def test_a_copy_under_the_same_patient_does_not_cross(tmp_path):
    slides = [slide_with("A", jpeg(tissue(1)), patient="P"), slide_with("B", jpeg(tissue(1), 60), patient="p ")]
    (leak,) = find_leaks(write(tmp_path, *slides))
    assert not leak.crosses


def test_slide_vectors_that_disagree_speak_against_a_copy(tmp_path):
    vector = unit_rows(np.random.default_rng(0).normal(size=(1, DIM)).astype(np.float32))[0]
    slides = []
    for name, sign in (("A", 1), ("B", 1), ("C", -1)):
        items, row = slide_with(name, jpeg(tissue(1)), seed=ord(name))
        slides.append((with_slide_item(items, sign * vector), row))
    (leak,) = find_leaks(write(tmp_path, *slides))
    assert leak.slides == ("A", "B")
    assert "slide vectors 1.00" in leak.evidence


def test_a_damaged_memory_of_what_was_compared_is_made_again(tmp_path):
    index = write(tmp_path, slide_with("A", jpeg(tissue(1))), slide_with("B", jpeg(tissue(1), 60)))
    first = find_leaks(index)
    for file in (tmp_path / "leaks").iterdir():
        file.write_bytes(file.read_bytes()[:-9])
    assert find_leaks(index) == first


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("TCGA-A2-A04R", "tcga-a2-a04r-01Z-00-DX1", True),
        ("GTEX-1117F", "GTEX-1117F-0226-SM", True),
        ("Patient 7", "patient_7", True),
        ("TCGA-A2-A04R", "TCGA-A2-A04Y", False),
        ("7", "17", False),
    ],
)
def test_patients_are_told_by_their_names(one, other, same):
    assert (patient_key(one) == patient_key(other)) is same


def test_a_patient_in_two_cohorts_and_a_slide_by_two_names(tmp_path):
    found = find_leaks(
        write(
            tmp_path,
            slide_with("TCGA-A2-A04R-01Z-00-DX1.ab", None, patient="TCGA-A2-A04R", cohort="tcga"),
            slide_with("tcga_a2_a04r_01z_00_dx1", None, patient="tcga-a2-a04r-01Z", cohort="mine"),
            slide_with("Q", None, patient="1", cohort="tcga"),
            slide_with("R", None, patient="1", cohort="mine"),
        )
    )
    assert [leak.kind for leak in found] == ["name", "patient", "patient"]
    assert not any(leak.crosses for leak in found)
    assert ["chance" in leak.evidence for leak in found] == [False, False, True]


@pytest.mark.real
def test_neighbouring_sections_of_one_tumour_are_not_one(mirror):
    pictures = {}
    for name in ("C2", "C3"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            opened = Image.open(mirror / "her2st" / "images" / f"{name}.jpg")
        um_per_px = 0.917 * opened.width / 1_160  # JPEG is decoded at an eighth
        opened.draft("RGB", (1_160, 1_160))
        pictures[name] = opened.convert("RGB")
        opened.close()
    contents = {name: (jpeg(picture), um_per_px) for name, picture in pictures.items()}
    assert register(contents["C2"], contents["C3"]).correlation < 0.6
    copy = (COPIES["all at once"](pictures["C3"])[0], um_per_px)
    assert register(contents["C3"], copy).correlation > 0.85
