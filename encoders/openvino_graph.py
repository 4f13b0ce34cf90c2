"""A PyTorch model as an OpenVINO graph on the CPU: several times as fast, and the same rows however they are batched.

Patches go through the graph one at a time, on as many streams as PyTorch would use threads. So a row does not depend on
its batch, on the number of threads, or on where an interrupted build went on: it is equal to the last bit. Arithmetic
is float32: bfloat16 would be 1.6 times as fast, but moves vectors of `mini` by up to 7 parts in 1,000.
"""

import importlib.util
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from types import ModuleType
from typing import Any, cast

import numpy as np

from encoders.contracts import Floats, Patches

_PACKAGE = "openvino"
_TELEMETRY = "openvino_telemetry"


def has_openvino() -> bool:
    """Whether the package is installed; it is not imported."""
    return importlib.util.find_spec(_PACKAGE) is not None


def import_openvino() -> Any:
    """The package, with its reports to its makers switched off.

    On import and at conversions OpenVINO sends events through the package `openvino_telemetry`; where that cannot be
    imported it uses a stub of its own that sends nothing. So, in this process, it cannot be imported.
    """
    sys.modules.setdefault(_TELEMETRY, cast("ModuleType", None))
    import openvino

    return openvino


class OpenVinoGraph:
    """A model from patches of one size to features, compiled. Several threads may use it, one after the other.

    Parameters
    ----------
    graph : openvino.Model
        From `convert` or `read_graph`.
    """

    def __init__(self, graph: Any) -> None:
        self._openvino = import_openvino()
        n_streams = n_threads()
        options = {
            "INFERENCE_PRECISION_HINT": "f32",
            "NUM_STREAMS": n_streams,
            "INFERENCE_NUM_THREADS": n_streams,
            "ENABLE_CPU_PINNING": False,  # several builds may share the machine
        }
        compiled = self._openvino.Core().compile_model(graph, "CPU", options)
        self._queue = self._openvino.AsyncInferQueue(compiled, n_streams)
        self._queue.set_callback(_keep_row)
        self._lock = Lock()

    @property
    def name(self) -> str:
        """Runtime, version and arithmetic."""
        version = str(self._openvino.__version__).split("-", maxsplit=1)[0]
        return f"OpenVINO {version}, float32"

    def run(self, patches: Patches) -> Floats:
        """Features `float32 (n, dim)` of uint8 patches `(n, height, width, 3)`, at least one."""
        images = np.require(patches, requirements=["C", "W"])
        rows: dict[int, Floats] = {}
        with self._lock:  # a queue serves one caller at a time
            for i in range(len(images)):
                image = self._openvino.Tensor(images[i : i + 1], shared_memory=True)
                self._queue.start_async({0: image}, (rows, i))
            self._queue.wait_all()
        return np.stack([rows[i] for i in range(len(images))])


def _keep_row(request: Any, place: tuple[dict[int, Floats], int]) -> None:
    rows, i = place
    rows[i] = np.array(request.get_output_tensor().data[0], dtype=np.float32)


def n_threads() -> int:
    """As many as PyTorch would use; it is not imported for that."""
    if "torch" in sys.modules:
        return int(sys.modules["torch"].get_num_threads())
    asked = os.environ.get("OMP_NUM_THREADS", "")
    if asked.isdecimal() and int(asked) > 0:
        return int(asked)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def read_graph(path: Path) -> Any:
    """A graph that was kept. Raises `RuntimeError` if it is damaged."""
    return import_openvino().Core().read_model(path)


def convert(forward: Callable[[Any], Any], example: Patches) -> Any:
    """Convert a model for patches of one size, one at a time.

    Parameters
    ----------
    forward : callable
        Features `float32 (n, dim)` of a tensor uint8 `(n, height, width, 3)`; not kept.
    example : uint8 (n, height, width, 3)
        At least one patch of that size; the model is traced on it.

    Raises
    ------
    RuntimeError, TypeError, ValueError
        If the tracer or the converter does not know an operation.
    """
    graph = _convert(import_openvino(), forward, example)
    graph.reshape({graph.inputs[0]: [1, *example.shape[1:]]})
    return graph


def _convert(openvino: Any, forward: Callable[[Any], Any], example: Patches) -> Any:
    import torch

    class Traced(torch.nn.Module):
        def forward(self, pixels: torch.Tensor) -> Any:
            return forward(pixels)

    # Two patches: a model traced on one may take the size of the batch for a constant.
    pixels = torch.from_numpy(np.repeat(example[:1], 2, axis=0))
    jit: Any = torch.jit  # does not list its warning
    with torch.no_grad(), warnings.catch_warnings(), _root_logger_as_it_is():
        # Models compare sizes in Python, which tracing makes constants of; what comes out is compared with PyTorch.
        warnings.simplefilter("ignore", category=jit.TracerWarning)
        warnings.simplefilter("ignore", category=DeprecationWarning)
        return openvino.convert_model(Traced(), example_input=pixels)


@contextmanager
def _root_logger_as_it_is() -> Iterator[None]:
    """Undo what a conversion does to the logging of the whole process: it silences all warnings."""
    root = logging.getLogger()
    level, filters, handlers = root.level, list(root.filters), list(root.handlers)
    try:
        yield
    finally:
        root.setLevel(level)
        root.filters[:], root.handlers[:] = filters, handlers
