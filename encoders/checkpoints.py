"""The state of an unfinished training in one safetensors file, written all at once and never unpickled."""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from encoders.errors import TrainingError

Array = npt.NDArray[np.generic]
_EPOCHS = "epochs"
_RUN = "run"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where a training stands after an epoch.

    Attributes
    ----------
    run : str
        Digest of recipe and data: only the same training may go on from here.
    epochs : int
        Epochs done.
    arrays : dict of str to array
        Parameters, optimiser state and the best parameters so far.
    """

    run: str
    epochs: int
    arrays: dict[str, Array]

    def save(self, path: Path) -> None:
        """Write beside `path`, then rename: a kill leaves the last whole checkpoint."""
        from safetensors.numpy import save

        path.parent.mkdir(parents=True, exist_ok=True)
        texts = {_RUN: np.frombuffer(self.run.encode(), dtype=np.uint8), _EPOCHS: np.array([self.epochs])}
        handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(save({key: np.ascontiguousarray(v) for key, v in {**self.arrays, **texts}.items()}))
            Path(name).replace(path)
        finally:
            Path(name).unlink(missing_ok=True)


def read_checkpoint(path: Path, *, run: str, shapes: dict[str, tuple[int, ...]]) -> Checkpoint:
    """The checkpoint at `path`, if it is one of this run.

    Parameters
    ----------
    path : Path
        A file that exists.
    run : str
        Digest that the checkpoint must carry.
    shapes : dict of str to tuple of int
        Arrays it must hold.

    Raises
    ------
    TrainingError
        If the file is not a checkpoint, or one of another recipe, other data or another architecture.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        arrays = load(path.read_bytes())
        found, epochs = arrays.pop(_RUN).tobytes().decode(), int(arrays.pop(_EPOCHS)[0])
    except (SafetensorError, KeyError, UnicodeDecodeError) as error:
        raise TrainingError(f"{path} is not a training checkpoint ({error}); delete it to start afresh.") from error
    for name, shape in shapes.items():
        if name not in arrays or arrays[name].shape != shape:
            there = arrays[name].shape if name in arrays else "missing"
            raise TrainingError(
                f"{path} is a checkpoint of another architecture: {name} is {there}, this run needs {shape}. Go on "
                f"with the recipe it was made with, or delete it to start afresh."
            )
    if found != run:
        raise TrainingError(
            f"{path} is a checkpoint of another recipe or other data ({found[:12]}, this run is {run[:12]}). Go on "
            f"with those it was made with, or delete it to start afresh."
        )
    return Checkpoint(run, epochs, arrays)
