"""Public collections over bad lines, from servers that err, onto full disks: what is kept, refused and said."""

import shutil
from collections import namedtuple

import pytest

from indexer.datasets.catalogue import plan_collection
from indexer.datasets.collection import Selection, checked_path
from indexer.datasets.receiving import receive_plan
from indexer.datasets.record import RECORD, verify_folder
from indexer.errors import FetchError
from indexer.settings import Settings
from tests.indexer.collection_runs import get
from tests.indexer.collection_server import World


def test_a_cut_connection_goes_on_where_it_ended(world: World, tmp_path):
    world.faults["/cdn/"] = [("cut", 5_000)]
    _, report = get("hest", tmp_path / "h", ids=("TENX95",), part=("st",))
    assert report.fetched == ("st/TENX95.h5ad",)
    assert [one.headers.get("Range") for one in world.of("/cdn/")] == [None, "bytes=5000-"]


def test_a_part_of_an_earlier_run_goes_on(world: World, tmp_path):
    content = world.hub["MahmoodLab/hest"]["st/TENX95.h5ad"]
    (tmp_path / "h" / "st").mkdir(parents=True)
    (tmp_path / "h" / "st" / "TENX95.h5ad.part").write_bytes(content[:777])
    get("hest", tmp_path / "h", ids=("TENX95",), part=("st",))
    assert [one.headers.get("Range") for one in world.of("/cdn/")] == ["bytes=777-"]
    assert (tmp_path / "h" / "st" / "TENX95.h5ad").read_bytes() == content


def test_other_bytes_are_kept_out_and_the_others_come(world: World, tmp_path):
    size = len(world.gdc_data["c1"])
    world.faults["/data/c1"] = [("body", b"!" * size)]
    _, report = get("tcga", tmp_path / "t", project=("TCGA-BRCA",))
    ((path, reason),) = report.failed.items()
    assert path.startswith("counts/c1")
    assert "MD5" in reason
    assert "thrown away" in reason
    assert len(report.fetched) == 2
    assert not (tmp_path / "t" / path).exists()
    assert [one.state for one in verify_folder(tmp_path / "t", Settings())].count("missing") == 1
    _, again = get("tcga", tmp_path / "t", project=("TCGA-BRCA",))
    assert again.fetched == (path,)
    assert len(again.kept) == 2


def test_a_busy_server_is_waited_for_as_it_asks(world: World, tmp_path):
    world.faults = {
        "/tree/": [("status", (429, {"Retry-After": "7"}))],
        "/cdn/": [("status", (503, {})), ("status", (429, {"Retry-After": "3"}))],
    }
    _, report = get("hest", tmp_path / "h", ids=("TENX95",), part=("st",))
    assert report.failed == {}
    assert world.pauses == [7.0, 1.0, 3.0]


def test_a_server_that_stays_busy_is_left(world: World, tmp_path):
    world.faults["/data/c1"] = [("status", (503, {}))] * 9
    _, report = get("tcga", tmp_path / "t", ids=("c1",))
    assert "answered 503" in next(iter(report.failed.values()))
    assert world.pauses == [1.0, 2.0, 4.0, 8.0]


def test_terms_withdrawn_on_the_way_stop_the_run_once(world: World, tmp_path):
    plan = plan_collection("hest", Selection(everything=True))
    world.faults["/resolve/"] = [("status", (403, {"X-Error-Code": "GatedRepo"}))] * 99
    with pytest.raises(FetchError, match=r"403.*not on the list"):
        receive_plan(plan, tmp_path / "h", Settings(), workers=1)
    assert len(world.of("/resolve/")) == 2  # the table, and one file


def test_an_unknown_revision_is_told(world: World):
    world.faults["/revision/nope"] = [("status", (404, {"X-Error-Code": "RevisionNotFound"}))]
    with pytest.raises(FetchError, match="no such revision; leave it out for the newest"):
        plan_collection("hest", Selection(ids=("TENX95",), revision="nope"))


def test_a_small_disk_is_said_before_anything_comes(world: World, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1, 1, 1_000))
    with pytest.raises(FetchError, match=r"GB are to come, and .* has 0\.0 GB free"):
        get("hest", tmp_path / "h", ids=("TENX95",))
    assert not world.of("/cdn/")
    assert not (tmp_path / "h" / RECORD).exists()


def test_a_disk_that_fills_up_keeps_what_came(world: World, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("indexer.datasets.transfer.Transfer._write", full)
        with pytest.raises(FetchError, match=r"no space left on the device.*what was downloaded is kept"):
            get("hest", tmp_path / "h", ids=("TENX95",))
    assert len(get("hest", tmp_path / "h", ids=("TENX95",))[1].fetched) == 3


@pytest.mark.parametrize(
    "name", ["../x.tsv", "/etc/x.tsv", "a/../../x.tsv", "a\\x.tsv", "C:x.tsv", "a\nb.tsv", "sub/x.tsv"]
)
def test_names_that_lead_elsewhere_are_refused(world: World, monkeypatch, name):
    strange = {**world.gdc[0], "file_name": name}
    monkeypatch.setattr(world, "gdc", [strange])
    with pytest.raises(FetchError, match="expected a plain path inside the folder"):
        plan_collection("tcga", Selection(project=("TCGA-BRCA",)))


@pytest.mark.parametrize("path", ["st/../../x.h5ad", "/st/x", "", "st//x", "./x", "st/x/"])
def test_only_plain_paths_pass(path):
    with pytest.raises(FetchError, match="Nothing was fetched"):
        checked_path(path)


def test_a_link_out_of_the_folder_is_not_followed(world: World, tmp_path):
    (tmp_path / "h").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "h" / "st").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FetchError, match="over a link"):
        get("hest", tmp_path / "h", ids=("TENX95",), part=("st",))
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_list_of_files_that_goes_on_elsewhere_is_asked_for_here(world: World, monkeypatch):
    monkeypatch.setattr(world, "url", world.cdn)  # so the link to the next page is of another host
    assert len(plan_collection("hest", Selection(ids=("TENX95", "ZEN40"))).files) == 6
    assert int(world.cdn.rpartition(":")[2]) not in {one.port for one in world.asked}
