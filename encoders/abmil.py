"""Gated attention over the tiles of a slide with learned weights, in the layout of TANGLE's slide encoder.

Ilse et al., ICML 2018 (attention-based multiple-instance learning), eq. 9: the weight of tile k is the softmax over
tiles of `w . (tanh(V h_k) * sigmoid(U h_k))`, where `h_k` is the tile after a small network. TANGLE (Jaume et al.,
CVPR 2024) has two or three layers of linear map, layer normalisation and GELU there, one head or several; head `i` of
`H` reads every `H`-th component from `i` on, and heads are joined by a linear map.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from encoders.aggregates import Aggregate
from encoders.contracts import Floats, Modality, Vectors, unit_rows
from encoders.errors import CheckpointError, SpaceMismatchError, WeightsMissingError
from encoders.weights import ENVIRONMENT, file_sha256, read_tensors, weights_folder

NAME = "abmil"
FILES = ("model.safetensors", "model.pt")
_CONFIG = "config.json"
_PREFIX = "wsi_embedder."
_DIGEST_LETTERS = 12
_HEAD = re.compile(r"attn\.(\d+)\.attention_c\.weight")
_OTHER_PARTS = ("rna_embedder.", "rna_reconstruction.", "mean_projector.")  # of a TANGLE checkpoint; not of the slide

Activation = Literal["softmax", "leaky_relu", "relu", "sigmoid"]


@dataclass(frozen=True, slots=True)
class AbmilAggregator:
    """A learned slide encoder: features of all tiles to one vector in a space of its own.

    Attributes
    ----------
    tensors : mapping of str to tensor
        Weights by their names below `wsi_embedder.`.
    digest : str
        SHA-256 of the weights file.
    activation : str
        What turns raw attention into weights.
    """

    tensors: Mapping[str, Any]
    digest: str
    activation: Activation = "softmax"

    modalities: tuple[Modality, ...] = ("image",)

    @property
    def name(self) -> str:
        """`abmil-` and the first letters of the weights' digest."""
        return f"{NAME}-{self.digest[:_DIGEST_LETTERS]}"

    @property
    def feature_dim(self) -> int:
        """Length of the features it reads."""
        return int(self.tensors["pre_attn.0.weight"].shape[1])

    @property
    def n_heads(self) -> int:
        """Attention heads."""
        return max(1, sum(1 for name in self.tensors if _HEAD.fullmatch(name)))

    def aggregate(self, vectors: Vectors, features: Floats | None = None) -> Aggregate:  # noqa: ARG002 (the contract's)
        """Vector of a slide, shown by the tile with the largest weight.

        Raises
        ------
        SpaceMismatchError
            If there are no features, or of another length than the weights read.
        """
        if features is None or features.ndim != 2 or features.shape[1] != self.feature_dim:
            found = "none" if features is None else f"features of shape {features.shape}"
            raise SpaceMismatchError(
                f"Aggregator {self.name!r} reads features (n, {self.feature_dim}); got {found}. Use a space "
                f"whose image side has the encoder it was trained on, or another aggregator."
            )
        slide, attention = self._attend(features)
        return Aggregate(unit_rows(slide[None]), np.ones(1, dtype=np.float32), np.array([int(attention.argmax())]))

    def _attend(self, features: Floats) -> tuple[Floats, Floats]:
        """Slide vector `(dim,)` and the weight of each tile `(n,)`, mean over heads."""
        import torch

        with torch.inference_mode():
            tiles = self._before_attention(torch.from_numpy(np.ascontiguousarray(features, dtype=np.float32)))
            heads = self.n_heads
            several = "proj_multihead.weight" in self.tensors
            pooled, weights = [], []
            for head in range(heads):
                own = tiles[:, head::heads]
                weight = self._weights_of(own, f"attn.{head}." if several else "attn.")
                summed = (own * weight).sum(dim=0)
                pooled.append(summed / len(own) if self.activation == "sigmoid" and not several else summed)
                weights.append(weight[:, 0])
            slide = torch.stack(pooled, dim=1).reshape(-1)  # components of all heads side by side, as they came
            if several:
                slide = self._linear(slide, "proj_multihead")
            return slide.numpy().astype(np.float32), torch.stack(weights).mean(dim=0).numpy().astype(np.float32)

    def _before_attention(self, tiles: Any) -> Any:
        import torch

        for number in sorted({int(name.split(".")[1]) for name in self.tensors if name.startswith("pre_attn.")}):
            name = f"pre_attn.{number}"
            if self.tensors[f"{name}.weight"].ndim == 2:
                tiles = self._linear(tiles, name)
            else:
                weight, bias = self.tensors[f"{name}.weight"], self.tensors[f"{name}.bias"]
                tiles = torch.nn.functional.gelu(torch.nn.functional.layer_norm(tiles, weight.shape, weight, bias))
        return tiles

    def _weights_of(self, tiles: Any, where: str) -> Any:
        """Weight of each tile `(n, 1)` of one head."""
        import torch

        gated = torch.tanh(self._linear(tiles, f"{where}attention_a.0"))
        gated = gated * torch.sigmoid(self._linear(tiles, f"{where}attention_b.0"))
        raw = self._linear(gated, f"{where}attention_c")
        match self.activation:
            case "softmax":
                return torch.softmax(raw, dim=0)
            case "sigmoid":
                return torch.sigmoid(raw)
            case "relu":
                return torch.relu(raw)
            case "leaky_relu":
                return torch.nn.functional.leaky_relu(raw)

    def _linear(self, values: Any, name: str) -> Any:
        import torch

        return torch.nn.functional.linear(values, self.tensors[f"{name}.weight"], self.tensors[f"{name}.bias"])


def open_abmil(weights: Path | None = None, *, digest: str | None = None) -> AbmilAggregator:
    """Open a learned aggregator.

    Parameters
    ----------
    weights : Path, optional
        `model.safetensors`, or `model.pt` read with `weights_only=True`; a `config.json` beside it names the
        activation. By default `abmil/` in the weights folder.
    digest : str, optional
        First letters of the SHA-256 the weights must have.

    Raises
    ------
    WeightsMissingError
        If there is no such file.
    CheckpointError
        If it is damaged or of another layout.
    SpaceMismatchError
        If it has another digest.
    """
    path = weights_path(weights)
    found = file_sha256(path)
    if digest is not None and not found.startswith(digest):
        raise SpaceMismatchError(
            f"{path} has SHA-256 {found[:_DIGEST_LETTERS]}; the index was made with {digest}. Put those weights there, "
            f"or ingest into a new index."
        )
    read = {name.removeprefix(_PREFIX): tensor.float() for name, tensor in read_tensors(path).items()}
    tensors = {name: tensor for name, tensor in read.items() if not name.startswith(_OTHER_PARTS)}
    _check_layout(tensors, path)
    return AbmilAggregator(tensors, found, _activation(path.with_name(_CONFIG)))


def weights_path(weights: Path | None = None) -> Path:
    """Where the weights lie: the file given, else the one in the weights folder; raises `WeightsMissingError`."""
    path = weights or next((p for p in (weights_folder() / NAME / file for file in FILES) if p.is_file()), None)
    if path is None or not path.is_file():
        raise WeightsMissingError(
            f"The weights of slide aggregator {NAME!r} are not on this machine. Put {' or '.join(FILES)} of a TANGLE "
            f"slide encoder (CC-BY-NC-ND-4.0, github.com/mahmoodlab/TANGLE), with its config.json, into "
            f"{weights_folder() / NAME}, or set {ENVIRONMENT}; or use aggregator 'prototypes', which needs none."
        )
    return path


def _check_layout(tensors: Mapping[str, Any], path: Path) -> None:
    """Raise `CheckpointError` unless names and shapes are those of one gated attention, or of several heads."""
    heads = sum(1 for name in tensors if _HEAD.fullmatch(name))
    linear = (0, 4, 8) if heads else (0, 4)
    needed = [f"pre_attn.{number}" for layer in linear for number in (layer, layer + 1)]
    for where in [f"attn.{head}." for head in range(heads)] or ["attn."]:
        needed += [f"{where}attention_a.0", f"{where}attention_b.0", f"{where}attention_c"]
    needed += ["proj_multihead"] if heads else []
    wanted = {f"{name}.{part}" for name in needed for part in ("weight", "bias")}
    missing, extra = sorted(wanted - set(tensors)), sorted(set(tensors) - wanted)
    if missing or extra:
        problems = [
            f"{len(names)} {verb} (first {_PREFIX}{names[0]})"
            for names, verb in ((missing, "missing"), (extra, "unknown"))
            if names
        ]
        raise CheckpointError(
            f"{path} is not a slide encoder in TANGLE's layout: of {len(wanted)} tensors expected, "
            f"{'; '.join(problems)}. Give model.pt or model.safetensors of an ABMIL slide encoder."
        )
    width = tensors[f"pre_attn.{linear[-1]}.weight"].shape[0] // max(1, heads)
    first = tensors[f"{'attn.0.' if heads else 'attn.'}attention_a.0.weight"].shape[1]
    if width != first:
        raise CheckpointError(f"{path} does not fit together: attention reads {first} components, tiles have {width}.")


def _activation(config: Path) -> Activation:
    if not config.is_file():
        return "softmax"
    try:
        named = json.loads(config.read_text(encoding="utf-8")).get("activation", "softmax")
    except (OSError, ValueError, AttributeError) as error:
        raise CheckpointError(f"{config} is no configuration of a slide encoder ({error}); get it again.") from error
    known: tuple[Activation, ...] = get_args(Activation)
    for activation in known:
        if named == activation:
            return activation
    raise CheckpointError(f"{config} names activation {named!r}; expected one of {', '.join(known)}.")
