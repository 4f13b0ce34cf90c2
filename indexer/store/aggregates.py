"""What stands for each slide besides its mean: prototypes, kept in a small file a slide.

A file is named by the digest of the slide's content, is written before the slide is committed, and never changes: every
version of the index finds its own, and a build that was killed leaves at most a file that nothing names.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from encoders.contracts import Floats, Modality, Vectors
from indexer.errors import IndexFormatError
from indexer.store.location import AGGREGATES, Location

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


def _name(content_sha256: str) -> str:
    return f"{AGGREGATES}/{content_sha256}.safetensors"
