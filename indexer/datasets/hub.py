"""Data sets of the Hugging Face hub: the commit they are at, their files with digests, and who may have them."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, urlsplit

from indexer.datasets.collection import Collection, RemoteFile, checked_path
from indexer.datasets.digests import Expected
from indexer.datasets.web import ask, ask_json
from indexer.errors import FetchError, RefusedError
from indexer.settings import Settings

if TYPE_CHECKING:
    import httpx

_MOST_PAGES = 1_000


@dataclass(frozen=True)
class HubDataset:
    """One data set at one commit.

    Attributes
    ----------
    client : httpx.Client
        From `open_client`.
    settings : Settings
        Whose `hub_url` is asked.
    repo : str
        `owner/name`.
    sha : str
        The commit; all files are of it.
    licence : str
        As its card says, empty if it does not.
    gated : str
        `auto`, `manual`, or empty if everyone may have it.
    """

    client: "httpx.Client"
    settings: Settings
    repo: str
    sha: str
    licence: str
    gated: str

    @property
    def access(self) -> str:
        """Who may have it, as the hub says."""
        if not self.gated:
            return "open to everyone"
        decide = "its authors decide on requests" if self.gated == "manual" else "given once its terms are accepted"
        token = "a token is there" if token_header(self.settings) else "no token is there: set HF_TOKEN"
        return f"gated, {decide} on {self.settings.hub_url}/datasets/{self.repo}; {token}"

    def files(self, folder: str = "", *, recursive: bool = True) -> Iterator[RemoteFile]:
        """Files of a folder of the data set, page by page. Raises `FetchError`."""
        place = f"/{quote(folder)}" if folder else ""
        url = f"{self.settings.hub_url}/api/datasets/{self.repo}/tree/{self.sha}{place}"
        params = {"recursive": "true"} if recursive else {}
        for _ in range(_MOST_PAGES):
            answer = ask(self.client, url, params=params, headers=token_header(self.settings))
            for entry in _entries(answer):
                if entry["type"] == "file":
                    yield self.file(entry)
            following = answer.links.get("next", {}).get("url")
            if following is None:
                return
            params = dict(parse_qsl(urlsplit(following).query))  # its host is not asked: the token is not for it
        raise FetchError(f"The hub's list of files of {self.repo} does not end; choose fewer parts.")

    def file(self, entry: dict[str, Any]) -> RemoteFile:
        """A file of the hub's tree: large ones have a SHA-256, small ones the digest of their git blob."""
        path = checked_path(str(entry["path"]))
        large = entry.get("lfs") or {}
        digest = f"sha256:{large['oid']}" if large else f"git-sha1:{entry['oid']}"
        url = f"{self.settings.hub_url}/datasets/{self.repo}/resolve/{self.sha}/{quote(path)}"
        return RemoteFile(Expected(path, int(large.get("size", entry["size"])), digest), url)

    def text(self, file: RemoteFile) -> str:
        """Content of a small file, such as a table of metadata. Raises `FetchError`."""
        answer = ask(self.client, file.url, headers=token_header(self.settings))
        if len(answer.content) != file.expected.bytes:
            raise FetchError(
                f"{file.url} has {len(answer.content):,} bytes; expected {file.expected.bytes:,}. Run again."
            )
        return answer.text.removeprefix("\ufeff")


def open_dataset(client: "httpx.Client", settings: Settings, repo: str, revision: str | None) -> HubDataset:
    """A data set of the hub at a revision, default its newest. Raises `FetchError`."""
    place = f"/revision/{quote(revision, safe='')}" if revision else ""
    url = f"{settings.hub_url}/api/datasets/{repo}{place}"
    about = ask_json(client, url, headers=token_header(settings))
    sha = about.get("sha") if isinstance(about, dict) else None
    if not isinstance(sha, str) or not sha.isalnum():
        raise FetchError(f"{url} does not say which commit it is at; expected the hub's answer about a data set.")
    card = about.get("cardData") or {}
    licence = card.get("license") or next(
        (tag.partition(":")[2] for tag in about.get("tags") or () if str(tag).startswith("license:")), ""
    )
    licence = ", ".join(licence) if isinstance(licence, list) else str(licence)
    return HubDataset(client, settings, repo, sha, licence, str(about.get("gated") or ""))


def token_header(settings: Settings) -> dict[str, str]:
    """Header with the user's token, if there is one: `HF_TOKEN`, else the file that `hf auth login` writes.

    A hub reached without encryption gets none, unless it is this machine.
    """
    token = os.environ.get("HF_TOKEN", "").strip()
    if not token:
        home = Path(os.environ.get("HF_HOME") or "~/.cache/huggingface").expanduser()
        path = Path(os.environ.get("HF_TOKEN_PATH") or home / "token").expanduser()
        try:
            token = path.read_text(encoding="utf-8").strip()
        except OSError:  # nobody logged in here
            return {}
    address = urlsplit(settings.hub_url)
    is_safe = address.scheme == "https" or address.hostname in {"127.0.0.1", "localhost"}
    return {"Authorization": f"Bearer {token}"} if token and is_safe else {}


def explain(error: RefusedError, settings: Settings, repo: str, licence: str) -> str:
    """What to do about a refusal of the hub."""
    page = f"{settings.hub_url}/datasets/{repo}"
    has_token = bool(token_header(settings))
    if error.status == 403 or (error.status == 401 and error.code == "GatedRepo" and has_token):
        return (
            f"Your account is not on the list of {repo}: open {page}, accept its terms ({licence}), wait for the "
            "authors where they decide, then run again."
        )
    if error.status == 401 and not has_token:
        return (
            f"{repo} is gated: accept its terms ({licence}) on {page}, make a token that may read at "
            f"{settings.hub_url}/settings/tokens, and set HF_TOKEN to it (or run `hf auth login`)."
        )
    if error.status == 401:
        return f"The hub does not know the token: make a new one at {settings.hub_url}/settings/tokens."
    if error.code == "RevisionNotFound":
        return f"{repo} has no such revision; leave it out for the newest, or take a commit of {page}/commits/main."
    return f"Look at {page}; run again later."


def chosen_files(
    dataset: HubDataset, about: Collection, parts: Iterable[str], folders: dict[str, tuple[str, ...]]
) -> list[tuple[str, RemoteFile]]:
    """Files of some parts, each with its part; `folders` says where a part lies."""
    found: dict[str, tuple[str, RemoteFile]] = {}
    for part in parts:
        for folder in folders[part]:
            try:
                for file in dataset.files(folder):
                    found.setdefault(file.expected.path, (part, file))
            except RefusedError as error:
                if error.status != 404:
                    raise
                raise FetchError(f"{about.name} has no folder {folder} at {dataset.sha[:12]}.") from error
    return list(found.values())


def _entries(answer: "httpx.Response") -> list[dict[str, Any]]:
    try:
        entries = answer.json()
        if all(isinstance(one["path"], str) and one["type"] for one in entries):
            return list(entries)
    except (ValueError, KeyError, TypeError):
        pass
    raise FetchError(f"{answer.url} is no list of files of the hub; run again.")
