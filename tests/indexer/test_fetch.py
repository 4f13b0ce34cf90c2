"""Getting files: from a mirror folder, from a server in this process, and what goes wrong."""

import errno
import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from indexer.datasets import digests
from indexer.datasets.download import fetch, verify
from indexer.datasets.manifest import DataFile, Dataset
from indexer.datasets.transfer import Transfer
from indexer.errors import FetchError
from indexer.settings import Settings

CONTENT = bytes(range(256)) * 4_000  # about 1 MB


@dataclass
class Server:
    """What the server does, and what it was asked."""

    url: str = ""
    content: bytes = CONTENT
    status: int = 200
    stop_after: int | None = None  # bytes after which the connection is cut, once
    ranges: bool = True
    asked: list[str | None] = field(default_factory=list)


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range")
            state.asked.append(asked)
            if state.status != 200:
                self.send_error(state.status)
                return
            start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and state.ranges else 0
            body = state.content[start:]
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            cut, state.stop_after = state.stop_after, None
            self.wfile.write(body[:cut])

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        state.url = f"http://127.0.0.1:{httpd.server_address[1]}"
        thread = threading.Thread(target=httpd.serve_forever, args=(0.01,))
        thread.start()
        yield state
        httpd.shutdown()
        thread.join()


def dataset(*, url: str | None = None, content: bytes = CONTENT) -> Dataset:
    file = DataFile(path="d/a.bin", url=url, bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
    about = {"title": "D", "organ": "x", "technology": "x", "species": "x", "licence": "x", "citation": "x"}
    return Dataset(name="d", format="reference", files=(file,), **about)


def settings(tmp_path, mirror: str | None = None) -> Settings:
    return Settings(mirror=mirror, cache_dir=tmp_path / "cache")


def part_of(tmp_path):
    return tmp_path / "cache/data/d/a.bin.part"


def test_settings_come_from_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("HISTOSEEK_MIRROR", "https://example.org/data")
    monkeypatch.setenv("HISTOSEEK_CACHE_DIR", str(tmp_path))
    assert Settings().mirror_url == "https://example.org/data"
    assert Settings().mirror_folder is None
    assert Settings().cache_dir == tmp_path
    monkeypatch.setenv("HISTOSEEK_MIRROR", "")
    assert Settings().mirror is None


def test_a_mirror_folder_is_used_in_place(tmp_path):
    (tmp_path / "m/d").mkdir(parents=True)
    (tmp_path / "m/d/a.bin").write_bytes(CONTENT)
    calls = []
    found = fetch(
        dataset(), settings=settings(tmp_path, str(tmp_path / "m")), progress=lambda *seen: calls.append(seen)
    )
    assert found == {"d/a.bin": tmp_path / "m/d/a.bin"}
    assert calls == [("d/a.bin", len(CONTENT), len(CONTENT))]
    assert not part_of(tmp_path).parent.exists()


def test_a_verified_file_is_not_read_again_until_it_changes(tmp_path, monkeypatch):
    (tmp_path / "m/d").mkdir(parents=True)
    file = tmp_path / "m/d/a.bin"
    file.write_bytes(CONTENT)
    own = settings(tmp_path, str(tmp_path / "m"))
    fetch(dataset(), settings=own)
    read = []
    monkeypatch.setattr(digests, "digest_of", lambda path, _: read.append(path) or "0" * 64)
    fetch(dataset(), settings=own)
    assert read == []
    file.write_bytes(CONTENT[::-1])
    with pytest.raises(FetchError, match=r"mirror's copy of d/a.bin is wrong.*SHA-256"):
        fetch(dataset(), settings=own)
    assert read == [file]


def test_a_wrong_file_of_the_mirror_is_refused_and_kept(tmp_path, server):
    (tmp_path / "m/d").mkdir(parents=True)
    (tmp_path / "m/d/a.bin").write_bytes(b"short")
    own = settings(tmp_path, str(tmp_path / "m"))
    with pytest.raises(FetchError, match=r"a\.bin has 5 bytes; expected 1,024,000"):
        fetch(dataset(url=f"{server.url}/a.bin"), settings=own)
    assert server.asked == []
    assert [state.state for state in verify(dataset(), settings=own)] == ["wrong"]


def test_upstream_serves_what_the_mirror_lacks_and_the_cache_keeps_it(tmp_path, server):
    own = settings(tmp_path, str(tmp_path / "empty"))
    wanted = dataset(url=f"{server.url}/a.bin")
    done = []
    found = fetch(wanted, settings=own, progress=lambda _, n, total: done.append((n, total)))
    assert found["d/a.bin"].read_bytes() == CONTENT
    assert done[-1] == (len(CONTENT), len(CONTENT))
    assert [n for n, _ in done] == sorted(n for n, _ in done)
    assert not part_of(tmp_path).exists()
    assert [state.state for state in verify(wanted, settings=own)] == ["verified"]
    fetch(wanted, settings=own)
    assert len(server.asked) == 1


def test_a_mirror_address_goes_before_upstream(tmp_path, server):
    wanted = dataset(url="http://127.0.0.1:9/never")
    assert fetch(wanted, settings=settings(tmp_path, server.url))["d/a.bin"].read_bytes() == CONTENT


def test_a_cut_connection_is_resumed(tmp_path, server):
    server.stop_after = 400_000
    found = fetch(dataset(url=server.url), settings=settings(tmp_path))
    assert found["d/a.bin"].read_bytes() == CONTENT
    first, second = server.asked
    assert first is None
    assert 300_000 < int(second.removeprefix("bytes=").rstrip("-")) <= 400_000


def test_a_part_of_an_earlier_run_is_resumed(tmp_path, server):
    part_of(tmp_path).parent.mkdir(parents=True)
    part_of(tmp_path).write_bytes(CONTENT[:1_000])
    found = fetch(dataset(url=server.url), settings=settings(tmp_path))
    assert found["d/a.bin"].read_bytes() == CONTENT
    assert server.asked == ["bytes=1000-"]


def test_a_server_without_ranges_sends_everything_again(tmp_path, server):
    server.ranges = False
    part_of(tmp_path).parent.mkdir(parents=True)
    part_of(tmp_path).write_bytes(CONTENT[:1_000])
    assert fetch(dataset(url=server.url), settings=settings(tmp_path))["d/a.bin"].read_bytes() == CONTENT


def test_a_corrupt_file_is_thrown_away(tmp_path, server):
    server.content = CONTENT[:-1] + b"!"
    with pytest.raises(FetchError, match=f"{server.url}: .*SHA-256.*thrown away.*HISTOSEEK_MIRROR"):
        fetch(dataset(url=server.url), settings=settings(tmp_path))
    assert not part_of(tmp_path).exists()
    assert not part_of(tmp_path).with_suffix("").exists()


def test_a_longer_file_is_refused(tmp_path, server):
    server.content = CONTENT + b"more"
    with pytest.raises(FetchError, match="more than the expected 1,024,000 bytes"):
        fetch(dataset(url=server.url), settings=settings(tmp_path))


def test_a_shorter_file_keeps_its_part(tmp_path, server):
    server.content = CONTENT[:500_000]
    with pytest.raises(FetchError, match="500,000 of 1,024,000 bytes"):
        fetch(dataset(url=server.url), settings=settings(tmp_path))
    assert part_of(tmp_path).stat().st_size == 500_000


def test_not_found_says_where_and_what_to_do(tmp_path, server):
    server.status = 404
    with pytest.raises(
        FetchError, match=rf"d/a\.bin from {server.url}: the server answered 404.*put the file at .*a\.bin"
    ):
        fetch(dataset(url=server.url), settings=settings(tmp_path))


def test_no_server_at_all(tmp_path):
    with pytest.raises(FetchError, match="ConnectError"):
        fetch(dataset(url="http://127.0.0.1:9/a.bin"), settings=settings(tmp_path))


def test_a_file_without_address(tmp_path):
    with pytest.raises(FetchError, match="no upstream address"):
        fetch(dataset(), settings=settings(tmp_path))
    assert [state.state for state in verify(dataset(), settings=settings(tmp_path))] == ["missing"]


def test_a_full_disk_keeps_what_came(tmp_path, server, monkeypatch):
    def full(_self, answer, part, *_: object) -> None:
        part.write_bytes(CONTENT[:1_000])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Transfer, "_write", full)
        with pytest.raises(FetchError, match=r"no space left.*1,023,000 more bytes.*HISTOSEEK_CACHE_DIR"):
            fetch(dataset(url=server.url), settings=settings(tmp_path))
    fetch(dataset(url=server.url), settings=settings(tmp_path))
    assert server.asked[-1] == "bytes=1000-"


def test_only_files_asked_for_are_fetched(tmp_path):
    assert fetch(dataset(), files=[], settings=settings(tmp_path)) == {}


def test_several_files_come_side_by_side_and_in_order(tmp_path, server):
    digest = hashlib.sha256(CONTENT).hexdigest()
    files = tuple(
        DataFile(path=f"d/{name}.bin", url=f"{server.url}/{name}", bytes=len(CONTENT), sha256=digest) for name in "dacb"
    )
    seen = []
    found = fetch(
        dataset().model_copy(update={"files": files}),
        settings=settings(tmp_path),
        progress=lambda path, have, size: seen.append((path, have)),
    )
    assert list(found) == [file.path for file in files]
    assert all(path.read_bytes() == CONTENT for path in found.values())
    assert {path for path, have in seen if have == len(CONTENT)} == set(found)
