"""Weights files on this machine: the folder they go to, and how they are read, which is never by unpickling objects.

`HISTOSEEK_WEIGHTS` names the folder, by default `weights` in the cache folder (`HISTOSEEK_CACHE_DIR`); each encoder has
a sub-folder of its own name. Files are `safetensors`, or PyTorch files read with `weights_only=True`, which builds
tensors and plain containers only.
"""

import hashlib
import os
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from encoders.errors import CheckpointError, WeightsMissingError

ENVIRONMENT = "HISTOSEEK_WEIGHTS"
_CACHE_ENVIRONMENT = "HISTOSEEK_CACHE_DIR"
_CACHE = "~/.cache/histoseek"
_CONTAINERS = ("state_dict", "model")
_PREFIX = "module."


def weights_folder() -> Path:
    """Folder of `HISTOSEEK_WEIGHTS`; by default `weights` in the cache folder, `~/.cache/histoseek`."""
    chosen = os.environ.get(ENVIRONMENT)
    return Path(chosen).expanduser() if chosen else cache_folder() / "weights"


def cache_folder() -> Path:
    """Folder of `HISTOSEEK_CACHE_DIR`; by default `~/.cache/histoseek`."""
    return Path(os.environ.get(_CACHE_ENVIRONMENT) or _CACHE).expanduser()


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, read in pieces."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_tensors(path: Path) -> dict[str, Any]:
    """Tensors of a weights file by name, on the CPU, mapped into memory where the format allows.

    Checkpoints of a training run are opened up: their weights are taken from `state_dict` or `model`, the rest
    (optimiser, epoch) is left, and the prefix `module.` of distributed training is removed.

    Raises
    ------
    WeightsMissingError
        If there is no such file.
    CheckpointError
        If it is cut off or damaged, holds objects other than tensors, or has no weights.
    """
    if not path.is_file():
        raise WeightsMissingError(f"There is no file {path}; expected weights as .safetensors, .bin, .pt or .pth.")
    loaded = _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)
    return _weights_of(loaded, path)


def read_tensor(path: Path) -> Any:
    """The one tensor of a PyTorch file, such as CLAM's features of a slide, on the CPU.

    Raises
    ------
    WeightsMissingError
        If there is no such file.
    CheckpointError
        If it is cut off or damaged, or holds something else.
    """
    import torch

    if not path.is_file():
        raise WeightsMissingError(f"There is no file {path}; expected one tensor as .pt.")
    loaded = _read_torch(path)
    if not isinstance(loaded, torch.Tensor):
        raise CheckpointError(f"{path} holds {type(loaded).__name__}; expected one tensor.")
    return loaded


def _read_safetensors(path: Path) -> dict[str, Any]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return dict(load_file(path))
    except SafetensorError as error:
        raise CheckpointError(f"{path} is cut off or not a safetensors file ({error}); get it again.") from error


def _read_torch(path: Path) -> Any:
    import torch

    with path.open("rb") as stream:
        zipped = stream.read(2) == b"PK"
    if zipped and not zipfile.is_zipfile(path):
        raise CheckpointError(
            f"{path} is cut off: it has {path.stat().st_size:,} bytes and its end is missing. Get it again and compare "
            f"its size with the source's."
        )
    try:
        with torch.serialization.safe_globals(_plain_numbers()):
            return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} is not a PyTorch weights file, or holds objects other than tensors, which are never unpickled "
            f"({_first_line(error)}). Save its state dict alone, as safetensors, where you trust it."
        ) from error
    except (RuntimeError, EOFError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"{path} is damaged ({_first_line(error)}); get it again.") from error


def _plain_numbers() -> list[Any]:
    """NumPy scalars, which training runs keep beside their weights; building one runs no code of the file."""
    import numpy as np

    # Both names are in use: NumPy moved the function between versions 1 and 2.
    scalar = np.float64(0).__reduce__()[0]
    kinds = [type(np.dtype(code)) for code in ("f4", "f8", "i4", "i8", "?")]
    return [(scalar, "numpy.core.multiarray.scalar"), (scalar, "numpy._core.multiarray.scalar"), np.dtype, *kinds]


def _weights_of(loaded: Any, path: Path) -> dict[str, Any]:
    import torch

    for key in _CONTAINERS:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(key), Mapping):
            loaded = loaded[key]
            break
    named = isinstance(loaded, Mapping) and loaded and all(isinstance(value, torch.Tensor) for value in loaded.values())
    if not named:
        found = f"the entries {', '.join(map(str, list(loaded)[:5]))}" if isinstance(loaded, Mapping) else type(loaded)
        raise CheckpointError(
            f"{path} holds {found}; expected tensors by name, as such or under {' or '.join(map(repr, _CONTAINERS))}."
        )
    return {str(name).removeprefix(_PREFIX): tensor for name, tensor in loaded.items()}


def check_layout(found: Mapping[str, Any], expected: Mapping[str, Any], *, what: str, path: Path) -> None:
    """Compare names and shapes of tensors with those a model has.

    Parameters
    ----------
    found, expected : mapping of str to tensor
        Weights read, and the weights of the model they should fit.
    what : str
        The model, for the message.

    Raises
    ------
    CheckpointError
        If a name is missing or too many, or a shape differs; names the first of them.
    """
    missing = [name for name in expected if name not in found]
    extra = [name for name in found if name not in expected]
    differing = [
        f"{name} {tuple(found[name].shape)}, expected {tuple(tensor.shape)}"
        for name, tensor in expected.items()
        if name in found and tuple(found[name].shape) != tuple(tensor.shape)
    ]
    problems = [
        f"{len(names)} {verb} (first {names[0]})"
        for verb, names in (("missing", missing), ("unknown", extra), ("of another shape", differing))
        if names
    ]
    if problems:
        raise CheckpointError(
            f"{path} is not a checkpoint of {what}: of {len(expected)} tensors expected and {len(found)} found, "
            f"{'; '.join(problems)}. Give the file of that model."
        )


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
