"""The card of an index: what it is, and which table versions readers see.

The card is the commit point. It is replaced atomically after the tables of a slide are written, and names the version
of each table; a reader opens exactly those, so it never sees half a slide, and a writer that finds newer versions
knows them for the leftovers of a build that was killed. Every card is kept as `cards/<n>.json` too, written just before
it is committed: one card is one version of the index.
"""

import hashlib
import json

from pydantic import BaseModel, ConfigDict, ValidationError

from encoders.contracts import EncoderInfo, Modality
from encoders.errors import SpaceMismatchError
from encoders.space import SpaceCard
from indexer.errors import CardLostError, IndexFormatError, IndexMissingError, WriteError
from indexer.schema import FORMAT_VERSION, READABLE_FORMATS
from indexer.store.location import Location

CARD_NAME = "card.json"
HISTORY = "cards"
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
    aggregator: str = "mean"  # what stands for a whole slide; indexes made before this was said have the mean

    def digest(self) -> str:
        """SHA-256 of what decides the rows: space revision and weights, panel, tiling, thumbnails, aggregator."""
        parts = (
            self.space.name,
            self.space.revision,
            self.space.weights_sha256,
            self.panel_sha256,
            self.tiling.model_dump_json(),
            str(self.thumbnails),
            *(() if self.aggregator == "mean" else (self.aggregator,)),
        )
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


class IndexCard(BuildSettings):
    """Card of an index: its settings, what it holds, and the committed version of each table.

    `version` counts the commits (0 for the last one of format 1), `committed_at` is UTC, `change` says what was done.
    """

    format_version: int = FORMAT_VERSION
    version: int = 0
    committed_at: str = ""
    change: str = ""
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


def card_name(version: int) -> str:
    """File of a version of the index in its history."""
    return f"{HISTORY}/{version}.json"


def read_card(location: Location) -> IndexCard:
    """Read the card of an index.

    Raises
    ------
    IndexMissingError
        If there is no index at that place.
    CardLostError
        If the card is missing beside tables, or damaged.
    IndexFormatError
        If it is of another format version.
    """
    try:
        content = location.read(CARD_NAME)
    except FileNotFoundError as error:
        if any(name.endswith(".lance") for name in location.names()):
            raise CardLostError(f"Index {location} is half-written: it has no {CARD_NAME}. {_REPAIR}") from error
        raise IndexMissingError(
            f"There is no index at {location} (no {CARD_NAME}). Build one: `histoseek ingest --db {location} ...`."
        ) from error
    except OSError as error:
        raise CardLostError(f"{location}/{CARD_NAME} cannot be read: {error}. {_REPAIR}") from error
    return parse_card(f"{location}/{CARD_NAME}", content)


def parse_card(path: str, content: bytes) -> IndexCard:
    """Card in a file's content; raises as `read_card` does."""
    try:
        version = json.loads(content)["format_version"]
    except (ValueError, TypeError, KeyError) as error:
        raise CardLostError(f"{path} is damaged: it is no JSON with a format version. {_REPAIR}") from error
    if version not in READABLE_FORMATS:
        raise IndexFormatError(
            f"{path} says format version {version}; this HistoSeek reads {' and '.join(map(str, READABLE_FORMATS))}. "
            "Update HistoSeek, or ingest the data into a new index."
        )
    try:
        return IndexCard.model_validate_json(content)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(map(str, problem["loc"])) or "the whole file"
        raise CardLostError(f"{path} is damaged at {where}: {problem['msg']}. {_REPAIR}") from error


def write_card(location: Location, card: IndexCard) -> None:
    """Replace the card in one step; raises `WriteError`, and then the old card still stands."""
    content = card.model_dump_json(indent=1).encode()
    try:
        location.replace(card_name(card.version), content)
        location.replace(CARD_NAME, content)
    except OSError as error:
        raise WriteError(
            f"The card of index {location} could not be written: {error}. Nothing was changed; free some space or mend "
            "the permissions, then run this again."
        ) from error
