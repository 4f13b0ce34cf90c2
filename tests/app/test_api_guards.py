import json
import socket
import stat
import subprocess
import sys
import threading

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from app.api.handover import environment_of, mounted
from app.api.keys import KeyRing, new_key, read_keys
from app.api.pace import Pace
from app.api.settings import ApiSettings, Limits
from app.errors import ShowError
from app.exposure import check_exposure, login_of
from search.engine import Engine
from tests.app.api_client import BASE, client_of

ASK = {"query": {"type": "genes", "text": "ERBB2 KRT19"}, "k": 2}


@pytest.fixture(scope="module")
def engine(small_db):
    return Engine.open(small_db)


@pytest.fixture
def client(small_db, engine):
    return lambda **settings: client_of(small_db, lambda: engine, **settings)


def test_only_who_has_a_key_may_ask(client):
    key, line = new_key("ana")
    api = client(keys=read_keys(line))
    assert api.post("/v1/search", json=ASK).status_code == 401
    assert api.get("/metrics").status_code == 401
    assert api.get("/healthz").status_code == 200
    for headers in ({"Authorization": f"Bearer {key}"}, {"X-API-Key": key}):
        assert api.post("/v1/search", json=ASK, headers=headers).status_code == 200
    refused = api.post("/v1/search", json=ASK, headers={"Authorization": f"Bearer {key}x"})
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"] == "Bearer"
    assert "security" in api.get("/openapi.json").json()


def test_keys_are_kept_as_digests(tmp_path):
    key, line = new_key("ana")
    assert key not in line
    file = tmp_path / "keys"
    file.write_text(f"# callers\n{line}\nbob:{'b' * 32}\n")
    ring = read_keys(str(file))
    assert (ring.owner_of(key), ring.owner_of("b" * 32), ring.owner_of("c" * 32)) == ("ana", "bob", None)
    assert key not in repr(ring)
    assert "b" * 32 not in repr(ring)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ana:short", "5 letters"),
        ("ana:sha256:abc", "64 hexadecimal"),
        (f"a b:{'k' * 30}", "cannot name a caller"),
        (f"ana:{'k' * 30},ana:{'l' * 30}", "twice"),
        ("/nowhere/keys", "Cannot read the key file"),
        (f"ana:{'k' * 30},{'secret' * 5}", "entry 2 without NAME:KEY"),
    ],
)
def test_keys_that_cannot_be_used_are_one_sentence(text, said):
    with pytest.raises(ShowError, match=said) as told:
        read_keys(text)
    assert "secretsecret" not in str(told.value)


def test_no_keys_are_no_ring():
    assert read_keys(" ") == KeyRing()


def test_the_server_answers_to_its_own_names_only(client):
    api = client()
    for host, status in (
        ("127.0.0.1:8501", 200),
        ("localhost", 200),
        ("[::1]:1", 200),
        ("evil.example", 400),
        ("", 400),
    ):
        assert api.get("/healthz", headers={"Host": host}).status_code == status, host


def test_pages_of_other_sites_may_not_ask(client):
    api = client()
    assert api.get("/healthz", headers={"Origin": "https://evil.example"}).status_code == 403
    assert api.get("/healthz", headers={"Origin": "null"}).status_code == 403
    assert api.get("/healthz", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert api.get("/healthz", headers={"Origin": BASE}).status_code == 200
    assert "access-control-allow-origin" not in api.get("/healthz").headers


def test_a_page_that_is_allowed_may(client):
    api = client(allow_origins=("https://lab.example",))
    found = api.get("/healthz", headers={"Origin": "https://lab.example"})
    assert found.headers["access-control-allow-origin"] == "https://lab.example"
    assert api.get("/healthz", headers={"Origin": "https://evil.example"}).status_code == 403


def test_who_asks_too_often_waits(client):
    api = client(limits=Limits(rate=0.5, burst=2))
    found = [api.get("/healthz") for _ in range(3)]
    assert [one.status_code for one in found] == [200, 200, 429]
    assert found[2].headers["retry-after"] == "2"


def test_a_bucket_fills_again():
    now = [0.0]
    pace = Pace(rate=2, burst=1, clock=lambda: now[0])
    assert (pace.wait_of("a"), pace.wait_of("a"), pace.wait_of("b")) == (0, 1, 0)
    now[0] = 0.5
    assert pace.wait_of("a") == 0


def test_a_body_is_counted_as_it_comes(client):
    api = client(limits=Limits(rate=0, json_bytes=1_000))
    large = json.dumps(ASK | {"where": "x" * 5_000}).encode()
    headers = {"Content-Type": "application/json"}
    assert api.post("/v1/search", content=large, headers=headers).status_code == 413
    in_parts = (large[place : place + 100] for place in range(0, len(large), 100))  # no Content-Length
    assert api.post("/v1/search", content=in_parts, headers=headers).status_code == 413


def test_who_comes_when_all_are_busy_is_told_at_once(small_db, engine):
    held = threading.Event()
    begun = threading.Event()

    def slow():
        begun.set()
        held.wait(10)
        return engine

    limits = Limits(rate=0, workers=1, waiting=0, answer_seconds=0.2)
    api = client_of(small_db, slow, limits=limits)
    found = api.get("/readyz")
    assert begun.is_set()
    assert (found.status_code, "took longer" in found.text) == (503, True)
    found = api.get("/readyz")
    assert (found.status_code, "busy" in found.text) == (503, True)
    assert found.headers["retry-after"]
    held.set()


def test_headers_of_every_answer(client):
    found = client().get("/nowhere", headers={"X-Request-ID": "mine-1"})
    assert found.status_code == 404
    assert found.headers["x-request-id"] == "mine-1"
    assert found.headers["x-content-type-options"] == "nosniff"
    assert found.headers["cache-control"] == "no-store"
    odd = client().get("/healthz", headers={"X-Request-ID": "a b<script>"})
    assert odd.headers["x-request-id"] != "a b<script>"


def test_a_mistake_of_the_server_shows_nothing_of_it(small_db, caplog):
    def broken():
        raise RuntimeError("secret of the server")

    found = client_of(small_db, broken).get("/readyz")
    assert found.status_code == 500
    assert "secret" not in found.text
    assert "secret of the server" in caplog.text


def test_questions_are_noted_and_pixels_are_not(client, tmp_path):
    log = tmp_path / "audit" / "questions.jsonl"
    key, line = new_key("ana")
    api = client(audit_log=log, keys=read_keys(line))
    api.headers["X-API-Key"] = key
    api.post("/v1/search", json=ASK)
    api.post("/v1/search", json={"query": {"type": "item", "id": "no"}})
    first, second = (json.loads(entry) for entry in log.read_text().splitlines())
    assert (first["who"], first["verb"], first["n_hits"], first["status"]) == ("ana", "search", 2, "answered")
    assert first["asked"]["text"] == "ERBB2 KRT19"
    assert first["ms"] > 0
    assert (second["status"], second["n_hits"]) == ("ItemMissingError", None)
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_a_log_that_cannot_be_written_is_one_sentence(small_db, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ShowError, match="--no-audit-log"):
        client_of(small_db, audit_log=tmp_path / "file" / "log")


def test_no_address_writes(client):
    schema = client().get("/openapi.json").json()
    assert {method for path in schema["paths"].values() for method in path} == {"get", "post"}


def test_others_are_let_in_only_behind_a_guard():
    for address in ("127.0.0.1", "::1", "localhost", "127.0.0.2"):
        assert check_exposure(address, guarded_by=None, insecure=False, what="") is None
    assert check_exposure("0.0.0.0", guarded_by="keys", insecure=False, what="") is None  # noqa: S104
    with pytest.raises(ShowError, match=r"Refusing to listen on 0\.0\.0\.0.*--insecure"):
        check_exposure("0.0.0.0", guarded_by=None, insecure=False, what="Give keys.")  # noqa: S104
    warning = check_exposure("example.org", guarded_by=None, insecure=True, what="")
    assert warning is not None
    assert "everyone who reaches example.org" in warning


def test_a_login_is_found_where_streamlit_reads_it(tmp_path):
    assert login_of((tmp_path,)) is None
    folder = tmp_path / ".streamlit"
    folder.mkdir()
    (folder / "secrets.toml").write_text('[auth]\nredirect_uri = "x"\ncookie_secret = "y"\n')
    assert login_of((tmp_path,)) == str(folder / "secrets.toml")


def test_serving_to_others_without_keys_is_refused(histoseek, small_db, monkeypatch):
    monkeypatch.delenv("HISTOSEEK_API_KEYS", raising=False)
    ran = histoseek("serve", "--api", "--db", small_db, "--address", "0.0.0.0", "--no-audit-log")  # noqa: S104
    assert ran.code == 1
    assert "Refusing to listen on 0.0.0.0" in ran.stderr
    assert "api-key" in ran.stderr


def test_a_taken_port_is_one_sentence(histoseek, small_db):
    with socket.create_server(("127.0.0.1", 0)) as holder:
        ran = histoseek("serve", "--api", "--db", small_db, "--port", holder.getsockname()[1], "--no-audit-log")
    assert ran.code == 1
    assert "Choose another port" in ran.stderr


def test_a_key_is_made_and_works(histoseek):
    told = json.loads(histoseek("api-key", "ana", "--json").stdout)
    assert read_keys(told["line"]).owner_of(told["key"]) == "ana"


def test_below_another_application_the_same_guards_hold(small_db, engine, monkeypatch, tmp_path):
    key, line = new_key("ana")
    settings = ApiSettings(str(small_db), keys=read_keys(line), audit_log=tmp_path / "log", limits=Limits(rate=7.0))
    handed = environment_of(settings)
    assert key not in str(handed)
    assert mounted(lambda: engine, None) == []
    for name, value in handed.items():
        monkeypatch.setenv(name, value)
    whole = TestClient(Starlette(routes=mounted(lambda: engine, None)), base_url=BASE)
    assert whole.get("/api/healthz").status_code == 200
    assert whole.post("/api/v1/search", json=ASK).status_code == 401
    assert whole.post("/api/v1/search", json=ASK, headers={"X-API-Key": key}).status_code == 200
    assert (tmp_path / "log").read_text().count('"who":"ana"') == 1


def test_the_api_needs_no_screens():
    code = "import app.api.application, app.api.serving, sys; print('streamlit' in sys.modules, 'torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
