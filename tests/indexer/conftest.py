"""A server of public collections, for the tests that fetch."""

import pytest

from indexer.datasets import web
from tests.indexer.collection_server import TOKEN, serving


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    from tests.indexer.collection_world import full_world  # loads anndata, which most tests do without

    with serving(full_world(tmp_path_factory.mktemp("world"))) as world:
        yield world


@pytest.fixture
def world(served, monkeypatch, tmp_path):
    served.asked.clear()
    served.faults.clear()
    served.gated = True
    for name in ("HUB_URL", "GDC_URL", "GTEX_URL", "GTEX_FILES_URL", "GTEX_SLIDES_URL"):
        monkeypatch.setenv(f"HISTOSEEK_{name}", served.url + "/")
    monkeypatch.setenv("HISTOSEEK_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    served.pauses = []
    monkeypatch.setattr(web, "pause", lambda seconds, _=None: served.pauses.append(seconds))
    monkeypatch.setattr("indexer.datasets.transfer.pause", lambda seconds, _=None: served.pauses.append(seconds))
    return served
