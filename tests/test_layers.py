"""The layers of the project: where packages lie, and what importing them may load.

That imports go one way only, without cycles, is the contract of import-linter in pyproject.toml; `make check` runs it.
"""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[1]
PACKAGES = ("encoders", "indexer", "search", "app")
HEAVY = ("torch", "streamlit", "openslide", "faiss", "lancedb", "matplotlib", "anndata", "timm", "PIL")


def loaded_after(code: str) -> list[str]:
    """Heavy modules that a fresh interpreter holds after running `code`."""
    script = f"{code}\nimport json, sys\nprint(json.dumps([m for m in {HEAVY!r} if m in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", script], cwd=REPO, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_lie_in_this_repository(package):
    module = importlib.import_module(package)
    assert Path(module.__file__).resolve() == REPO / package / "__init__.py"


def test_no_module_of_the_app_is_named_as_a_package():
    names = {path.stem if path.is_file() else path.name for path in (REPO / "app").rglob("*")}
    assert not names & set(PACKAGES)


@pytest.mark.parametrize("package", PACKAGES)
def test_no_junk_drawers(package):
    names = {path.stem for path in (REPO / package).rglob("*.py")}
    assert not names & {"utils", "util", "common", "helpers", "misc"}


@pytest.mark.parametrize("package", ["encoders", "indexer", "search"])
def test_importing_a_package_is_light(package):
    assert not {"torch", "streamlit", "openslide", "faiss", "lancedb"} & set(loaded_after(f"import {package}"))


@pytest.mark.parametrize("package", PACKAGES)
def test_what_a_package_offers_is_there(package):
    module = importlib.import_module(package)
    for name in getattr(module, "__all__", ()):
        assert hasattr(module, name), name


def test_encoding_genes_needs_no_torch():
    code = (
        "from encoders.registry import open_space\n"
        "from encoders.gene_lists import WeightedGenes\n"
        "open_space('mini').expression.encode_list(WeightedGenes.parse('ERBB2:2 KRT19 -VIM'))"
    )
    assert not {"torch", "timm", "streamlit"} & set(loaded_after(code))


def test_asking_with_genes_and_spots_needs_no_torch(tmp_path):
    planted = REPO / "tests" / "search" / "planted.py"
    code = f"""
import sys
sys.path.insert(0, {str(planted.parent)!r})
import planted
from indexer.building.build import build_index
from indexer.genes.panel import panel_of
from search import Engine, GenesQuery, ItemQuery
slides = [slide for slide in planted.planted_slides() if not slide.has_image]
build_index({str(tmp_path / "index")!r}, slides, planted.planted_space(), panel=panel_of(planted.GENES))
engine = Engine.open({str(tmp_path / "index")!r}, space=planted.planted_space())
engine.search(GenesQuery("TUM1"))
engine.search(ItemQuery("C1/spot/s0"))
engine.predict_expression(ItemQuery("C1/spot/s0"))
"""
    assert not {"torch", "timm", "streamlit", "openslide"} & set(loaded_after(code))
