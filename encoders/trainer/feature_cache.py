"""Features of patches kept on disk by the digest of all that decides them, so that a second run encodes nothing."""

import hashlib
import logging
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from encoders.contracts import Floats, Patches

_LOG = logging.getLogger(__name__)
_KEY = "features"


class FeatureCache:
    """A folder of safetensors files, one a batch of features.

    Parameters
    ----------
    folder : Path or None
        `None` keeps nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def features(self, key: str, n_rows: int, compute: Callable[[], Floats]) -> Floats:
        """The features kept under `key`, or those that `compute` gives, which are then kept.

        A file that is cut off or has another number of rows is computed again, and said so in the log.
        """
        if self._folder is None:
            return compute()
        path = self._folder / f"{key}.safetensors"
        found = _read(path, n_rows)
        if found is None:
            found = np.ascontiguousarray(compute(), dtype=np.float32)
            _write(path, found)
        return found


def key_of(patches: Patches, *parts: str) -> str:
    """Digest of patches and of what is done with them, such as tower, weights, stain and view."""
    digest = hashlib.sha256("\n".join(parts).encode())
    digest.update(str(patches.shape).encode())
    digest.update(np.ascontiguousarray(patches).data)
    return digest.hexdigest()


def _read(path: Path, n_rows: int) -> Floats | None:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        found: Floats = load(path.read_bytes())[_KEY]
    except FileNotFoundError:
        return None
    except (SafetensorError, KeyError) as error:
        _LOG.warning("Kept features %s cannot be read (%s); they are computed again.", path.name, error)
        return None
    if len(found) != n_rows:
        _LOG.warning("Kept features %s have %d rows, not %d; they are computed again.", path.name, len(found), n_rows)
        return None
    return found


def _write(path: Path, features: Floats) -> None:
    from safetensors.numpy import save

    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(save({_KEY: features}))
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)
