"""A space on disk: a folder with `card.json` and `weights.safetensors`, written all at once and never unpickled."""

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Collection
from pathlib import Path

from pydantic import ValidationError

from encoders.backbones import BACKBONES, Backbone
from encoders.contracts import PatchSpec
from encoders.errors import SpaceMismatchError, TrainingError, WeightsMissingError
from encoders.mini import MiniImageEncoder, MiniWeights
from encoders.mini_expression import MiniExpressionEncoder
from encoders.space import Space, SpaceCard

CARD = "card.json"
WEIGHTS = "weights.safetensors"


def assemble(card: SpaceCard, weights: MiniWeights, backbone: Backbone) -> Space:
    """Encoders of the `mini` family under their card."""
    patch = PatchSpec(side_um=card.patch_side_um, side_px=card.patch_side_px)
    return Space(
        card=card,
        image=MiniImageEncoder(weights, info=card.encoder_info("image"), patch=patch, backbone=backbone),
        expression=MiniExpressionEncoder(weights, info=card.encoder_info("expression")),
    )


def save_space(space: Space, folder: Path) -> None:
    """Write a trained space: first beside `folder`, then by renaming, so that a failed write leaves the old space.

    A reader never sees half of one; in the instant between two renames it sees none.

    Raises
    ------
    TrainingError
        If the space is not of the `mini` family, or `folder` holds something other than a space.
    """
    if not isinstance(space.image, MiniImageEncoder):
        raise TrainingError(f"Space {space.card.name!r} was not trained here; only trained spaces can be saved.")
    weights = space.image.weights.to_bytes()

    def write(new: Path) -> None:
        (new / WEIGHTS).write_bytes(weights)
        (new / CARD).write_text(space.card.model_dump_json(indent=2) + "\n")

    write_folder(folder, write, own_files={CARD, WEIGHTS})


def write_folder(folder: Path, write: Callable[[Path], None], *, own_files: Collection[str]) -> None:
    """Make `folder` hold what `write` puts into a new one beside it, all at once.

    Raises
    ------
    TrainingError
        If `folder` holds something other than `own_files`, and so is not a saved space.
    """
    if folder.exists() and not (folder.is_dir() and {p.name for p in folder.iterdir()} <= set(own_files)):
        raise TrainingError(f"{folder} exists and is not a saved space; choose a new folder.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        new.chmod(0o755)
        write(new)
        if folder.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{folder.name}-old-", dir=folder.parent))
            folder.rename(old / folder.name)
            new.rename(folder)
            shutil.rmtree(old)
        else:
            new.rename(folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def read_card(folder: Path) -> SpaceCard:
    """The card of a saved space.

    Raises
    ------
    WeightsMissingError
        If there is no card.
    SpaceMismatchError
        If it is not a card of this version.
    """
    path = folder / CARD
    if not path.is_file():
        raise WeightsMissingError(f"{path} is missing; give a folder written by `histoseek train`.")
    try:
        return SpaceCard.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise SpaceMismatchError(
            f"{path} is not a space card this version reads ({error.error_count()} problems, the first: "
            f"{error.errors()[0]['msg']}). Train the space again."
        ) from error


def read_weights(folder: Path, card: SpaceCard) -> bytes:
    """The learned weights of a saved space, as bytes.

    Raises
    ------
    WeightsMissingError
        If the file is missing.
    SpaceMismatchError
        If it is not the one the card names.
    """
    path = folder / WEIGHTS
    if not path.is_file():
        raise WeightsMissingError(f"{path} is missing; space {card.name!r} needs it ({card.licence}). Train it again.")
    data = path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != card.weights_sha256:
        raise SpaceMismatchError(
            f"{path} has SHA-256 {found[:12]}, its card says {card.weights_sha256[:12]}; the two files do not belong "
            f"together. Get both again."
        )
    return data


def load_space(folder: Path, *, device: str = "cpu") -> Space:
    """Open a saved space; its backbone is read on first use.

    Raises
    ------
    WeightsMissingError
        If a file is missing.
    SpaceMismatchError
        If the card cannot be read, or weights or backbone are not the ones the card names.
    """
    card = read_card(folder)
    data = read_weights(folder, card)
    return assemble(card, MiniWeights.from_bytes(data), _backbone_of(card, device))


def _backbone_of(card: SpaceCard, device: str) -> Backbone:
    name = str(card.recipe.get("backbone"))
    known = BACKBONES.get(name)
    if known is None or card.recipe.get("backbone_sha256") != known.weights_sha256:
        raise SpaceMismatchError(
            f"Space {card.name!r} was trained on the backbone {name!r}; this version reads {', '.join(BACKBONES)} only."
        )
    return known(device=device)
