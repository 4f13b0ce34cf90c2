"""OmiCLIP (Chen et al., Nature Methods 2025, "Loki"): tiles and gene sentences in one space.

The published model is open_clip's `coca_ViT-L-14`. Its checkpoint (`checkpoint.pt`, about 7 GB, the optimiser's state
included) is converted once to a folder with `card.json`, `weights.safetensors` and, if given, `housekeeping_genes.csv`;
that folder is a space. Nothing is centred or stain-normalised, as in the published use.
"""

import csv
import hashlib
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from encoders.catalogue import CATALOGUE, CLIP_MEAN, CLIP_STD
from encoders.coca import CocaTowers, Config, coca_config, keep_towers, write_towers
from encoders.contracts import PatchSpec
from encoders.errors import CheckpointError, SpaceMismatchError, WeightsMissingError
from encoders.frozen_images import FrozenImageEncoder
from encoders.saving import CARD, WEIGHTS, read_card
from encoders.sentence_encoder import SentenceEncoder
from encoders.sentence_recipes import HOUSEKEEPING_COLUMN, read_housekeeping, recipe_named
from encoders.sentences import SentenceRecipe
from encoders.space import Calibration, Space, SpaceCard
from encoders.weights import ENVIRONMENT, file_sha256, read_tensors

NAME = "omiclip"
FAMILY = "coca"
ARCHITECTURE = "coca_ViT-L-14"
HOUSEKEEPING = "housekeeping_genes.csv"

#: The authors do not state the scale of a tile; a Visium spot, which their tiles are cut round, is 55 um wide.
SIDE_UM = 55.0

_FILES = {CARD, WEIGHTS, HOUSEKEEPING}


def how_to_get(folder: Path) -> str:
    """What to do to have OmiCLIP in `folder`."""
    return (
        f"OmiCLIP is not in {folder}. Ask for access to {CATALOGUE[NAME].source}, fetch it, and run "
        f"`histoseek encoders convert checkpoint.pt --out {folder}` (or set {ENVIRONMENT} to "
        f"the folder that holds {NAME}/)."
    )


def convert(
    checkpoint: Path,
    out: Path,
    *,
    housekeeping: Iterable[str] = (),
    recipe: str = "omiclip",
    side_um: float = SIDE_UM,
    config: Config | None = None,
) -> SpaceCard:
    """Turn the published checkpoint into a space folder, without unpickling anything but tensors.

    Parameters
    ----------
    checkpoint : Path
        The authors' `checkpoint.pt`, or its state dict alone.
    out : Path
        Folder to write; an earlier conversion there is replaced.
    housekeeping : iterable of str
        Genes to leave out of sentences, the authors' list for the published recipe.
    recipe : str
        Name of the gene-sentence recipe (`encoders.sentence_recipes`); the card remembers it.
    side_um : float
        Side of a tile in micrometres.
    config : mapping, optional
        An open_clip CoCa configuration; `coca_ViT-L-14` by default.

    Raises
    ------
    CheckpointError
        If the file is cut off, holds other objects, or is not a checkpoint of that model; if `out` holds other files.
    GeneQueryError, PatchError, PackageMissingError, WeightsMissingError
        If there is no such recipe, the side is not above 0, open_clip is not installed, or there is no such file.
    """
    symbols = sorted(set(housekeeping))
    written_by = recipe_named(recipe, housekeeping=symbols).name
    patch = CATALOGUE[NAME].patch(side_um=side_um)
    if out.exists() and not (out.is_dir() and {path.name for path in out.iterdir()} <= _FILES):
        raise CheckpointError(f"{out} exists and is not a converted space; choose a new folder.")
    model = coca_config(ARCHITECTURE) if config is None else config
    towers = keep_towers(read_tensors(checkpoint), model, what=f"OmiCLIP ({ARCHITECTURE})", path=checkpoint)
    out.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        new.chmod(0o755)
        write_towers(towers, model, new / WEIGHTS)
        (new / WEIGHTS).chmod(0o644)  # safetensors lets its owner alone read it
        _write_housekeeping(symbols, new / HOUSEKEEPING)
        card = _card(model, file_sha256(new / WEIGHTS), patch, recipe=written_by, housekeeping=symbols)
        (new / CARD).write_text(card.model_dump_json(indent=2) + "\n")
        if out.exists():
            shutil.rmtree(out)
        new.rename(out)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return card


def open_omiclip(folder: Path, *, device: str = "cpu") -> Space:
    """Open a converted folder; its weights are read on first use.

    Raises
    ------
    WeightsMissingError
        If it is not there, with what to do.
    SpaceMismatchError, CheckpointError
        If its files do not belong together, or one is cut off.
    """
    if not (folder / CARD).is_file():
        raise WeightsMissingError(how_to_get(folder))
    card = read_card(folder)
    towers = CocaTowers(folder / WEIGHTS, sha256=card.weights_sha256, device=device)
    housekeeping = _read_housekeeping(folder, card)
    patch = PatchSpec(side_um=card.patch_side_um, side_px=card.patch_side_px)
    return Space(
        card=card,
        image=FrozenImageEncoder(
            info=card.encoder_info("image"),
            patch=patch,
            mean=CLIP_MEAN,
            std=CLIP_STD,
            load=lambda: towers.encode_images,
            device=device,
        ),
        expression=SentenceEncoder(
            towers,
            info=card.encoder_info("expression"),
            recipe=recipe_named(str(card.recipe["sentence_recipe"]), housekeeping=housekeeping),
        ),
    )


def open_sentences(folder: Path, recipe: SentenceRecipe, *, device: str = "cpu") -> SentenceEncoder:
    """The text tower of a converted folder alone, reading sentences of any recipe; raises as `open_omiclip`."""
    if not (folder / CARD).is_file():
        raise WeightsMissingError(how_to_get(folder))
    card = read_card(folder)
    towers = CocaTowers(folder / WEIGHTS, sha256=card.weights_sha256, device=device)
    return SentenceEncoder(towers, info=card.encoder_info("expression"), recipe=recipe)


def _card(config: Config, sha256: str, patch: PatchSpec, *, recipe: str, housekeeping: list[str]) -> SpaceCard:
    # The same weights with other sentences are another space: their vectors cannot be compared.
    written = f"{sha256} {recipe} {_digest(housekeeping)} {patch.side_um}"
    return SpaceCard(
        name=NAME,
        revision=hashlib.sha256(written.encode()).hexdigest()[:12],
        dim=int(config["embed_dim"]),
        licence="not stated for the weights (gated); code BSD-3-Clause",
        weights_sha256=sha256,
        patch_side_um=patch.side_um,
        patch_side_px=int(config["vision_cfg"]["image_size"]),
        training_data="ST-bank, by its authors; its slides and patients are not listed",
        training_slides=(),
        training_patients=(),
        recipe={
            "family": FAMILY,
            "architecture": ARCHITECTURE,
            "sentence_recipe": recipe,
            "housekeeping_genes": len(housekeeping),
            "housekeeping_sha256": _digest(housekeeping),
            "context_length": int(config["text_cfg"]["context_length"]),
        },
        calibration=Calibration(n_pairs=0, probabilities=(), quantiles={}),
    )


def _digest(symbols: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(sorted(symbols)).encode()).hexdigest()


def _write_housekeeping(symbols: list[str], path: Path) -> None:
    if symbols:
        with path.open("w", newline="") as stream:
            csv.writer(stream, lineterminator="\n").writerows(
                [[HOUSEKEEPING_COLUMN], *([symbol] for symbol in symbols)]
            )


def _read_housekeeping(folder: Path, card: SpaceCard) -> frozenset[str]:
    symbols = read_housekeeping(folder / HOUSEKEEPING) if card.recipe["housekeeping_genes"] else frozenset()
    if _digest(symbols) != card.recipe["housekeeping_sha256"]:
        raise SpaceMismatchError(
            f"{folder / HOUSEKEEPING} is not the list of {card.recipe['housekeeping_genes']} genes its card names. "
            f"Convert the checkpoint again."
        )
    return symbols
