"""One file over a bad line: what is kept, what is asked again, and what a refusal says."""

import email.utils
import hashlib
import time

import httpx
import pytest

from indexer.datasets import transfer, web
from indexer.datasets.digests import Expected, difference
from indexer.datasets.hub import token_header
from indexer.datasets.transfer import StoppedError, Transfer
from indexer.datasets.web import ask_json, refusal, wait_s
from indexer.errors import FetchError, RefusedError
from indexer.settings import Settings

CONTENT = b"0123456789" * 1_000
FILE = Expected("a.bin", len(CONTENT), f"md5:{hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()}")


@pytest.fixture(autouse=True)
def pauses(monkeypatch):
    waited = []
    for module in (web, transfer):
        monkeypatch.setattr(module, "pause", lambda seconds, _=None: waited.append(seconds))
    return waited


def sent(content, status=200, headers=None):
    return httpx.Response(status, stream=httpx.ByteStream(content), headers=headers)


def over(answers, asked=None):
    """Transfer whose requests get these answers, or errors, one after the other."""
    left = iter(answers)

    def handle(request):
        if asked is not None:
            asked.append(request.headers.get("Range"))
        answer = next(left)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return Transfer(httpx.Client(transport=httpx.MockTransport(handle)))


def test_a_part_longer_than_the_file_begins_again(tmp_path):
    (tmp_path / "a.part").write_bytes(CONTENT * 2)
    asked = []
    line = over([httpx.Response(416), sent(CONTENT)], asked)
    assert line.receive(Expected("a", None, FILE.digest), "http://x/a", tmp_path / "a") is None
    assert asked == ["bytes=20000-", None]


def test_bytes_from_another_place_are_not_appended(tmp_path):
    (tmp_path / "a.part").write_bytes(CONTENT[:100])
    other = sent(CONTENT[50:], 206, {"Content-Range": "bytes 50-9999/10000"})
    asked = []
    line = over([other, sent(CONTENT)], asked)
    assert line.receive(FILE, "http://x/a", tmp_path / "a") is None
    assert asked == ["bytes=100-", None]


def test_a_file_without_digest_is_never_put_together_from_two_answers(tmp_path):
    (tmp_path / "a.part").write_bytes(b"old")
    asked = []
    line = over([sent(CONTENT)], asked)
    assert line.receive(Expected("a"), "http://x/a", tmp_path / "a") is None
    assert asked == [None]
    assert (tmp_path / "a").read_bytes() == CONTENT


def test_an_empty_file_is_a_file(tmp_path):
    line = over([])
    digest = f"git-sha1:{hashlib.sha1(b'blob 0' + bytes(1), usedforsecurity=False).hexdigest()}"
    assert line.receive(Expected("a", 0, digest), "http://x/a", tmp_path / "a") is None
    assert (tmp_path / "a").read_bytes() == b""


def test_a_line_that_keeps_breaking_is_tried_five_times(tmp_path, pauses):
    (tmp_path / "a.part").write_bytes(CONTENT[:100])
    line = over([httpx.ReadTimeout("slow")] * 9)
    assert "ReadTimeout" in line.receive(FILE, "http://x/a", tmp_path / "a")
    assert pauses == [1.0, 2.0, 4.0, 8.0]
    assert (tmp_path / "a.part").stat().st_size == 100


def test_a_stop_keeps_the_part(tmp_path):
    line = over([sent(CONTENT)])
    line.stop.set()
    with pytest.raises(StoppedError):
        line.receive(FILE, "http://x/a", tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_servers_say_how_long_to_wait_in_seconds_or_as_a_date():
    def answer(text):
        return httpx.Response(429, headers={"Retry-After": text} if text else {})

    date = email.utils.formatdate(time.time() + 30, usegmt=True)
    assert wait_s(answer("12"), 1) == 12
    assert 25 <= wait_s(answer(date), 1) <= 30
    assert wait_s(answer("99999"), 1) == 300  # nobody waits for a day
    assert [wait_s(answer(text), 3) for text in ("", "soon")] == [4.0, 4.0]


def test_a_refusal_keeps_status_and_word_and_hides_what_was_asked():
    request = httpx.Request("GET", "https://x/a?secret=1")
    said = refusal(httpx.Response(403, headers={"X-Error-Code": "GatedRepo"}, request=request))
    assert (said.status, said.code) == (403, "GatedRepo")
    assert "secret" not in str(said)
    assert isinstance(said, RefusedError)


def test_an_answer_that_is_no_json():
    client = httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(200, text="<html>")))
    with pytest.raises(FetchError, match="something else than JSON"):
        ask_json(client, "https://x/api")


def test_digests_of_three_kinds(tmp_path):
    (tmp_path / "a").write_bytes(b"hello\n")
    git = "git-sha1:ce013625030ba8dba906f756967f9e9ca394464a"  # as `git hash-object` prints it
    assert difference(Expected("a", 6, git), tmp_path / "a") == ""
    assert difference(Expected("a", 6, "md5:0"), tmp_path / "a").startswith("MD5 b1946ac9")
    assert difference(Expected("a"), tmp_path / "a") == ""


@pytest.mark.parametrize(
    ("url", "is_sent"),
    [
        ("https://hub", True),
        ("http://127.0.0.1:9", True),
        ("http://hub", False),
        ("http://127.0.0.1.example.org", False),
    ],
)
def test_a_token_goes_over_no_open_line(monkeypatch, url, is_sent):
    monkeypatch.setenv("HF_TOKEN", "hf_x")
    assert bool(token_header(Settings(hub_url=url))) is is_sent
