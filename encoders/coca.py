"""The two towers of an open_clip CoCa model, image and text, from one safetensors file; its decoder is not kept.

Yu et al., TMLR 2022 (CoCa). The file holds `visual.*`, `text.*` and `logit_scale`, and in its metadata the model
configuration in open_clip's own form.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from encoders.errors import CheckpointError, SpaceMismatchError, WeightsMissingError
from encoders.inference import check_device
from encoders.open_clip_models import import_open_clip
from encoders.weights import check_layout, file_sha256

_CONFIG = "open_clip_config"
_DECODER = "text_decoder."
Config = Mapping[str, Any]


def coca_config(architecture: str) -> Config:
    """Configuration of a CoCa model of open_clip, such as `coca_ViT-L-14`."""
    config: Config = import_open_clip().get_model_config(architecture)
    return config


def keep_towers(tensors: Mapping[str, Any], config: Config, *, what: str, path: Path) -> dict[str, Any]:
    """Tensors of the two towers of a whole CoCa checkpoint.

    Raises
    ------
    CheckpointError
        If their names or shapes are not those of the configuration.
    """
    towers = {name: tensor for name, tensor in tensors.items() if not name.startswith(_DECODER)}
    check_layout(towers, _empty(config).state_dict(), what=what, path=path)
    return {name: tensor.contiguous() for name, tensor in towers.items()}


def write_towers(tensors: dict[str, Any], config: Config, path: Path) -> None:
    """Write towers with their configuration."""
    from safetensors.torch import save_file

    save_file(tensors, path, metadata={_CONFIG: json.dumps(config)})


def read_config(path: Path) -> Config:
    """Configuration written beside towers; the file's length is checked against its header, the rest is not read.

    Raises
    ------
    WeightsMissingError
        If there is no such file.
    CheckpointError
        If it is cut off, or was not written by `write_towers`.
    """
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise WeightsMissingError(f"{path} is missing; convert the checkpoint again (`histoseek encoders convert`).")
    try:
        with safe_open(path, framework="numpy") as stored:
            metadata = stored.metadata() or {}
    except SafetensorError as error:
        raise CheckpointError(f"{path} is cut off or damaged ({error}); convert the checkpoint again.") from error
    if _CONFIG not in metadata:
        raise CheckpointError(f"{path} was not written by `histoseek encoders convert`; convert the checkpoint.")
    config: Config = json.loads(metadata[_CONFIG])
    return config


class CocaTowers:
    """Image and text tower with one file of weights, read on first use and checked against its digest.

    Parameters
    ----------
    path : Path
        Written by `write_towers`.
    sha256 : str
        Digest the file must have.
    device : str
        A torch device.
    """

    def __init__(self, path: Path, *, sha256: str, device: str) -> None:
        self.config = read_config(path)
        self._path, self._sha256, self._device = path, sha256, device
        self._model: Any = None
        self._tokenizer: Any = None

    @property
    def context_length(self) -> int:
        """Tokens the text tower reads, the marks at the start and the end among them."""
        return int(self.config["text_cfg"]["context_length"])

    def model(self) -> Any:
        """The open_clip model without its decoder, in evaluation mode.

        Raises
        ------
        PackageMissingError
            If open_clip is not installed.
        SpaceMismatchError
            If the file is not the one the card names.
        """
        if self._model is None:
            check_device(self._device)
            self._model = self._load().eval().requires_grad_(requires_grad=False).to(self._device)
        return self._model

    def n_tokens(self, word: str) -> int:
        """Tokens of one word; those of a text are the sum over its words."""
        return len(self._tokens().encode(word))

    def encode_texts(self, texts: list[str]) -> Any:
        """Features `float32 (n, dim)` of texts, cut after `context_length` tokens as open_clip cuts them."""
        import torch

        tokens = self._tokens()(texts, context_length=self.context_length).to(self._device)
        with torch.inference_mode():
            return self.model().encode_text(tokens, normalize=False).float().cpu().numpy()

    def encode_images(self, images: Any) -> Any:
        """Features `(n, dim)` of normalised images."""
        return self.model().encode_image(images, normalize=False)

    def _tokens(self) -> Any:
        if self._tokenizer is None:
            self._tokenizer = import_open_clip().SimpleTokenizer(context_length=self.context_length)
        return self._tokenizer

    def _load(self) -> Any:
        from safetensors.torch import load_file

        model = _empty(self.config)
        found = file_sha256(self._path)
        if found != self._sha256:
            raise SpaceMismatchError(
                f"{self._path} has SHA-256 {found[:12]}, its card says {self._sha256[:12]}; the two files do not "
                f"belong together. Convert the checkpoint again."
            )
        model.load_state_dict(load_file(self._path), assign=True)
        # The one buffer that no checkpoint holds.
        model.text.attn_mask = model.text.build_causal_mask()
        return model


def _empty(config: Config) -> Any:
    """A CoCa model without its decoder and without memory for its weights."""
    import torch

    open_clip = import_open_clip()
    parts = ("embed_dim", "vision_cfg", "text_cfg", "multimodal_cfg")
    with torch.device("meta"):
        model = open_clip.CoCa(**{part: config[part] for part in parts})
    del model.text_decoder
    return model
