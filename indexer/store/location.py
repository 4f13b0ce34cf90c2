"""Where an index lies: a local folder, or a prefix of an S3 bucket.

Tables are LanceDB's business on either. The small files beside them (the card, its history, the tags) and the sidecars
are read and replaced here. Sidecars are mapped into memory, so those of a bucket are copied to a local folder first.
"""

import hashlib
import math
import os
import shutil
import time
from abc import ABC, abstractmethod
from collections.abc import Collection
from contextlib import suppress
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from indexer.errors import IndexMissingError, StoreError

if TYPE_CHECKING:
    from pyarrow.fs import S3FileSystem

SIDECAR, AGGREGATES = "sidecar", "aggregates"
#: A bucket is asked no more often whether a file was replaced.
STAMP_AGE_S = 1.0


class Location(ABC):
    """Place of one index. File names are relative to it, with `/`; a missing file raises `FileNotFoundError`."""

    def __init__(self, uri: str) -> None:
        self.uri = uri

    def __str__(self) -> str:
        return self.uri

    @property
    def storage_options(self) -> dict[str, str]:
        """What LanceDB is to be told of the place, besides what it reads from the environment itself."""
        return {}

    @property
    @abstractmethod
    def folder(self) -> Path:
        """Local folder whose `sidecar/` holds the vector files: that of the index, or a copy of a bucket's."""

    @abstractmethod
    def read(self, name: str) -> bytes:
        """Content of a file."""

    @abstractmethod
    def replace(self, name: str, content: bytes, *, flush: bool = True) -> None:
        """Write a file in one step: a reader, or a kill, sees the old content or the new.

        With `flush` so does a power cut; without it writing is cheap enough for notes that are replaced all the time.
        """

    @abstractmethod
    def stamp(self, name: str) -> str:
        """Short text that differs whenever the file was replaced; cheaper than reading it."""

    @abstractmethod
    def names(self, folder: str = "") -> list[str]:
        """Names of what lies in a folder, ascending; none if there is no such folder."""

    def local_names(self, folder: str) -> set[str]:  # noqa: ARG002  # overridden where files are local
        """Names in a folder of this machine; none in a bucket, where an object is there as a whole or not at all."""
        return set()

    def ends_with(self, name: str, ending: bytes) -> bool:
        """Whether a local file ends with some bytes."""
        return self.read(name).endswith(ending)

    @abstractmethod
    def remove(self, name: str) -> None:
        """Remove a file; one that is not there is no error."""

    @abstractmethod
    def fetch_sidecars(self, without: Collection[str] = ()) -> None:
        """Bring the sidecars to `folder` where they lie elsewhere, but for files of some names."""

    @abstractmethod
    def store_sidecars(self) -> None:
        """Bring the sidecars of `folder` to where others find them, and remove there what `folder` has not."""


class LocalFolder(Location):
    """An index in a folder of this machine."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self._path = path

    @property
    def folder(self) -> Path:
        """The folder of the index."""
        return self._path

    def read(self, name: str) -> bytes:
        """Content of a file."""
        return (self._path / name).read_bytes()

    def replace(self, name: str, content: bytes, *, flush: bool = True) -> None:
        """Write beside, flush to the disk, rename into place."""
        path = self._path / name
        partial = path.with_name(f"{path.name}.part")
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            if flush:
                os.fsync(file.fileno())
        partial.replace(path)

    def stamp(self, name: str) -> str:
        """Inode, time and size: a file that was renamed into place has another inode."""
        found = os.stat(f"{self._path}/{name}")  # noqa: PTH116  # every search does this: a path takes longer to make
        return f"{found.st_ino}-{found.st_mtime_ns}-{found.st_size}"

    def names(self, folder: str = "") -> list[str]:
        """Names of what lies in a folder."""
        path = self._path / folder
        return sorted(entry.name for entry in path.iterdir()) if path.is_dir() else []

    def local_names(self, folder: str) -> set[str]:
        """Names in a folder."""
        return set(self.names(folder))

    def ends_with(self, name: str, ending: bytes) -> bool:
        """Whether a file ends with some bytes; reads no more than those."""
        with (self._path / name).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - len(ending)))
            return file.read() == ending

    def remove(self, name: str) -> None:
        """Remove a file."""
        (self._path / name).unlink(missing_ok=True)

    def fetch_sidecars(self, without: Collection[str] = ()) -> None:
        """Nothing to do: they are in the folder."""

    def store_sidecars(self) -> None:
        """Nothing to do: they are in the folder."""


class Bucket(Location):
    """An index under a prefix of an S3 bucket; credentials and endpoint come from the environment (`AWS_*`)."""

    def __init__(self, uri: str) -> None:
        super().__init__(uri.rstrip("/"))
        self._root = PurePosixPath(self.uri.removeprefix("s3://"))
        self._stamps: dict[str, tuple[float, str]] = {}

    @property
    def storage_options(self) -> dict[str, str]:
        """Endpoint of the store, for one that is not Amazon's."""
        endpoint = os.environ.get("AWS_ENDPOINT_URL", "")
        return {"aws_endpoint": endpoint, "allow_http": str(endpoint.startswith("http:")).lower()} if endpoint else {}

    @property
    def folder(self) -> Path:
        """Local copy of the sidecars, under the cache folder."""
        from indexer.settings import Settings  # takes 25 ms, which an index in a folder does without

        return Settings().cache_dir / "indexes" / hashlib.sha256(self.uri.encode()).hexdigest()[:16]

    def read(self, name: str) -> bytes:
        """Content of an object; `IndexMissingError` if there is no such bucket, `StoreError` if it is out of reach."""
        try:
            with self._files.open_input_stream(self._key(name)) as stream:
                return bytes(stream.read())
        except FileNotFoundError:
            self.check_bucket()
            raise
        except OSError as error:
            raise self._out_of_reach(error) from error

    def replace(self, name: str, content: bytes, *, flush: bool = True) -> None:  # noqa: ARG002  # always on the store
        """Put an object: it appears when it is whole."""
        with self._files.open_output_stream(self._key(name)) as stream:
            stream.write(content)

    def stamp(self, name: str) -> str:
        """Digest of an object, as it was a second ago at most: its time has whole seconds, and is a request too."""
        at, digest = self._stamps.get(name, (-math.inf, ""))
        if time.monotonic() - at > STAMP_AGE_S:
            digest = hashlib.sha256(self.read(name)).hexdigest()
            self._stamps[name] = (time.monotonic(), digest)
        return digest

    def names(self, folder: str = "") -> list[str]:
        """Names under a prefix."""
        from pyarrow.fs import FileSelector

        found = self._files.get_file_info(FileSelector(self._key(folder), allow_not_found=True))
        return sorted(entry.base_name for entry in found)

    def remove(self, name: str) -> None:
        """Delete an object."""
        with suppress(FileNotFoundError):
            self._files.delete_file(self._key(name))

    def fetch_sidecars(self, without: Collection[str] = ()) -> None:
        """Copy what the local folder has not: a sidecar never changes, and its card is its last file to arrive."""
        for path, size in self._sidecar_files().items():
            local = self.folder / path
            if local.name in without or (local.exists() and local.stat().st_size == size):
                continue
            local.parent.mkdir(parents=True, exist_ok=True)
            partial = local.with_name(f"{local.name}.{os.getpid()}.part")
            with self._files.open_input_stream(self._key(path)) as stream, partial.open("wb") as file:
                shutil.copyfileobj(stream, file, 1 << 22)
            partial.replace(local)

    def store_sidecars(self) -> None:
        """Put new sidecars, their card last, and delete those that are no longer in the local folder."""
        there = self._sidecar_files()
        here = {
            path.relative_to(self.folder).as_posix(): path
            for path in (self.folder / SIDECAR).rglob("*")
            if path.is_file() and not any(part.startswith(".") for part in path.relative_to(self.folder).parts)
        }
        for name in sorted(here, key=_card_last):
            if there.get(name) != here[name].stat().st_size:
                with here[name].open("rb") as file, self._files.open_output_stream(self._key(name)) as stream:
                    shutil.copyfileobj(file, stream, 1 << 22)
        for name in sorted(set(there) - set(here), key=_card_last, reverse=True):
            self.remove(name)

    def _sidecar_files(self) -> dict[str, int]:
        from pyarrow.fs import FileSelector, FileType

        found = self._files.get_file_info(FileSelector(self._key(SIDECAR), allow_not_found=True, recursive=True))
        files = {
            PurePosixPath(entry.path).relative_to(self._root).as_posix(): int(entry.size)
            for entry in found
            if entry.type is FileType.File
        }
        return {name: files[name] for name in sorted(files, key=_card_last)}

    def _key(self, name: str) -> str:
        return str(self._root / name)

    def check_bucket(self) -> None:
        """Raise `IndexMissingError` if there is no such bucket, `StoreError` if it is out of reach."""
        from pyarrow.fs import FileType

        bucket = self._root.parts[0]
        try:
            found = self._files.get_file_info(bucket).type
        except OSError as error:
            raise self._out_of_reach(error) from error
        if found is FileType.NotFound:
            raise IndexMissingError(
                f"There is no bucket {bucket!r} for index {self.uri}, or these credentials do not see it. Create it, "
                "or mend the address, AWS_ENDPOINT_URL or the AWS_* credentials in the environment."
            )

    def _out_of_reach(self, error: OSError) -> StoreError:
        return StoreError(
            f"Index {self.uri} is out of reach: {error}. Check the network, AWS_ENDPOINT_URL, AWS_REGION and the AWS_* "
            "credentials in the environment."
        )

    @cached_property
    def _files(self) -> "S3FileSystem":
        from pyarrow.fs import S3FileSystem

        endpoint = os.environ.get("AWS_ENDPOINT_URL")
        return S3FileSystem(
            endpoint_override=endpoint, region=os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
        )


def _card_last(name: str) -> tuple[bool, str]:
    return name.endswith(".json"), name


def locate(uri: str | Path | Location) -> Location:
    """Location of an index; raises `IndexMissingError` for an address of an unknown scheme.

    `s3://bucket/prefix` is an S3 bucket, all else a folder.
    """
    if isinstance(uri, Location):
        return uri
    address = str(uri)
    if address.startswith("s3://") and PurePosixPath(address.removeprefix("s3://")).parts:
        return Bucket(address)
    if "://" in address:
        raise IndexMissingError(
            f"Index {address} is at an address that is not read; give a folder or s3://BUCKET/PREFIX."
        )
    return LocalFolder(Path(uri))
