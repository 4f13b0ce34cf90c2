"""What stands for each slide besides its mean: prototypes, kept in a small file a slide.

A file is named by the digest of the slide's content, is written before the slide is committed, and never changes: every
version of the index finds its own, and a build that was killed leaves at most a file that nothing names.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import ValidationError

from encoders.aggregates import Aggregate
from encoders.contracts import Floats, Modality, Vectors
from indexer.building.encoded import EncodedSlide
from indexer.building.items import item_id, patch_ids
from indexer.errors import CardLostError, IndexFormatError, IndexMissingError
from indexer.index import Index
from indexer.store.card import BuildSettings, read_card
from indexer.store.location import Location
from indexer.store.tables import Store

_FOLDER = "aggregates"
_MODALITIES: tuple[Modality, ...] = ("image", "expression")


@dataclass(frozen=True, slots=True)
class SlideAggregate:
    """Vectors that stand for one side of a slide.

    Attributes
    ----------
    vectors : float32 (p, dim)
        Unit rows.
    shares : float32 (p,)
        Part of the slide each stands for.
    items : tuple of str
        Id of the item that shows each best; empty where no item does.
    """

    vectors: Vectors
    shares: Floats
    items: tuple[str, ...]


def aggregates_of(encoded: EncodedSlide) -> dict[Modality, SlideAggregate]:
    """What stands for an encoded slide besides its means, by side."""
    found: dict[Modality, SlideAggregate] = {}
    if encoded.image is not None and encoded.image.aggregate is not None:
        found["image"] = _by_id(encoded.image.aggregate, patch_ids(encoded))
    if encoded.expression is not None and encoded.expression.aggregate is not None:
        names = encoded.expression.expression.names
        ids = [item_id(encoded.facts.slide, encoded.kind, name) for name in names]
        found["expression"] = _by_id(encoded.expression.aggregate, ids)
    return found


def _by_id(aggregate: Aggregate, ids: Sequence[str]) -> SlideAggregate:
    items = tuple(ids[row] if row >= 0 else "" for row in aggregate.nearest.tolist())
    return SlideAggregate(aggregate.vectors, aggregate.shares, items)


def stored_aggregator(location: Location) -> str | None:
    """Aggregator of the index at a place, `None` if there is no index or its making was cut short."""
    try:
        return read_card(location).aggregator
    except IndexMissingError:
        return None
    except CardLostError:  # the tables know what they were made with
        try:
            return BuildSettings.model_validate_json(Store.open_latest(location).settings).aggregator
        except (IndexFormatError, ValidationError):
            return None


def write_aggregates(location: Location, content_sha256: str, sides: Mapping[Modality, SlideAggregate]) -> None:
    """Keep what stands for a slide, be it nothing, before the slide itself is committed."""
    from safetensors.numpy import save

    arrays: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.generic]]] = {}
    for modality, side in sides.items():
        arrays[f"{modality}.vectors"] = np.ascontiguousarray(side.vectors, dtype=np.float32)
        arrays[f"{modality}.shares"] = np.ascontiguousarray(side.shares, dtype=np.float32)
        arrays[f"{modality}.items"] = np.frombuffer("\n".join(side.items).encode(), dtype=np.uint8)
    location.replace(_name(content_sha256), bytes(save(arrays)))


def read_aggregates(location: Location, content_sha256: str, *, slide: str) -> dict[Modality, SlideAggregate]:
    """What stands for a slide, by side.

    Raises
    ------
    IndexFormatError
        If its file is missing or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        arrays = load(location.read(_name(content_sha256)))
        return {
            modality: SlideAggregate(
                vectors=arrays[f"{modality}.vectors"],
                shares=arrays[f"{modality}.shares"],
                items=tuple(arrays[f"{modality}.items"].tobytes().decode().split("\n")),
            )
            for modality in _MODALITIES
            if f"{modality}.vectors" in arrays
        }
    except (OSError, SafetensorError, KeyError, UnicodeDecodeError) as error:
        raise IndexFormatError(
            f"What stands for slide {slide} in index {location} ({_name(content_sha256)}) is missing or damaged: "
            f"{error}. Put the file back from a backup, or delete the slide and ingest it again."
        ) from error


def aggregate_problems(index: Index) -> list[str]:
    """Sentences about slides of which what stands for them is lost, or is shown by items that are not there."""
    slides, ids = index.slides(), set(index.metadata().column("id").to_pylist())
    problems = []
    for slide, digest in zip(slides["slide"].to_pylist(), slides["content_sha256"].to_pylist(), strict=True):
        try:
            sides = read_aggregates(index.location, digest, slide=slide)
        except IndexFormatError as error:
            problems.append(str(error))
            continue
        shown = {item for side in sides.values() for item in side.items if item}
        if not shown <= ids:
            problems.append(
                f"Slide {slide}: what stands for it is shown by {len(shown - ids)} items that are not there."
            )
    return problems


def _name(content_sha256: str) -> str:
    return f"{_FOLDER}/{content_sha256}.safetensors"
