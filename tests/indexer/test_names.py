"""Who somebody is stays out of an index: labels of scanners, metadata of files, and names where they are hashed."""

import io
from dataclasses import replace

import numpy as np
import openslide
import pytest
from PIL import Image

from encoders.registry import open_space
from indexer.building.build import build_index
from indexer.building.run_options import RunOptions
from indexer.errors import DataError
from indexer.format import Circumstances
from indexer.formats import find_slides
from indexer.index import Index
from indexer.safety.leaks import find_leaks
from indexer.safety.names import NameHasher, identifying, read_salt
from tests.indexer.labelled_svs import LABEL_COLOUR, SECRETS, write_labelled_svs
from tests.indexer.store_doubles import fake_space, write_source

SALT = b"a secret of at least 32 bytes, so"
ONE_BY_ONE = RunOptions(commit_s=0)


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """A slide named after its accession number, and an index of it with hashed names."""
    folder = tmp_path_factory.mktemp("labelled")
    (folder / "scans").mkdir()
    write_labelled_svs(folder / "scans" / "S21-04417.svs", side_px=1_024)
    (folder / "scans" / "DOE_19480312.svs").write_bytes(b"no slide")
    sources = find_slides(folder / "scans", "slides", Circumstances(cohort="c"))
    report = build_index(
        folder / "idx", sources, fake_space(), tile_stride_um=60, names=NameHasher(SALT), run=ONE_BY_ONE
    )
    return folder, report


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_label_is_there_and_is_not_read(labelled):
    folder, report = labelled
    with openslide.OpenSlide(folder / "scans" / "S21-04417.svs") as slide:
        assert {"label", "macro"} <= set(slide.associated_images)
    assert len(report.added) == 1
    index = Index.open(folder / "idx")
    pictures = [*index.store.read("slides", ["thumbnail"])[0]["thumbnail"].to_pylist(), *index.thumbnails(range(1, 9))]
    for jpeg in pictures:
        with Image.open(io.BytesIO(jpeg)) as opened:
            distance = np.abs(np.asarray(opened.convert("RGB"), dtype=int) - LABEL_COLOUR).sum(axis=2)
        assert distance.min() > 60


def test_nothing_of_names_paths_and_metadata_is_in_the_index(labelled):
    folder, report = labelled
    for path, content in contents(folder / "idx").items():
        for secret in (*SECRETS, "DOE_19480312", "scans/", SALT.decode()):
            assert secret.encode() not in content, (path, secret)
    (failed,) = report.failed
    assert failed.slide.startswith("slide-")
    assert "file-" in failed.reason


def test_hashed_names_are_the_same_with_the_same_salt_alone():
    one, same, other = NameHasher(SALT), NameHasher(SALT), NameHasher(b"1" * 32)
    assert one.name("P7", kind="patient") == same.name("P7", kind="patient") != other.name("P7", kind="patient")
    assert one.name("P7", kind="patient")[8:] != one.name("P7", kind="slide")[6:]


def test_patients_stay_together_and_sentences_name_nobody(tmp_path):
    names = NameHasher(SALT)
    facts = write_source(tmp_path / "src", "A1").facts
    hashed = names.facts(facts)
    assert hashed.patient == names.facts(replace(facts, slide="A2")).patient != hashed.slide
    assert names.sentence("A1 of A, not A12") == f"{hashed.slide} of {hashed.patient}, not A12"


def test_bulk_samples_are_found_by_their_names_in_the_file(tmp_path):
    table = tmp_path / "bulk.csv"
    genes = open_space("mini").expression.genes[:4]
    table.write_text("gene,MRN1234567,MRN7654321\n" + "".join(f"{gene},{k},{9 - k}\n" for k, gene in enumerate(genes)))
    sources = find_slides(table, "genes-by-samples", Circumstances(cohort="c"))
    plain = build_index(tmp_path / "plain", sources, open_space("mini"), run=ONE_BY_ONE)
    assert "'MRN1234567', 'MRN7654321' look like a medical record number" in plain.warnings[0]
    sources = find_slides(table, "genes-by-samples", Circumstances(cohort="c"))
    report = build_index(tmp_path / "idx", sources, open_space("mini"), names=NameHasher(SALT), run=ONE_BY_ONE)
    assert len(report.added) == 2
    assert not report.warnings
    assert not any(b"MRN" in content for content in contents(tmp_path / "idx").values())
    rows = [Index.open(tmp_path / name).expression(range(4)).toarray() for name in ("plain", "idx")]
    np.testing.assert_array_equal(*rows)
    assert find_leaks(Index.open(tmp_path / "idx")) == ()


def test_a_source_that_keeps_no_names_is_refused(tmp_path):
    with pytest.raises(DataError, match="cannot be hashed"):
        NameHasher(SALT).source(write_source(tmp_path, "A1"))


def test_the_salt_is_made_once_and_stays_outside(tmp_path):
    path = tmp_path / "salt"
    made = read_salt(path, "idx")
    assert len(made) >= 32
    assert read_salt(path, "idx") == made
    assert path.stat().st_mode & 0o077 == 0
    with pytest.raises(DataError, match="lie in the index"):
        read_salt(tmp_path / "idx" / "salt", str(tmp_path / "idx"))
    path.write_text("secret")
    with pytest.raises(DataError, match="6 bytes; expected at least 32"):
        read_salt(path, "idx")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("MRN1234567_A", "medical record"),
        ("mrn 00123", "medical record"),
        ("DOE_19480312", "date"),
        ("jane-12.03.1948", "date"),
        ("2021-03-12_scan", "date"),
        ("S21-04417", "accession"),
        ("SP-19-12345 A1", "accession"),
        ("slide 123-45-6789", "social security"),
        ("00417234", "long number"),
    ],
)
def test_names_that_say_who_somebody_is(name, kind):
    (told,) = identifying([name])
    assert kind in told


@pytest.mark.parametrize(
    "name",
    ["B4", "C2", "TCGA-A2-A04R-01Z-00-DX1", "GTEX-1117F-0226-SM-5GZZ7", "CMU-1-Small-Region", "GSM4838133", "TENX95",
     "CID44971", "spot_12", "V1_Breast_Cancer_Block_A_Section_1", "visium_mouse", "GEN1-1", "slide-4a22413f0b1748f9"],
)  # fmt: skip
def test_names_of_public_collections_do_not(name):
    assert identifying([name]) == []
