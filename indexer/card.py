"""The card of an index: what it is, and which table versions readers see.

The card is the commit point. It is replaced atomically after the tables of a slide are written, and names the version
of each table; a reader opens exactly those, so it never sees half a slide, and a writer that finds newer versions
knows them for the leftovers of a build that was killed.
"""

import hashlib
import json
import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from encoders.contracts import EncoderInfo, Modality
from encoders.errors import SpaceMismatchError
from encoders.space import SpaceCard
from indexer.errors import CardLostError, IndexFormatError, IndexMissingError, WriteError
from indexer.schema import FORMAT_VERSION

CARD_NAME = "card.json"
_REPAIR = "Run `histoseek ingest` on it again with the same data: it mends the index and keeps finished slides."


class Tiling(BaseModel):
    """Grid of the tissue tiles: centres every `stride_um`, patches of `side_um` resampled to `side_px` pixels."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    stride_um: float
    side_um: float
    side_px: int


class BuildSettings(BaseModel):
    """What decides the rows of an index besides the sources; the same for all slides of one index."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    space: SpaceCard
    encoders: dict[Modality, EncoderInfo]
    panel_sha256: str
    tiling: Tiling
    thumbnails: bool

    def digest(self) -> str:
        """SHA-256 of what decides the rows: space revision and weights, panel, tiling, thumbnails."""
        parts = (
            self.space.name,
            self.space.revision,
            self.space.weights_sha256,
            self.panel_sha256,
            self.tiling.model_dump_json(),
            str(self.thumbnails),
        )
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


class IndexCard(BuildSettings):
    """Card of an index: its settings, what it holds, and the committed version of each table."""

    format_version: int = FORMAT_VERSION
    counts: dict[str, int]
    n_slides: int
    n_failed: int
    n_genes: int
    table_versions: dict[str, int]


def check_space(found: SpaceCard, wanted: SpaceCard) -> None:
    """Raise `SpaceMismatchError` unless an index built in space `found` can be used with space `wanted`."""
    if (found.name, found.revision, found.dim) != (wanted.name, wanted.revision, wanted.dim):
        raise SpaceMismatchError(
            f"The index was built in space {found.name!r} revision {found.revision!r} ({found.dim} dims), not in "
            f"{wanted.name!r} revision {wanted.revision!r} ({wanted.dim} dims). Open it with that "
            "space, or ingest the data into a new index."
        )


def local_folder(uri: str | Path) -> Path:
    """Folder of an index; object-store addresses are refused until serving from them exists."""
    if "://" in str(uri):
        raise IndexMissingError(f"Index {uri} is on an object store, which is not read yet; give a local folder.")
    return Path(uri)


def read_card(folder: Path) -> IndexCard:
    """Read the card of an index.

    Raises
    ------
    IndexMissingError
        If there is no index in that folder.
    CardLostError
        If the card is missing beside tables, or damaged.
    IndexFormatError
        If it is of another format version.
    """
    path = folder / CARD_NAME
    try:
        text = path.read_text()
    except FileNotFoundError as error:
        if any(folder.glob("*.lance")):
            raise CardLostError(f"Index {folder} is half-written: it has no {CARD_NAME}. {_REPAIR}") from error
        raise IndexMissingError(
            f"There is no index at {folder} (no {CARD_NAME}). Build one: `histoseek ingest --db {folder} ...`."
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise CardLostError(f"{path} cannot be read: {error}. {_REPAIR}") from error
    return _parse(path, text)


def _parse(path: Path, text: str) -> IndexCard:
    try:
        version = json.loads(text)["format_version"]
    except (ValueError, TypeError, KeyError) as error:
        raise CardLostError(f"{path} is damaged: it is no JSON with a format version. {_REPAIR}") from error
    if version != FORMAT_VERSION:
        raise IndexFormatError(
            f"{path} says format version {version}; this HistoSeek reads {FORMAT_VERSION}. "
            "Update HistoSeek, or ingest the data into a new index."
        )
    try:
        return IndexCard.model_validate_json(text)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(map(str, problem["loc"])) or "the whole file"
        raise CardLostError(f"{path} is damaged at {where}: {problem['msg']}. {_REPAIR}") from error


def write_card(folder: Path, card: IndexCard) -> None:
    """Replace the card in one step; raises `WriteError`, and then the old card still stands."""
    path, partial = folder / CARD_NAME, folder / f"{CARD_NAME}.part"
    try:
        with partial.open("w") as file:
            file.write(card.model_dump_json(indent=1))
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        raise WriteError(
            f"The index card {path} could not be written: {error}. Nothing was changed; free some space or mend the "
            "permissions, then run this again."
        ) from error
