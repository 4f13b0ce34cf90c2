"""The doctor sees what is wrong with a machine, and says what to do."""

import importlib.metadata
import shutil
from collections import namedtuple

import pytest

from indexer.doctor import machine, packages
from indexer.doctor.findings import Finding, is_sound
from indexer.doctor.machine import look_at_disks, look_at_machine
from indexer.doctor.packages import look_at_packages
from indexer.doctor.surroundings import look_at_index, look_at_settings, look_at_spaces
from tests.indexer.tiny_index import add

GIB = 2**30
Usage = namedtuple("Usage", "total used free")


def named(findings, what):
    return next(finding for finding in findings if finding.what == what)


def test_a_machine_that_runs_these_tests_is_sound():
    found = [*look_at_machine(), *look_at_packages(), *look_at_spaces(), *look_at_settings()]
    assert is_sound(found), [finding for finding in found if finding.state == "broken"]
    assert all(finding.next_step for finding in found if finding.state != "ok")
    assert named(found, "mini").found.startswith("ready")
    assert "built for" in named(found, "FAISS").found


@pytest.mark.parametrize(("memory", "state"), [(1 * GIB, "broken"), (4 * GIB, "note"), (64 * GIB, "ok")])
def test_memory(memory, state, monkeypatch):
    monkeypatch.setattr(machine, "memory_bytes", lambda: memory)
    assert named(look_at_machine(), "memory").state == state


@pytest.mark.parametrize(("free", "state"), [(GIB // 2, "broken"), (5 * GIB, "note"), (500 * GIB, "ok")])
def test_room_is_looked_at_where_a_folder_would_be_made(free, state, monkeypatch, tmp_path):
    monkeypatch.setattr(shutil, "disk_usage", lambda place: Usage(0, 0, free))
    (found,) = look_at_disks({"index": tmp_path / "not" / "there"})
    assert (found.state, bool(found.next_step)) == (state, state != "ok")


def with_packages(monkeypatch, versions, needs):
    def version(name):
        if versions.get(name) is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr(packages, "version", version)
    monkeypatch.setattr(packages, "requires", lambda name: needs.get(name, []))


def test_packages_that_are_missing_old_or_do_not_fit(monkeypatch):
    versions = {
        "histoseek": "0.1.0", "numpy": "1.26.4", "faiss-cpu": "1.12.0", "faiss-gpu": "1.12.0", "torch": "2.5.1+cu121",
        "torchvision": "0.19.0", "openvino": "2026.4.1",
    }  # fmt: skip
    needs = {
        "histoseek": ["numpy>=2.0,<3", "lancedb>=0.30,<0.50", 'faiss-cpu>=1.12,<2; extra == "cpu"'],
        "torchvision": ["numpy", "torch==2.4.0"],
    }
    with_packages(monkeypatch, versions, needs)
    found = look_at_packages()
    assert named(found, "lancedb") == Finding(
        "packages", "lancedb", "not installed", "broken", "pip install 'lancedb<0.50,>=0.30'"
    )
    assert named(found, "numpy").state == "note"
    assert "1.26.4" in named(found, "numpy").found
    assert named(found, "FAISS").state == "broken"
    assert "both own the module" in named(found, "FAISS").next_step
    pair = named(found, "torch and torchvision")
    assert (pair.state, "torch==2.4.0" in pair.found) == ("note", True)
    assert not is_sound(found)


def test_settings_that_point_nowhere(monkeypatch, tmp_path):
    monkeypatch.setenv("HISTOSEEK_MIRROR", str(tmp_path / "gone"))
    monkeypatch.setenv("https_proxy", "http://user:secret@proxy.example:8080")
    found = look_at_settings()
    assert named(found, "mirror").state == "broken"
    assert named(found, "proxies").found == "https through proxy.example:8080"
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "gone.pem"))
    assert named(look_at_settings(), "certificates").state == "broken"


def test_an_index_that_is_sound_damaged_or_not_there(tmp_path):
    add(tmp_path / "idx", "A", "B")
    found = look_at_index(str(tmp_path / "idx"))
    assert is_sound(found)
    assert "12 tiles" in found[0].found
    (tmp_path / "idx" / "card.json").write_text("{}")
    assert not is_sound(look_at_index(str(tmp_path / "idx")))
    (missing,) = look_at_index(str(tmp_path / "nothing"))
    assert "There is no index" in missing.found
