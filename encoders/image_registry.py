"""Image encoders by name: their state on this machine, and opening them with weights from the weights folder."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from encoders.catalogue import CATALOGUE, EncoderFacts, known_encoder
from encoders.contracts import ImageEncoder
from encoders.errors import EncoderError, WeightsMissingError
from encoders.omiclip import NAME as OMICLIP
from encoders.omiclip import how_to_get, open_omiclip
from encoders.open_clip_models import missing_package, open_clip_encoder, open_clip_facts
from encoders.timm_models import timm_encoder, timm_facts
from encoders.weights import ENVIRONMENT, weights_folder


@dataclass(frozen=True, slots=True)
class EncoderStatus:
    """One encoder of the catalogue as `histoseek encoders` shows it.

    Attributes
    ----------
    facts : EncoderFacts
        What is declared of it.
    state : str
        `ready`, `weights missing`, `package missing`, or `features only` where no package here builds it.
    hint : str
        What to do; empty when ready.
    """

    facts: EncoderFacts
    state: Literal["ready", "weights missing", "package missing", "features only"]
    hint: str = ""


def describe_encoders() -> list[EncoderStatus]:
    """Every encoder of the catalogue with its state on this machine; no weights are read."""
    return [_describe(facts) for facts in CATALOGUE.values()]


def facts_of(name: str) -> EncoderFacts:
    """What is declared of an encoder of the catalogue, or of `timm/NAME` or `open_clip/NAME` by its package.

    Raises
    ------
    UnknownEncoderError, PackageMissingError
        If there is no such encoder, or open_clip is not installed.
    """
    family, _, architecture = name.partition("/")
    if architecture and family == "timm":
        return timm_facts(architecture)
    if architecture and family == "open_clip":
        return open_clip_facts(architecture)
    return known_encoder(name)


def weights_path(facts: EncoderFacts) -> Path | None:
    """Where an encoder's weights lie in the weights folder; `None` if they do not."""
    places = (weights_folder() / facts.name / file for file in facts.files)
    return next((path for path in places if path.is_file()), None)


def open_encoder(
    name: str, *, weights: Path | None = None, side_um: float | None = None, device: str = "cpu"
) -> ImageEncoder:
    """Open an image encoder.

    Parameters
    ----------
    name : str
        A name of the catalogue, or `timm/NAME` or `open_clip/NAME` for any model of these packages.
    weights : Path, optional
        Its weights; by default looked for in the weights folder.
    side_um : float, optional
        Side of a patch in micrometres, for encoders that state none.
    device : str
        A torch device.

    Raises
    ------
    UnknownEncoderError, WeightsMissingError, PackageMissingError
        If there is no such encoder, or its weights or package are not on this machine.
    EncoderError
        If no package builds it, so that only features made elsewhere can be used.
    PatchError
        If no scale is stated or given, or another than is stated.
    """
    facts = facts_of(name)
    if facts.name == OMICLIP and weights is None:
        image = open_omiclip(weights_folder() / OMICLIP, device=device).image
        replace(facts, side_um=image.patch.side_um).patch(side_um=side_um)
        return image
    if facts.family is None:
        raise EncoderError(_features_only(facts))
    path = weights or weights_path(facts)
    if path is None:
        raise WeightsMissingError(_how_to_get(facts))
    opener = timm_encoder if facts.family == "timm" else open_clip_encoder
    return opener(facts, path, side_um=side_um, device=device)


def _describe(facts: EncoderFacts) -> EncoderStatus:
    if facts.family is None:
        return EncoderStatus(facts, "features only", _features_only(facts))
    if weights_path(facts) is None:
        return EncoderStatus(facts, "weights missing", _how_to_get(facts))
    package = missing_package() if facts.family == "open_clip" else ""
    return EncoderStatus(facts, "package missing" if package else "ready", package)


def _how_to_get(facts: EncoderFacts) -> str:
    folder = weights_folder() / facts.name
    if facts.name == OMICLIP:
        return how_to_get(folder)
    access = "Ask for access, then put" if facts.gated else "Put"
    licence = facts.licence or "licence not stated"
    return (
        f"The weights of {facts.name!r} are not on this machine. {access} {' or '.join(facts.files)} of {facts.source} "
        f"({licence}) into {folder}, or set {ENVIRONMENT} to the folder that holds {facts.name}/."
    )


def _features_only(facts: EncoderFacts) -> str:
    return (
        f"Encoder {facts.name!r} is built by its authors' own code alone ({facts.source}); make its features with a "
        f"tool that has it, such as TRIDENT, and read them from the h5 files."
    )
