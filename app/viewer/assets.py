"""OpenSeadragon, which draws the tiles: fetched once, verified, and kept in the cache beside its licence."""

import tarfile
import threading
from pathlib import Path

from filelock import FileLock

from indexer.datasets.digests import Expected
from indexer.datasets.transfer import Transfer
from indexer.datasets.web import open_client
from indexer.errors import FetchError, RefusedError
from indexer.settings import Settings

VERSION, LICENCE = "6.1.1", "BSD-3-Clause"
URL = f"https://registry.npmjs.org/openseadragon/-/openseadragon-{VERSION}.tgz"
_ARCHIVE = Expected(
    f"viewer/openseadragon-{VERSION}.tgz",
    1_020_208,
    "sha256:b4ab2942f33b90e0448e4d20fc5ed14cee049f1f3ae49d70afd4b05e9a2f92d0",
)
#: Member of the archive -> name in the cache.
_MEMBERS = {
    "package/LICENSE.txt": "LICENSE.txt",
    "package/build/openseadragon/openseadragon.min.js": "openseadragon.min.js",
}


def library(settings: Settings | None = None) -> Path | None:
    """The script of OpenSeadragon on this machine, `None` if it was not fetched."""
    script = _folder(settings or Settings()) / "openseadragon.min.js"
    return script if script.is_file() else None


def obtain(settings: Settings | None = None) -> Path:
    """The script of OpenSeadragon, downloaded if it is not on this machine.

    The archive must have the size and the SHA-256 that stand here; its script and its licence are kept.

    Raises
    ------
    FetchError
        If it cannot be had, with the address and what to do.
    """
    settings = settings or Settings()
    if (script := library(settings)) is not None:
        return script
    folder = _folder(settings)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{folder}.lock"):
            archive = settings.cache_dir / _ARCHIVE.path
            _download(archive)
            _unpack(archive, folder)
            archive.unlink()
    except OSError as error:
        raise FetchError(f"Cannot write OpenSeadragon to {folder}: {error.strerror or error}.") from error
    return folder / "openseadragon.min.js"


def _folder(settings: Settings) -> Path:
    return settings.cache_dir / "viewer" / f"openseadragon-{VERSION}"


def _download(archive: Path) -> None:
    try:
        with open_client(connections=1) as client:
            failure = Transfer(client, stop=threading.Event()).receive(_ARCHIVE, URL, archive)
    except RefusedError as error:
        failure = str(error)
    if failure is not None:
        raise FetchError(
            f"Could not get OpenSeadragon {VERSION} ({LICENCE}, {_ARCHIVE.bytes or 0:,} bytes) from {URL}: {failure}. "
            f"Run `python -m app.viewer.assets` where there is a network, or put the archive's files at "
            f"{archive.parent / archive.stem}."
        )


def _unpack(archive: Path, folder: Path) -> None:
    """Write the wanted members; the script comes last, since its being there says that all is."""
    folder.mkdir(exist_ok=True)
    with tarfile.open(archive) as members:
        for member, name in _MEMBERS.items():
            content = members.extractfile(member)
            if content is None:
                raise FetchError(f"{archive} has no file {member}; expected OpenSeadragon {VERSION}.")
            part = folder / f"{name}.part"
            part.write_bytes(content.read())
            part.replace(folder / name)


if __name__ == "__main__":
    obtain()
