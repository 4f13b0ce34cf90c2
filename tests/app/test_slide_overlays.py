"""What the map and the views beside it show of a whole slide is what `search` returns."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

import app.screens
from app.cell_types import generated_reference
from app.screens import overlay, slide_map
from app.viewer.routes import ARRAYS
from search.annotation.classes import classes_of_lines, marker_set
from search.engine import Engine
from search.errors import AnnotationError
from search.query import ItemQuery

MAIN = Path(app.screens.__file__).with_name("main.py")
SLIDE = "GEN1-1"


@pytest.fixture(scope="module")
def engine(small_db):
    return Engine.open(small_db)


@pytest.fixture(scope="module")
def page(small_db):
    """The Tissue page, its slide in the viewer; each test sets what it needs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slide_map, "library", lambda: Path("openseadragon.min.js"))
        patch.setattr(sys, "argv", ["main.py", "--db", str(small_db)])
        opened = AppTest.from_file(str(MAIN), default_timeout=60)
        opened.query_params["slide"] = SLIDE
        opened.query_params["colour_by"] = "predicted"
        opened.query_params["overlay_gene"] = "ERBB2"
        opened.query_params["view"] = "Predicted genes"
        opened.run()
        yield opened


def on_map(page: AppTest) -> tuple[dict, list[str], np.ndarray]:
    """Colours sent to the viewer, ids of its items and the number of each."""
    assert not page.exception
    assert [error.value for error in page.error] == []
    told = [json.loads(component.proto.json or "{}") for component in page.get("bidi_component")]
    (sent,) = [one for one in told if isinstance(one, dict) and "items" in one]
    names = ARRAYS.get(sent["items"]["names"]).decode().split("\n")
    return sent["colours"], names, np.frombuffer(ARRAYS.get(sent["colours"]["values"]), "<f4")


def said(page: AppTest) -> str:
    return "\n".join(caption.value for caption in page.caption)


def test_a_link_restores_a_predicted_gene_on_the_map(page, engine):
    colours, names, values = on_map(page)
    found = engine.predict_slide(SLIDE, genes=["ERBB2"])
    expected = dict(zip(found.table.column("id").to_pylist(), found.predicted[:, 0], strict=True))
    assert values == pytest.approx([expected[name] for name in names], rel=1e-5)
    assert colours["name"] == "ERBB2, predicted log(1 + CP10k)"
    assert f"On this slide, against what was measured: r = {found.r_here[0]:.2f}" in said(page)


def test_the_view_of_genes_says_how_far_each_can_be_trusted(page, engine):
    query = ItemQuery(page.selectbox(key="item").value, "image")
    expected = engine.predict_expression(query, n_genes=24, coverage=0.9)
    shown = page.dataframe[0].value
    assert shown["gene"].tolist() == expected.table.column("gene").to_pylist()
    assert shown["r"].tolist() == pytest.approx(expected.to_pandas()["r"].astype(float).tolist(), nan_ok=True)
    unsure = len(shown) - sum(expected.predictable())
    assert (f"{unsure} greyed out (?)" in said(page)) == (unsure > 0)


def test_a_gene_over_the_slide_and_its_measured_map(page, engine):
    page.toggle(key="gene_over_slide").set_value(True).run()
    gene = page.selectbox(key="slide_gene").options[1]
    page.selectbox(key="slide_gene").select(gene).run()
    page.button(key="map-gene").click().run()
    colours, *_ = on_map(page)
    assert colours["name"] == f"{gene}, log(1 + CP10k)"
    assert len(page.get("plotly_chart")) == 2  # the bars and the scatter
    assert page.query_params["slide_gene"] in (gene, [gene])


def test_cell_types_over_the_slide(page, engine):
    page.button_group(key="view").set_value("Cell types").run()
    page.toggle(key="types_over_slide").set_value(True).run()
    found = engine.decompose_slide(SLIDE, generated_reference())
    assert page.dataframe[-1].value["mean"].tolist() == pytest.approx([row["mean"] for row in found.overall()])
    kind = found.overall()[0]["type"]
    page.selectbox(key="slide_type").select(kind).run()
    page.button(key="map-types").click().run()
    colours, names, values = on_map(page)
    assert colours["name"] == f"share of {kind}"
    assert values == pytest.approx(found.proportions[kind].reindex(names).to_numpy(), rel=1e-5)
    page.selectbox(key="overlay_type").select("most common type").run()
    colours, names, values = on_map(page)
    dominant = found.to_pandas().set_index("id")["dominant"].reindex(names)
    assert [colours["names"][int(value)] for value in values] == dominant.tolist()


def test_classes_that_cannot_be_told_are_a_sentence_and_the_slide_stays(page, engine):
    page.radio(key="colour_by").set_value("classes").run()
    with pytest.raises(AnnotationError) as error:
        engine.annotate(SLIDE, marker_set(page.selectbox(key="overlay_set").value))
    assert [shown.value for shown in page.error] == [str(error.value)]
    assert page.get("bidi_component")


def test_classes_on_the_map(page, engine, monkeypatch):
    lines = "Tumour: EPCAM KRT8 KRT19\nStroma: COL1A1 VIM"
    found = engine.annotate(SLIDE, classes_of_lines(lines))
    monkeypatch.setattr(overlay, "slide_classes", lambda slide, markers: found)
    page.run()
    colours, names, values = on_map(page)
    expected = found.to_pandas().set_index("id")["class"].reindex(names)
    assert [colours["names"][int(value)] for value in values] == expected.tolist()


def test_the_patients_behind_each_bar(page, engine):
    page.button_group(key="view").set_value("Nearest cohorts").run()
    query = ItemQuery(page.selectbox(key="item").value, "image")
    expected = engine.cohorts(query, by="patient").to_pandas()
    assert page.dataframe[-1].value["patients"].tolist() == expected["patients"].tolist()
    assert expected["patients"][0] == f"{expected['group'][0]} ({expected['n_hits'][0]})"
