"""Text towers of open_clip models, which read gene sentences, by name."""

from pathlib import Path
from typing import Any

from encoders import omiclip
from encoders.contracts import EncoderInfo
from encoders.errors import EncoderError, UnknownEncoderError, WeightsMissingError
from encoders.open_clip_models import import_open_clip, open_clip_facts
from encoders.sentence_encoder import SentenceEncoder, TextTower
from encoders.sentences import SentenceRecipe
from encoders.weights import ENVIRONMENT, check_layout, file_sha256, read_tensors, weights_folder

_FAMILY = "open_clip/"
_FILES = ("model.safetensors", "pytorch_model.bin", "open_clip_model.safetensors")
_VISUAL = "visual."


class OpenClipText:
    """The text tower of an open_clip model with the weights of a local file, read on first use."""

    def __init__(self, architecture: str, weights: Path, *, device: str) -> None:
        config = import_open_clip().get_model_config(architecture)["text_cfg"]
        if "hf_model_name" in config or "hf_tokenizer_name" in config:
            raise EncoderError(
                f"The text tower of open_clip/{architecture} is one of Hugging Face's, which is not read here; choose "
                f"a model with open_clip's own text tower, such as open_clip/ViT-B-32."
            )
        self._context_length = int(config["context_length"])
        self._architecture, self._weights, self._device = architecture, weights, device
        self._model: Any = None
        self._tokenizer: Any = None

    @property
    def context_length(self) -> int:
        """Tokens it reads, the marks at the start and the end among them."""
        return self._context_length

    def n_tokens(self, word: str) -> int:
        """Tokens of one word."""
        return len(self._tokens().encode(word))

    def encode_texts(self, texts: list[str]) -> Any:
        """Features `float32 (n, dim)`."""
        import torch

        if self._model is None:
            self._model = self._load().eval().to(self._device)
        tokens = self._tokens()(texts, context_length=self._context_length).to(self._device)
        with torch.inference_mode():
            return self._model.encode_text(tokens).float().cpu().numpy()

    def _tokens(self) -> Any:
        if self._tokenizer is None:
            self._tokenizer = import_open_clip().SimpleTokenizer(context_length=self._context_length)
        return self._tokenizer

    def _load(self) -> Any:
        model = import_open_clip().create_model(self._architecture, load_weights=False, pretrained_text=False)
        model.visual = None
        found = {name: tensor for name, tensor in read_tensors(self._weights).items() if not name.startswith(_VISUAL)}
        what = f"the text tower of open_clip {self._architecture}"
        check_layout(found, model.state_dict(), what=what, path=self._weights)
        model.load_state_dict(found)
        return model


def open_sentences(
    name: str, recipe: SentenceRecipe, *, weights: Path | None = None, device: str = "cpu"
) -> SentenceEncoder:
    """A text tower that reads sentences of a recipe.

    Parameters
    ----------
    name : str
        `omiclip`, or `open_clip/NAME` for any open_clip model with open_clip's own text tower.
    recipe : SentenceRecipe
        Writes the sentences.
    weights : Path, optional
        Its weights; by default looked for in the weights folder.

    Raises
    ------
    UnknownEncoderError
        If there is no such text tower.
    WeightsMissingError, PackageMissingError, CheckpointError
        If weights or package are not on this machine, or the file is not that model's (on first use).
    """
    if name == omiclip.NAME:
        return omiclip.open_sentences(weights or weights_folder() / omiclip.NAME, recipe, device=device)
    if not name.startswith(_FAMILY):
        raise UnknownEncoderError(
            f"There is no expression encoder {name!r}; known are profile, mlp, {omiclip.NAME} and open_clip/NAME for a "
            f"text tower that reads gene sentences."
        )
    facts = open_clip_facts(name.removeprefix(_FAMILY))
    folder = weights_folder() / name
    path = weights or next((folder / file for file in _FILES if (folder / file).is_file()), None)
    if path is None or not path.is_file():
        raise WeightsMissingError(
            f"The weights of {name!r} are not on this machine. Put {' or '.join(_FILES)} into {folder}, or set "
            f"{ENVIRONMENT} to the folder that holds {name}/."
        )
    digest = file_sha256(path)
    info = EncoderInfo(name, digest[:12], "expression", facts.dim, facts.licence or "not stated", digest)
    tower: TextTower = OpenClipText(name.removeprefix(_FAMILY), path, device=device)
    return SentenceEncoder(tower, info=info, recipe=recipe)
