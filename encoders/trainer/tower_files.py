"""A space trained on towers as a folder: card, heads, the tower's own weights if it was tuned, and where towers lay.

`towers.json` notes where the towers' weights were on the machine that trained the space, so that it opens there without
more ado; elsewhere they are looked for in the weights folder. Either way their digests are those of the card.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from encoders.contracts import PatchSpec
from encoders.errors import EncoderError, SpaceMismatchError, TrainingError, UnknownEncoderError
from encoders.saving import CARD, WEIGHTS, read_card, read_weights, write_folder
from encoders.sentence_encoder import SentenceEncoder
from encoders.sentence_recipes import recipe_named
from encoders.space import Space, SpaceCard
from encoders.trainer.image_towers import BackboneTower, FeaturesElsewhere, ImageTower, check_digest, open_image_tower
from encoders.trainer.text_towers import open_sentences
from encoders.trainer.tower_card import tuned_card
from encoders.trainer.tower_encoders import TowerImageEncoder
from encoders.trainer.tower_recipe import MLP, PROFILE
from encoders.trainer.tower_space import TowerSet, assemble_towers
from encoders.trainer.tower_weights import TowerWeights
from encoders.trainer.tunable_towers import write_tuned
from encoders.trainer.tuning import TunedTower
from encoders.weights import file_sha256

TOWER = "image_tower.safetensors"
PLACES = "towers.json"
_FILES = frozenset({CARD, WEIGHTS, TOWER, PLACES})


def save_towers(space: Space, folder: Path, *, places: Mapping[str, Path] | None = None) -> Space:
    """Write a space trained on towers, all at once.

    Parameters
    ----------
    places : mapping of str to Path, optional
        Where the weights of `image` and `text` tower were read from, if not from the weights folder.

    Returns
    -------
    Space
        As it opens again: the card of a tuned tower names the digest of its weights as written.

    Raises
    ------
    TrainingError
        If the space was not trained on towers, or `folder` holds something other than a space.
    """
    image = space.image
    if not isinstance(image, TowerImageEncoder):
        raise TrainingError(f"Space {space.card.name!r} was not trained on towers.")
    written: list[SpaceCard] = []

    def write(new: Path) -> None:
        card = space.card
        if card.recipe["fine_tune"]:
            tuned = image.tower
            if not isinstance(tuned, TunedTower):
                raise TrainingError(f"The tuned tower of space {card.name!r} is not in memory; train it again.")
            write_tuned(tuned.trained, tuned.name, new / TOWER)
            card = tuned_card(card, file_sha256(new / TOWER))
        if places:
            (new / PLACES).write_text(json.dumps({side: str(path.resolve()) for side, path in places.items()}) + "\n")
        (new / WEIGHTS).write_bytes(image.weights.to_bytes())
        (new / CARD).write_text(card.model_dump_json(indent=2) + "\n")
        written.append(card)

    write_folder(folder, write, own_files=_FILES)
    return open_towers(folder) if space.card != written[0] else space


def open_towers(folder: Path, *, device: str = "cpu") -> Space:
    """Open a space trained on towers; each tower is opened on first use, so gene queries need no image weights.

    Raises
    ------
    WeightsMissingError, SpaceMismatchError
        If files of the folder are missing, do not belong together or are not of this version.
    """
    from safetensors import SafetensorError

    card = read_card(folder)
    try:
        weights = TowerWeights.from_bytes(read_weights(folder, card))
    except (SafetensorError, KeyError) as error:
        raise SpaceMismatchError(
            f"{folder / WEIGHTS} does not hold what this version reads ({error}); train the space again."
        ) from error
    places = _places(folder)
    reads_genes = card.recipe.get("expression_encoder") in (PROFILE, MLP)
    texts = None if reads_genes else lambda: _texts(card, weights, places.get("text"), device)
    return assemble_towers(card, weights, TowerSet(image=lambda: _image(card, folder, places, device), texts=texts))


def _image(card: SpaceCard, folder: Path, places: Mapping[str, Path], device: str) -> ImageTower:
    recipe = card.recipe
    name, sha256 = str(recipe["image_tower"]), str(recipe["image_tower_sha256"])
    patch = PatchSpec(card.patch_side_um, card.patch_side_px)
    if recipe["image_features_elsewhere"]:
        return _elsewhere(name, int(recipe["image_tower_dim"]), patch, device)
    weights = folder / TOWER if recipe["fine_tune"] else places.get("image")
    tower = open_image_tower(name, weights=weights, side_um=card.patch_side_um, device=device)
    if isinstance(tower, BackboneTower):
        tower.patch = patch  # backbones take any; the card says which this space was trained on
    check_digest(tower, sha256, space=card.name)
    return tower


def _elsewhere(name: str, dim: int, patch: PatchSpec, device: str) -> ImageTower:
    """The encoder whose features a space was trained on, for pixels; one that nobody here knows reads none.

    Raises what `open_image_tower` raises, such as `WeightsMissingError`, which says where its weights go.
    """
    try:
        tower = open_image_tower(name, side_um=patch.side_um, device=device)
    except UnknownEncoderError:
        return FeaturesElsewhere(name, dim, patch)
    except EncoderError as error:
        raise type(error)(
            f"This space was trained on features of {name!r} made elsewhere and cannot read pixels here. {error}"
        ) from error
    if (tower.feature_dim, tower.patch.side_px) != (dim, patch.side_px):
        raise SpaceMismatchError(
            f"Encoder {name!r} gives {tower.feature_dim} features of {tower.patch.side_px} px; the space was trained "
            f"on features of {dim} dimensions, said to be of {patch.side_px} px. Ask with items, genes or profiles."
        )
    return tower


def _texts(card: SpaceCard, weights: TowerWeights, place: Path | None, device: str) -> SentenceEncoder:
    norms = None
    if weights.gene_norms is not None:
        norms = dict(zip(weights.norm_genes, weights.gene_norms.tolist(), strict=True))
    recipe = recipe_named(str(card.recipe["sentence_recipe"]), housekeeping=weights.housekeeping, gene_norms=norms)
    texts = open_sentences(str(card.recipe["expression_encoder"]), recipe, weights=place, device=device)
    if texts.info.weights_sha256 != card.recipe["text_tower_sha256"]:
        raise SpaceMismatchError(
            f"Space {card.name!r} was trained on the text tower {texts.info.name!r} with weights "
            f"{str(card.recipe['text_tower_sha256'])[:12]}; those found here are {texts.info.weights_sha256[:12]}."
        )
    return texts


def _places(folder: Path) -> dict[str, Path]:
    """Places noted at training that still exist; others are looked for in the weights folder."""
    path = folder / PLACES
    if not path.is_file():
        return {}
    noted = json.loads(path.read_text())
    return {side: Path(place) for side, place in noted.items() if Path(place).exists()}
