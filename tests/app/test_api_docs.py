import json
import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from app.api.application import create_api
from app.api.settings import ApiSettings, Limits
from tests.app.api_client import BASE

PAGE = Path(__file__).parents[2] / "docs" / "api.md"
ROW = re.compile(r"^\| `POST (?P<path>/v1/[a-z/-]+)` \|.*\| `(?P<body>\{.*\})` \|$", re.MULTILINE)
REQUESTS = [(row["path"], json.loads(row["body"])) for row in ROW.finditer(PAGE.read_text(encoding="utf-8"))]


@pytest.fixture(scope="module")
def api(small_db):
    return TestClient(create_api(ApiSettings(str(small_db), limits=Limits(rate=0))), base_url=BASE)


@pytest.mark.parametrize(("path", "body"), REQUESTS, ids=[path for path, _ in REQUESTS])
def test_every_request_of_the_page_is_understood(api, path, body):
    found = api.post(path, json=body)
    assert found.status_code in (200, 404, 422), found.text
    assert "errors" not in found.json(), found.text  # the shape is right; the slide may not be in this index


def test_the_page_has_every_verb(api):
    posted = {path for path, methods in api.get("/openapi.json").json()["paths"].items() if "post" in methods}
    assert {path for path, _ in REQUESTS} == {path for path in posted if not path.endswith("/patch")}


def test_the_bounds_of_the_page_are_those_of_the_server():
    text = " ".join(PAGE.read_text(encoding="utf-8").split())
    limits = Limits()
    assert f"up to {limits.body_bytes // 2**20} MiB, JSON of up to {limits.json_bytes // 2**20} MiB" in text
    assert f"within {limits.body_seconds:g} s" in text
    assert f"and {limits.waiting} waiting" in text
    assert f"an answer within {limits.answer_seconds:g} s" in text
    assert f"each caller {limits.rate:g} requests a second" in text
