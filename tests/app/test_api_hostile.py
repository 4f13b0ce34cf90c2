"""What no honest caller sends: no mistake of the server, and nothing written."""

from pathlib import Path

import hypothesis
import pytest
import schemathesis

from app.api.application import create_api
from app.api.settings import ApiSettings, Limits
from benchmarks.app_fuzz import CHECKS
from benchmarks.app_uploads import honest_upload, hostile_uploads
from search.engine import Engine
from tests.app.api_client import BASE, client_of

_N_UPLOADS = 32  # each kind twice
_N_EXAMPLES = 2  # of each address


@pytest.fixture(scope="module")
def engine(small_db):
    return Engine.open(small_db)


def _files(folder: Path) -> dict[Path, float]:
    return {path: path.stat().st_mtime for path in folder.rglob("*")}


@pytest.mark.filterwarnings("ignore::UserWarning:PIL", "ignore::PIL.Image.DecompressionBombWarning")
def test_hostile_uploads_are_refused_and_nothing_is_written(small_db, engine, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    api = client_of(small_db, lambda: engine)
    fine = honest_upload()
    sent = {"image": (fine.file_name, fine.content, fine.media_type)}
    assert api.post("/v1/search/patch", files=sent, data=fine.fields).status_code == 200
    before = _files(small_db.parent)
    for upload in hostile_uploads(_N_UPLOADS):
        sent = {"image": (upload.file_name, upload.content, upload.media_type)}
        found = api.post("/v1/search/patch", files=sent, data=upload.fields)
        assert found.status_code < 500, (upload.name, found.text)
        if found.status_code != 200:
            assert found.headers["content-type"] == "application/problem+json"
            assert found.json()["detail"]
    assert not list(tmp_path.iterdir())
    assert _files(small_db.parent) == before


def test_what_the_schema_allows_and_what_it_does_not(small_db, engine):
    """A short run; `python -m benchmarks.app --fuzz` is the long one."""
    api = create_api(ApiSettings(str(small_db), limits=Limits(rate=0)), lambda: engine)
    schema = schemathesis.openapi.from_asgi("/openapi.json", api, headers={"Host": "127.0.0.1"})
    settings = hypothesis.settings(
        max_examples=_N_EXAMPLES, derandomize=True, deadline=None, database=None, phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )  # fmt: skip
    asked = 0
    for result in schema.get_all_operations():
        operation = result.ok()

        @settings
        @hypothesis.given(case=operation.as_strategy())
        def ask(case: schemathesis.Case) -> None:
            nonlocal asked
            asked += 1
            case.call_and_validate(base_url=BASE, checks=CHECKS)

        ask()
    assert asked >= 2 * 20
