"""Objects of Google's storage: size and MD5 from the headers of an answer without a body."""

import base64
import re
from typing import TYPE_CHECKING

from indexer.datasets.collection import RemoteFile
from indexer.datasets.digests import Expected
from indexer.datasets.web import ask

if TYPE_CHECKING:
    import httpx

_MD5 = re.compile(r"md5=([A-Za-z0-9+/]+={0,2})")


def stored_file(client: "httpx.Client", url: str, path: str, *, begins: tuple[bytes, ...] = ()) -> RemoteFile:
    """An object as a file to fetch to `path`; without size or digest where the server does not state them.

    Raises `RefusedError` or `UnreachableError`.
    """
    said = ask(client, url, method="HEAD", headers={"Accept-Encoding": "identity"}).headers
    found = _MD5.search(",".join(said.get_list("x-goog-hash")))
    digest = f"md5:{base64.b64decode(found.group(1)).hex()}" if found else ""
    size = said.get("Content-Length", "")
    return RemoteFile(Expected(path, int(size) if size.isdigit() else None, digest), url, begins)
