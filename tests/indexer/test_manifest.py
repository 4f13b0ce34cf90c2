"""The manifest in the repository, and what a wrong one is told."""

import copy
import shutil
import tomllib
from pathlib import Path

import pytest
import yaml

from indexer.datasets import manifest
from indexer.datasets.manifest import load_manifest
from indexer.errors import ManifestError

GOOD = {
    "version": 1,
    "datasets": {
        "tiny": {
            "title": "Tiny",
            "format": "her2st",
            "organ": "breast",
            "technology": "ST",
            "species": "human",
            "licence": "CC0-1.0",
            "citation": "none",
            "base_url": "https://example.org/rev/",
            "mpp": 0.5,
            "slides": {
                "S1": {"patient": "P1", "files": {"counts": "tiny/a.tsv", "spots": "tiny/b.tsv"}},
                "S2": {"patient": "P2", "diagnosis": "benign", "mpp": 0.25, "files": {"counts": "tiny/a.tsv"}},
            },
            "files": [
                {"path": "tiny/a.tsv", "url": "up/a.tsv", "bytes": 3, "sha256": "0" * 64},
                {"path": "tiny/b.tsv", "bytes": 3, "sha256": "1" * 64, "note": "made by hand"},
            ],
        }
    },
}


def load(tmp_path: Path, content: object):
    path = tmp_path / "m.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False))
    return load_manifest(path)


def broken(*keys: object, value: object):
    content: dict = copy.deepcopy(GOOD)
    place: dict = content["datasets"]["tiny"]
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    return content


def test_a_good_manifest_is_read(tmp_path):
    tiny = load(tmp_path, GOOD).dataset("tiny")
    assert tiny.file("tiny/a.tsv").url == "https://example.org/rev/up/a.tsv"
    assert tiny.file("tiny/b.tsv").url is None
    assert tiny.paths() == ("tiny/a.tsv", "tiny/b.tsv")
    assert tiny.paths(slides=["S2"]) == ("tiny/a.tsv",)
    assert tiny.paths(roles=["spots"]) == ("tiny/b.tsv",)


def test_a_slide_overrides_its_data_set(tmp_path):
    tiny = load(tmp_path, GOOD).dataset("tiny")
    first, second = tiny.facts("S1"), tiny.facts("S2")
    assert (first.diagnosis, first.mpp, first.cohort, first.mpp_source) == ("unknown", 0.5, "tiny", "manifest")
    assert (second.diagnosis, second.mpp, second.patient) == ("benign", 0.25, "P2")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (broken("licens", value="x"), ["data set 'tiny'", "key 'licens'", "unknown key"]),
        (broken("slides", "S1", "organn", value="x"), ["data set 'tiny', slide 'S1'", "'organn'", "unknown key"]),
        (broken("files", 0, "sha256", value="abc"), ["'files.0.sha256'", "'abc'", "pattern"]),
        (broken("files", 0, "sha256", value="g" * 64), ["'files.0.sha256'", "pattern"]),
        (broken("files", 1, "path", value="tiny/a.tsv"), ["'tiny/a.tsv' is listed twice"]),
        (broken("files", 1, "path", value="../b"), ["'files.1.path'", "'../b'", "without '..'"]),
        (broken("files", 1, "bytes", value=0), ["'files.1.bytes'", "greater than 0"]),
        (broken("slides", "S1", "files", "counts", value="tiny/zz"), ["slide 'S1'", "'counts'", "'tiny/zz'"]),
        (broken("slides", "S1", "files", "pixels", value="tiny/a.tsv"), ["slide 'S1'", "files.pixels", "'image'"]),
        (broken("format", value="imaging"), ["key 'format'", "'imaging'", "'her2st'"]),
        (broken("mpp", value=-1), ["key 'mpp'", "-1", "greater than 0"]),
        (broken("base_url", value=None), ["'up/a.tsv'", "base_url"]),
        (broken("shared", value={"signatures": ["tiny/no"]}), ["shared", "'signatures'", "'tiny/no'"]),
        ({"version": 2, "datasets": {}}, ["key 'version'", "2"]),
        ([1, 2], ["top level"]),
        ("version: 1\nversion: 1\n", ["'version' is written twice"]),
        ("a: [", ["not YAML"]),
    ],
)
def test_a_wrong_manifest_is_told_where_and_what(tmp_path, content, says):
    with pytest.raises(ManifestError) as error:
        load(tmp_path, content)
    for part in says:
        assert part in str(error.value)


def test_two_data_sets_cannot_share_a_slide_name(tmp_path):
    content = copy.deepcopy(GOOD)
    content["datasets"]["other"] = copy.deepcopy(content["datasets"]["tiny"])
    with pytest.raises(ManifestError, match=r"data set 'other', slide 'S1'.*'tiny'"):
        load(tmp_path, content)


def test_unknown_names_list_the_known_ones(tmp_path):
    manifest = load(tmp_path, GOOD)
    with pytest.raises(ManifestError, match=r"'nope'.*tiny"):
        manifest.dataset("nope")
    with pytest.raises(ManifestError, match=r"'S9'.*S1, S2"):
        manifest.dataset("tiny").paths(slides=["S9"])
    with pytest.raises(ManifestError, match="lists no file 'x'"):
        manifest.dataset("tiny").file("x")


def test_a_missing_manifest_is_an_error(tmp_path):
    with pytest.raises(ManifestError, match="Cannot read the manifest"):
        load_manifest(tmp_path / "none.yaml")


def test_the_repository_lists_her2st_completely():
    her2st = load_manifest().dataset("her2st")
    assert len(her2st.slides) == 36
    assert {entry.patient for entry in her2st.slides.values()} == set("ABCDEFGH")
    with_image = [name for name, entry in her2st.slides.items() if "image" in entry.files]
    assert with_image == ["B4", "C2", "C3", "C4", "C5", "C6"]
    with_labels = [name for name, entry in her2st.slides.items() if "labels" in entry.files]
    assert with_labels == ["B1", "C1", "D1", "E1", "F1", "G2", "H1"]
    assert all({"counts", "spots", "clusters"} <= set(entry.files) for entry in her2st.slides.values())
    revision = "https://raw.githubusercontent.com/almaan/her2st/85df7411b987a7dec3feff9718b869a7a82091ec/"
    assert all(file.url is not None and file.url.startswith(revision) for file in her2st.files)
    assert "10.1038/s41467-021-26271-2" in her2st.citation


def test_every_data_set_says_where_it_comes_from():
    for dataset in load_manifest().datasets.values():
        assert dataset.licence
        assert dataset.citation
        for file in dataset.files:
            assert file.url or (file.note and dataset.upstream), file.path


@pytest.mark.real
def test_every_file_of_the_mirror_is_the_listed_one(mirror):
    from indexer.datasets.download import verify

    for dataset in load_manifest().datasets.values():
        states = verify(dataset)
        assert [state.reason for state in states if state.state != "verified"] == []
        assert all(state.where is not None and state.where.is_relative_to(mirror) for state in states)


def test_an_installation_has_the_manifest_beside_its_module(monkeypatch, tmp_path):
    """The wheel's build copies what this link leads to; a folder without the checkout's top finds the copy."""
    package = tmp_path / "indexer" / "datasets"
    package.mkdir(parents=True)
    source = Path(manifest.__file__).with_name("data_manifest.yaml")
    with (Path(__file__).parents[2] / "pyproject.toml").open("rb") as stream:
        data = tomllib.load(stream)["tool"]["setuptools"]["package-data"]
    assert source.name in data["indexer.datasets"]
    shutil.copy(source, package)
    monkeypatch.setattr(manifest, "__file__", str(package / "manifest.py"))
    assert manifest.default_manifest() == package / "data_manifest.yaml"
    assert "her2st" in load_manifest().datasets
