"""The spaces HistoSeek knows, by name; a folder written by the trainer is a space too."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from encoders import omiclip
from encoders.backbones import BACKBONES
from encoders.errors import CheckpointError, SpaceMismatchError, UnknownSpaceError, WeightsMissingError
from encoders.open_clip_models import missing_package
from encoders.saving import load_space, read_card
from encoders.space import Space, SpaceCard
from encoders.trainer.tower_card import FAMILY as TOWERS
from encoders.trainer.tower_files import open_towers
from encoders.weights import weights_folder

_SHIPPED = Path(__file__).parent / "spaces"
_SPACES: dict[str, Path] = {"mini": _SHIPPED / "mini"}


@dataclass(frozen=True, slots=True)
class SpaceStatus:
    """One registered space as `histoseek encoders` shows it.

    Attributes
    ----------
    name : str
        What `open_space` takes.
    card : SpaceCard or None
        `None` if the card itself is not on this machine.
    state : `ready`, `weights missing` or `package missing`
        Whether both sides can encode on this machine.
    hint : str
        Where to get what is missing; empty when ready.
    """

    name: str
    card: SpaceCard | None
    state: Literal["ready", "weights missing", "package missing"]
    hint: str = ""


def shipped_spaces() -> tuple[str, ...]:
    """Names of the spaces whose weights come with HistoSeek, sorted."""
    return tuple(sorted(_SPACES))


def known_spaces() -> tuple[str, ...]:
    """Registered names, sorted: those shipped, and those that open once their weights are in the weights folder."""
    return tuple(sorted({*_SPACES, omiclip.NAME}))


def open_space(name_or_path: str | Path = "mini", *, device: str = "cpu") -> Space:
    """Open a registered space, or a folder written by `histoseek train` or `histoseek encoders convert`.

    Parameters
    ----------
    name_or_path : str or Path
        A name of `known_spaces`, or a folder with `card.json`.
    device : str
        Torch device of the image encoder, such as `cpu` or `cuda`.

    Raises
    ------
    UnknownSpaceError
        If it is neither.
    WeightsMissingError, SpaceMismatchError, CheckpointError
        If files are missing, do not belong together, or are cut off.
    """
    if isinstance(name_or_path, str) and name_or_path in _SPACES:
        return load_space(_SPACES[name_or_path], device=device)
    if name_or_path == omiclip.NAME:
        return omiclip.open_omiclip(_omiclip_folder(), device=device)
    folder = Path(name_or_path)
    if folder.is_dir():
        return _open_folder(folder, device=device)
    raise UnknownSpaceError(
        f"There is no space {str(name_or_path)!r}; known are {', '.join(known_spaces())}. Give one of these, or a "
        f"folder written by `histoseek train` or `histoseek encoders convert`."
    )


def describe_spaces() -> list[SpaceStatus]:
    """Every registered space with its state on this machine; missing weights are told, not raised."""
    return [*(_describe(name, folder) for name, folder in sorted(_SPACES.items())), _describe_omiclip()]


def _describe(name: str, folder: Path) -> SpaceStatus:
    try:
        card = read_card(folder)
    except WeightsMissingError as error:
        return SpaceStatus(name, None, "weights missing", str(error))
    try:
        load_space(folder)
        BACKBONES[str(card.recipe["backbone"])].weights_path()
    except WeightsMissingError as error:
        return SpaceStatus(name, card, "weights missing", str(error))
    return SpaceStatus(name, card, "ready")


def _omiclip_folder() -> Path:
    return weights_folder() / omiclip.NAME


def _open_folder(folder: Path, *, device: str) -> Space:
    family = read_card(folder).recipe.get("family")
    if family == omiclip.FAMILY:
        return omiclip.open_omiclip(folder, device=device)
    if family == TOWERS:
        return open_towers(folder, device=device)
    return load_space(folder, device=device)


def _describe_omiclip() -> SpaceStatus:
    try:
        card = omiclip.open_omiclip(_omiclip_folder()).card
    except (WeightsMissingError, CheckpointError, SpaceMismatchError) as error:
        return SpaceStatus(omiclip.NAME, None, "weights missing", str(error))
    package = missing_package()
    return SpaceStatus(omiclip.NAME, card, "package missing" if package else "ready", package)
