import io
import json
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from app.api import answers
from encoders.given_space import given_space
from indexer.building.given_vectors import GivenVectors, index_vectors
from indexer.slides import SlideFacts
from search.engine import Engine
from search.query import GenesQuery, ItemQuery, PatchQuery
from tests.app.api_client import client_of

GENES = {"type": "genes", "text": "ERBB2:2 KRT19 -VIM"}


@pytest.fixture(scope="module")
def engine(small_db):
    return Engine.open(small_db)


@pytest.fixture(scope="module")
def api(small_db, engine):
    return client_of(small_db, lambda: engine)


@pytest.fixture(scope="module")
def spot(api):
    return api.get("/v1/items", params={"where": "kind = 'spot'", "limit": 1}).json()["items"][0]["id"]


def test_a_search_says_what_the_engine_says(api, engine):
    answer = api.post("/v1/search", json={"query": GENES, "k": 5}).json()
    hits = engine.search(GenesQuery(GENES["text"]), target="image", k=5).to_list()
    assert len(hits) == 5
    for found, wanted in zip(answer["hits"], hits, strict=True):
        assert found == pytest.approx(wanted)
    assert answer["query"]["target"] == "image"
    answers.SearchAnswer.model_validate(answer)


def test_genes_by_other_names_ask_the_same(api):
    asked = ("HER2:2 KRT19 -VIM", "ENSG00000141736.14:2 KRT19 -VIM", GENES["text"])
    found = [api.post("/v1/search", json={"query": {"type": "genes", "text": text}, "k": 3}).json() for text in asked]
    assert found[0]["hits"] == found[1]["hits"] == found[2]["hits"]
    assert [answer["notes"][0].partition(" was read")[0] for answer in found[:2]] == ["HER2", "ENSG00000141736.14"]
    refused = api.post("/v1/search", json={"query": {"type": "genes", "text": "ERBBB2"}})
    assert refused.status_code == 422
    assert "spelled alike: ERBB2" in refused.json()["detail"]


def test_the_second_page_goes_on_where_the_first_ends(api, spot):
    ask = {"query": {"type": "item", "id": spot}, "exclude": "none", "k": 6}
    whole = api.post("/v1/search", json=ask).json()["hits"]
    second = api.post("/v1/search", json=ask | {"k": 3, "offset": 3}).json()["hits"]
    assert [hit["id"] for hit in second] == [hit["id"] for hit in whole[3:]]
    assert [hit["rank"] for hit in second] == [4, 5, 6]


def test_a_slide_is_compared_as_the_command_line_does(api, engine):
    name = api.get("/v1/slides").json()["slides"][0]["slide"]
    answer = api.post("/v1/search", json={"query": {"type": "slide", "slide": name}}).json()
    assert [hit["id"] for hit in answer["hits"]] == [hit["id"] for hit in engine.similar_slides(name).to_list()]


@pytest.mark.parametrize(
    ("verb", "options", "model"),
    [
        ("predict", {"n_genes": 3}, answers.PredictAnswer),
        ("cohorts", {"by": "patient"}, answers.CohortsAnswer),
        ("similarity-map", {}, answers.MapAnswer),
    ],
)
def test_an_analysis_has_the_published_shape(api, spot, verb, options, model):
    slide = {"slide": spot.split("/")[0]} if verb == "similarity-map" else {}
    found = api.post(f"/v1/{verb}", json={"query": {"type": "item", "id": spot}} | options | slide)
    assert found.status_code == 200, found.text
    assert model.model_validate(found.json()).rows


def test_expression_of_a_slide_is_a_row_a_place(api, engine, spot):
    slide = spot.split("/")[0]
    ask = {"slide": slide, "n_genes": 3, "predictability": False}
    found = answers.PredictSlideAnswer.model_validate(api.post("/v1/predict/slide", json=ask).json())
    wanted = engine.predict_slide(slide, n_genes=3, predictability=False)
    assert [row["id"] for row in found.rows] == wanted.table.column("id").to_pylist()
    values = [[row[f"predicted_{gene}"] for gene in wanted.genes] for row in found.rows]
    assert np.allclose(values, wanted.predicted)
    assert [one.gene for one in found.genes] == list(wanted.genes)
    table = api.post("/v1/predict/slide", json=ask, headers={"Accept": "text/csv"}).text
    assert table.startswith('"id","kind","x_px","y_px","n_effective","predicted_')


def test_mixing_needs_enough_slides_and_has_the_published_shape(api, tmp_path):
    refused = api.post("/v1/mixing", json={"site": "patient"})
    assert refused.status_code == 422
    assert "mixing needs at least 3" in refused.json()["detail"]
    random = np.random.default_rng(0)
    facts = SlideFacts("", "", "c", "breast", "d", "t", "human", "CC0-1.0", "generated", generated=True)
    slides = [
        GivenVectors(replace(facts, slide=f"S{i}", patient=f"P{i // 2}"), ["a", "b", "c"], random.normal(size=(3, 8)))
        for i in range(6)
    ]
    index_vectors(tmp_path, slides, given_space("given", 8).card)
    other = client_of(tmp_path, lambda: Engine.open(tmp_path))
    found = answers.MixingAnswer.model_validate(
        other.post("/v1/mixing", json={"site": "patient", "target": "image", "k": 2}).json()
    )
    assert (found.site, found.unit, found.rows[0].n_items) == ("patient", "slide", 18)


def test_cell_types_without_labelled_cells_are_refused_in_one_sentence(api, spot):
    found = api.post("/v1/decompose", json={"query": {"type": "item", "id": spot}})
    assert found.status_code == 422
    assert "no labelled cells" in found.json()["detail"]


def test_an_uploaded_patch_is_searched_as_pixels_are(api, engine, spot):
    picture = api.get(f"/v1/items/{spot}/thumbnail")
    assert picture.headers["content-type"] == "image/jpeg"
    fields = {"mpp": "2", "k": "3", "kind": ["tile", "spot"], "target": "image"}
    found = api.post("/v1/search/patch", files={"image": ("a.jpg", picture.content)}, data=fields).json()
    from PIL import Image

    pixels = np.asarray(Image.open(io.BytesIO(picture.content)).convert("RGB"))
    wanted = engine.search(PatchQuery(pixels, 2.0), target="image", kind=["tile", "spot"], k=3).to_list()
    assert [hit["id"] for hit in found["hits"]] == [hit["id"] for hit in wanted]


def test_a_region_and_examples_are_asked_with(api, spot):
    item = api.get(f"/v1/items/{spot}").json()
    square = [[200, 200], [800, 200], [800, 800], [200, 800]]
    region = {"type": "region", "slide": item["slide"], "polygons": [[square]]}
    examples = {"type": "examples", "start": GENES, "like": [{"type": "item", "id": spot}]}
    for query in (region, examples):
        found = api.post("/v1/search", json={"query": query, "k": 2})
        assert found.status_code == 200, found.text
        assert len(found.json()["hits"]) == 2


@pytest.mark.parametrize(
    ("accept", "read"),
    [
        ("application/vnd.apache.arrow.stream", lambda content: pa.ipc.open_stream(content).read_all()),
        ("application/vnd.apache.parquet", lambda content: pyarrow.parquet.read_table(io.BytesIO(content))),
        ("text/csv", lambda content: pyarrow.csv.read_csv(io.BytesIO(content))),
    ],
)
def test_hits_come_as_a_table(api, engine, accept, read):
    found = api.post("/v1/search", json={"query": GENES, "k": 4}, headers={"Accept": accept})
    assert found.headers["content-type"].startswith(accept)
    table = read(found.content)
    hits = engine.search(GenesQuery(GENES["text"]), target="image", k=4)
    assert table.column("id").to_pylist() == hits.table.column("id").to_pylist()
    if accept != "text/csv":
        said = json.loads(table.schema.metadata[b"histoseek"])
        assert said["query"]["text"] == GENES["text"]
        assert said["notes"] == list(hits.notes)


def test_what_no_one_offers_is_not_acceptable(api):
    assert api.post("/v1/search", json={"query": GENES}, headers={"Accept": "image/png"}).status_code == 406


@pytest.mark.parametrize(
    ("ask", "status", "said"),
    [
        ({"query": {"type": "item", "id": "nowhere/spot/1"}}, 404, "nowhere/spot/1"),
        ({"query": GENES, "k": 0}, 422, "#/k"),
        ({"query": GENES, "kk": 3}, 422, "#/kk"),
        ({"query": {"type": "genes", "text": "NOSUCHGENE"}}, 422, "NOSUCHGENE"),
        ({"query": GENES, "where": "colour = 'red'"}, 422, "colour"),
        ({"query": GENES, "where": "repeat(slide, 1000000000) = 'x'"}, 422, "'repeat' is not offered"),
        ({"query": GENES, "where": "(" * 40 + "x_px > 1" + ")" * 40}, 422, "nested"),
        ({"query": {"type": "vector", "vector": [1.0, 2.0]}}, 422, "dim"),
        ({"query": {"type": "sql"}}, 422, "#/query"),
    ],
)
def test_a_bad_question_is_one_sentence(api, ask, status, said):
    found = api.post("/v1/search", json=ask)
    assert found.status_code == status
    assert found.headers["content-type"] == "application/problem+json"
    problem = found.json()
    assert said in problem["detail"]
    assert problem["instance"] == found.headers["x-request-id"]


@pytest.mark.parametrize("body", [b"{", b"[" * 100_000, b'{"query": NaN}', b'{"k": 1e999}', b'"\\ud800"', b"\xff", b""])
def test_what_is_no_json_is_refused(api, body):
    found = api.post("/v1/search", content=body, headers={"Content-Type": "application/json"})
    assert found.status_code in (400, 422)


def test_what_is_in_the_index_is_told_without_paths(api, small_db):
    for path in ("/v1/index", "/v1/slides", "/v1/encoders", "/v1/items?limit=2", "/v1/genes?contains=krt", "/"):
        found = api.get(path)
        assert found.status_code == 200, path
        assert str(small_db.parent) not in found.text, path
        assert "image_path" not in found.text, path


def test_the_index_and_its_genes(api, engine):
    told = api.get("/v1/index").json()
    assert told["n_slides"] == engine.index.card.n_slides
    assert told["generated"]
    assert api.get("/v1/genes", params={"contains": "erbb2"}).json()["genes"][0]["symbol"] == "ERBB2"


def test_an_item_and_what_it_has_no_picture_of(api, engine, spot):
    assert api.get(f"/v1/items/{spot}").json() == pytest.approx(engine.catalogue.facts(engine.catalogue.row_of(spot)))
    assert api.get("/v1/items/nothing/thumbnail").status_code == 404
    assert api.get("/v1/slides/nothing").status_code == 404


def test_health_readiness_and_figures(api, engine):
    assert api.get("/healthz").json() == {"status": "ok"}
    assert api.get("/readyz").json()["items"] == len(engine.index)
    text = api.get("/metrics").text
    assert f"histoseek_items {float(len(engine.index))}" in text
    assert 'histoseek_requests_total{method="GET",route="/healthz",status="200"}' in text
    assert "nowhere" not in text


def test_an_index_that_cannot_be_opened_is_not_the_callers_fault(tmp_path):
    api = client_of(tmp_path / "nothing")
    assert api.get("/healthz").status_code == 200
    found = api.get("/readyz")
    assert found.status_code == 503
    assert str(tmp_path) not in found.text


def test_the_examples_of_the_schema_fit_it(api):
    schema = api.get("/openapi.json").json()
    body = schema["paths"]["/v1/search"]["post"]["requestBody"]["content"]["application/json"]
    from app.api.requests import SearchRequest

    for example in body["examples"].values():
        SearchRequest.model_validate(example["value"])


def test_the_query_of_an_item_is_taken_as_it_is(api, engine, spot):
    found = api.post("/v1/search", json={"query": {"type": "item", "id": spot, "using": "expression"}, "k": 3}).json()
    assert [hit["id"] for hit in found["hits"]] == [
        hit["id"] for hit in engine.search(ItemQuery(spot, "expression"), k=3).to_list()
    ]
