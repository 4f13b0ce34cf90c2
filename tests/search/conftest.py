import importlib.util
import sys
from pathlib import Path

import pytest

# Tests are not packages, so the planted world is loaded by its path.
_SPEC = importlib.util.spec_from_file_location("planted", Path(__file__).with_name("planted.py"))
_PLANTED = importlib.util.module_from_spec(_SPEC)
sys.modules["planted"] = _PLANTED
_SPEC.loader.exec_module(_PLANTED)


@pytest.fixture(scope="session")
def planted():
    """The module `planted.py`: what is in the planted index, and why."""
    return _PLANTED


@pytest.fixture(scope="session")
def index_path(tmp_path_factory, planted):
    from indexer.building.build import build_index
    from indexer.genes.panel import panel_of

    path = tmp_path_factory.mktemp("planted") / "index"
    report = build_index(path, planted.planted_slides(), planted.planted_space(), panel=panel_of(planted.GENES))
    assert not report.failed
    return path


@pytest.fixture(scope="session")
def engine(index_path, planted):
    from search.engine import Engine

    return Engine.open(index_path, space=planted.planted_space())
