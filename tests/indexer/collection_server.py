"""A server in this process that speaks as the hub, the GDC and GTEx do, and goes wrong on demand."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

SHA = "0123456789abcdef0123456789abcdef01234567"
TOKEN = "hf_tests"  # noqa: S105 - of no account


@dataclass
class Request:
    """What the server was asked."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    port: int
    body: Any = None


@dataclass
class World:
    """Contents of all services, what was asked, and what goes wrong at which path, once for each entry."""

    url: str = ""
    cdn: str = ""
    hub: dict[str, dict[str, bytes]] = field(default_factory=dict)
    gated: bool = True
    gdc: list[dict[str, Any]] = field(default_factory=list)
    gdc_data: dict[str, bytes] = field(default_factory=dict)
    storage: dict[str, bytes] = field(default_factory=dict)
    portal: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    faults: dict[str, list[tuple[str, Any]]] = field(default_factory=dict)
    asked: list[Request] = field(default_factory=list)
    page: int = 2  # entries of a page, few, so that there are several

    def of(self, part: str) -> list[Request]:
        """Requests whose path has `part`."""
        return [one for one in self.asked if part in one.path]


@contextmanager
def serving(world: World) -> Iterator[World]:
    """Serve a world at two addresses: the services, and the store of bytes that they send on to."""

    class Handler(_Handler):
        pass

    Handler.world = world
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as one, ThreadingHTTPServer(("127.0.0.1", 0), Handler) as two:
        world.url, world.cdn = (f"http://127.0.0.1:{server.server_address[1]}" for server in (one, two))
        threads = [threading.Thread(target=server.serve_forever, args=(0.01,)) for server in (one, two)]
        for thread in threads:
            thread.start()
        yield world
        for server, thread in zip((one, two), threads, strict=True):
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    world: World

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, *_: object) -> None:
        """Stay silent."""

    def _answer(self) -> None:
        parts = urlsplit(self.path)
        path = unquote(parts.path)
        size = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(size)) if size else None
        asked = Request(
            self.command, path, parse_qs(parts.query), dict(self.headers), self.server.server_address[1], body
        )
        self.world.asked.append(asked)
        fault, value = self._fault(path)
        if fault == "status":
            status, headers = value
            self._send(b"", status, headers)
        elif path.startswith("/api/datasets/"):
            self._hub_api(path.removeprefix("/api/datasets/"), asked)
        elif path.startswith("/datasets/"):
            self._resolve(path.removeprefix("/datasets/"), asked)
        elif path.startswith("/cdn/"):
            repo, _, name = path.removeprefix("/cdn/").partition("@")
            self._bytes(self.world.hub[repo][name], fault, value)
        elif path == "/status":
            self._json({"data_release": "Data Release 45.0 - December 04, 2025", "status": "OK", "tag": "7.10"})
        elif path == "/files":
            self._gdc_search(body)
        elif path.startswith("/data/"):
            self._bytes(self.world.gdc_data.get(path.removeprefix("/data/")), fault, value)
        elif path.startswith("/api/v2/"):
            self._portal(path.removeprefix("/api/v2/"), asked)
        else:
            self._bytes(self.world.storage.get(path.lstrip("/")), fault, value)

    def _fault(self, path: str) -> tuple[str, Any]:
        for part, faults in self.world.faults.items():
            if part in path and faults:
                return faults.pop(0)
        return "", None

    def _hub_api(self, place: str, asked: Request) -> None:
        owner, name, *rest = place.split("/")
        repo = f"{owner}/{name}"
        if not rest or rest[0] == "revision":
            self._json({"id": repo, "sha": SHA, "gated": "auto", "cardData": {"license": "cc-by-nc-sa-4.0"}})
            return
        assert rest[:2] == ["tree", SHA]
        folder = "/".join(rest[2:])
        files = self.world.hub[repo]
        inside = [one for one in sorted(files) if one.startswith(f"{folder}/" if folder else "")]
        if folder and not inside:
            self._send(b"", 404, {"X-Error-Code": "EntryNotFound"})
            return
        if "recursive" not in asked.query:
            inside = [one for one in inside if "/" not in one]
        start = int(asked.query.get("cursor", ["0"])[0])
        entries = [{"type": "directory", "oid": "0" * 40, "size": 0, "path": folder}] if folder and not start else []
        entries += [_tree_entry(one, files[one]) for one in inside[start : start + self.world.page]]
        headers = {}
        if start + self.world.page < len(inside):
            place = f"{self.world.url}{self.path.partition('?')[0]}?recursive=true&cursor={start + self.world.page}"
            headers["Link"] = f'<{place}>; rel="next"'
        self._json(entries, headers)

    def _resolve(self, place: str, asked: Request) -> None:
        owner, name, _, sha, path = place.split("/", 4)
        repo = f"{owner}/{name}"
        assert sha == SHA
        token = asked.headers.get("Authorization", "").removeprefix("Bearer ")
        if self.world.gated and token != TOKEN:
            status = 403 if token in {"hf_other"} else 401
            self._send(
                b"", status, {"X-Error-Code": "GatedRepo", "X-Error-Message": "Access to dataset is restricted."}
            )
        elif _is_large(path):
            self._send(b"", 302, {"Location": f"{self.world.cdn}/cdn/{repo}@{path}", "X-Repo-Commit": SHA})
        else:
            self._bytes(self.world.hub[repo][path], "", None)

    def _gdc_search(self, body: dict[str, Any]) -> None:
        hits = sorted((one for one in self.world.gdc if _matches(one, body["filters"])), key=lambda one: one["file_id"])
        start, size = body["from"], min(body["size"], self.world.page)
        shown = hits[start : start + size]
        paging = {
            "count": len(shown),
            "total": len(hits),
            "size": size,
            "from": start,
            "sort": "",
            "page": 1,
            "pages": 1,
        }
        self._json({"data": {"hits": shown, "pagination": paging}, "warnings": {}})

    def _portal(self, what: str, asked: Request) -> None:
        rows = self.world.portal[what]
        wanted = asked.query.get("tissueSiteDetailId")
        rows = [row for row in rows if not wanted or row.get("tissueSiteDetailId") in wanted]
        page, size = int(asked.query["page"][0]), self.world.page
        paging = {
            "numberOfPages": -(-len(rows) // size),
            "page": page,
            "maxItemsPerPage": size,
            "totalNumberOfItems": len(rows),
        }
        self._json({"data": rows[page * size : (page + 1) * size], "paging_info": paging})

    def _bytes(self, content: bytes | None, fault: str, value: Any) -> None:
        if content is None:
            self._send(b"", 404, {})
            return
        headers = {
            "x-goog-hash": f"md5={base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()}"
        }
        asked = self.headers.get("Range")
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        if start >= len(content) > 0:
            self._send(b"", 416, {})
            return
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        body = content[start:]
        body = value if fault == "body" else body
        self._send(body, 206 if start else 200, headers, cut=value if fault == "cut" else None)

    def _json(self, content: Any, headers: dict[str, str] | None = None) -> None:
        self._send(json.dumps(content).encode(), 200, {"Content-Type": "application/json", **(headers or {})})

    def _send(self, body: bytes, status: int, headers: dict[str, str], *, cut: int | None = None) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[:cut])


def _is_large(path: str) -> bool:
    return path.endswith((".h5ad", ".tif", ".png"))


def _tree_entry(path: str, content: bytes) -> dict[str, Any]:
    """An entry of the hub's tree: large files are in LFS, small ones in git."""
    blob = hashlib.sha1(f"blob {len(content)}\0".encode() + content, usedforsecurity=False).hexdigest()
    entry: dict[str, Any] = {"type": "file", "oid": blob, "size": len(content), "path": path}
    if _is_large(path):
        entry["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 134}
    return entry


def _matches(one: dict[str, Any], condition: dict[str, Any]) -> bool:
    if condition["op"] in {"and", "or"}:
        join = all if condition["op"] == "and" else any
        return join(_matches(one, part) for part in condition["content"])
    assert condition["op"] == "in"
    values = _values(one, condition["content"]["field"].split("."))
    return any(value in condition["content"]["value"] for value in values)


def _values(place: Any, names: list[str]) -> list[Any]:
    if isinstance(place, list):
        return [value for one in place for value in _values(one, names)]
    if not names:
        return [place]
    return _values(place[names[0]], names[1:]) if isinstance(place, dict) and names[0] in place else []
