"""The one place where image models run: OpenVINO on a CPU where it is installed, PyTorch on a GPU or without it.

On two cores the backbone of `mini` encodes 20 times as many tiles a second through OpenVINO as through PyTorch as it
comes, and four times as many as through PyTorch with its fastest layout (`docs/tried.md`). A converted model is only
used if it gives what PyTorch gives on the first patch it sees.
"""

import logging
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

import numpy as np

from encoders.contracts import Floats, Patches
from encoders.errors import EncoderError
from encoders.graph_cache import graph_path, is_whole, keep_graph
from encoders.openvino_graph import OpenVinoGraph, convert, has_openvino, import_openvino, read_graph

_LOG = logging.getLogger(__name__)
_BATCH = 32
_GPU_BATCH = 1_024  # halved where it does not fit
_TOLERANCE = 1e-3  # of a row's length; a thousandth of it turns the row by a cosine of 1 - 5e-7

#: Features `(n, dim)` of a tensor of uint8 patches `(n, side, side, 3)`, normalisation included.
Forward = Callable[[Any], Any]


class Runtime(Protocol):
    """Something that runs a model."""

    @property
    def name(self) -> str:
        """Runtime, version and arithmetic."""

    def run(self, patches: Patches) -> Floats:
        """Features `float32 (n, dim)` of uint8 patches `(n, side, side, 3)`, at least one."""


class TorchRuntime:
    """PyTorch: on a CPU in float32 and batches of 32, on a GPU in bfloat16 and in batches as large as are given.

    Parameters
    ----------
    forward : callable
        The model.
    device : str
        A torch device.
    bfloat16 : bool
        Compute in bfloat16 where the operations allow it; rows are float32 either way.
    """

    def __init__(self, forward: Forward, device: str, *, bfloat16: bool = False) -> None:
        self._forward = forward
        self._device = device
        self._bfloat16 = bfloat16
        self._batch = _GPU_BATCH if device.startswith("cuda") else _BATCH

    @property
    def name(self) -> str:
        """Runtime, version and arithmetic."""
        import torch

        return f"PyTorch {torch.__version__} on {self._device}, {'bfloat16' if self._bfloat16 else 'float32'}"

    def run(self, patches: Patches) -> Floats:
        """Features `float32 (n, dim)` of uint8 patches `(n, side, side, 3)`, at least one."""
        import torch

        rows: list[Floats] = []
        start = 0
        while start < len(patches):
            try:
                rows.append(self._rows(patches[start : start + self._batch]))
            except torch.OutOfMemoryError:
                if self._batch == 1:
                    raise
                self._batch = max(1, min(self._batch, len(patches)) // 2)
                torch.cuda.empty_cache()
                _LOG.info("The memory of %s is full; patches go through it %d at a time.", self._device, self._batch)
            else:
                start += len(rows[-1])
        return np.concatenate(rows)

    def _rows(self, patches: Patches) -> Floats:
        import torch

        kind = self._device.partition(":")[0]
        with torch.inference_mode(), torch.autocast(kind, dtype=torch.bfloat16, enabled=self._bfloat16):
            pixels = torch.from_numpy(np.ascontiguousarray(patches)).to(self._device)
            rows: Floats = self._forward(pixels).float().cpu().numpy()
        return rows


class PatchModel:
    """A model that is built on first use and run by the runtime that suits its device.

    It is built once for each size of patches, as converted models know one size; encoders have one.

    Parameters
    ----------
    load : callable
        Gives the model on `device`, its parameters without gradients.
    name : str
        Named in messages.
    dim : int
        Length of a row, for calls without patches.
    device : str
        A torch device: `cpu`, `cuda`, `cuda:1`.
    identity : str
        What decides the model (`graph_cache.identity_of`), so that its conversion is kept; empty converts each time.
    """

    def __init__(
        self, load: Callable[[], Forward], *, name: str, dim: int, device: str = "cpu", identity: str = ""
    ) -> None:
        self._load = load
        self._identity = identity
        self._lock = Lock()
        self._name = name
        self._dim = dim
        self._device = device
        self._runtimes: dict[tuple[int, ...], Runtime] = {}

    @property
    def runtime(self) -> str:
        """What runs the model; empty before its first patch."""
        return next((runtime.name for runtime in self._runtimes.values()), "")

    def __call__(self, patches: Patches) -> Floats:
        """Features `float32 (n, dim)` of uint8 patches `(n, side, side, 3)`.

        Raises
        ------
        EncoderError
            If a GPU was asked for and torch sees none; and what `load` raises.
        """
        if not len(patches):
            return np.empty((0, self._dim), dtype=np.float32)
        size = patches.shape[1:]
        with self._lock:
            if size not in self._runtimes:
                check_device(self._device)
                self._runtimes[size] = self._made(patches[:1])
                _LOG.info("%s is run by %s.", self._name, self._runtimes[size].name)
        return self._runtimes[size].run(patches)

    def _made(self, example: Patches) -> Runtime:
        path = graph_path(self._identity, example.shape[1:]) if self._identity else None
        if self._device == "cpu" and path is not None and is_whole(path) and has_openvino():
            try:
                return OpenVinoGraph(read_graph(path))
            except RuntimeError:  # cut short, or of another machine's making
                _LOG.info("The kept graph of %s cannot be read; it is converted again.", self._name)
        return _choose(self._load(), self._device, example, self._name, path)


def _has_bfloat16(device: str) -> bool:
    """Whether a device is a GPU that computes in bfloat16."""
    if not device.startswith("cuda"):
        return False
    import torch

    return bool(torch.cuda.is_bf16_supported())


def check_device(device: str) -> None:
    """Raise `EncoderError` if a GPU is asked for and torch sees none."""
    if not device.startswith("cuda"):
        return
    import torch

    if not torch.cuda.is_available():
        raise EncoderError(f"Device {device!r} was asked for, but torch sees no GPU. Use device 'cpu'.")


def _choose(forward: Forward, device: str, example: Patches, name: str, path: Path | None) -> Runtime:
    torch_runtime = TorchRuntime(forward, device, bfloat16=_has_bfloat16(device))
    if device != "cpu":
        return torch_runtime
    if not has_openvino():
        _LOG.info('%s would be several times as fast with OpenVINO: `pip install "openvino>=2025.0"`.', name)
        return torch_runtime
    expected = torch_runtime.run(example)
    try:
        converted = convert(forward, example)
        graph = OpenVinoGraph(converted)
        found = graph.run(example)
    except (RuntimeError, TypeError, ValueError):  # what the tracer and the converter raise at unknown operations
        _LOG.warning("OpenVINO cannot run %s; PyTorch does, more slowly.", name, exc_info=True)
        return torch_runtime
    if found.shape == expected.shape and np.linalg.norm(found - expected) <= _TOLERANCE * np.linalg.norm(expected):
        if path is not None and keep_graph(import_openvino(), converted, path):
            return OpenVinoGraph(read_graph(path))  # this run computes with what later ones will
        return graph
    _LOG.warning("OpenVINO gives other features of %s than PyTorch, which is used instead, more slowly.", name)
    return torch_runtime
