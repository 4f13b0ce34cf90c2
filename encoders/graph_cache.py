"""Converted graphs, kept in the cache folder: only the first run on a machine converts, and needs PyTorch for it.

A graph is kept under a digest of all that decides it: weights, the code that runs them, the packages that convert.
It was compared with PyTorch before it was kept.
"""

import hashlib
import inspect
import logging
import os
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from encoders.weights import cache_folder

_LOG = logging.getLogger(__name__)
_PACKAGES = ("openvino", "torch", "timm")


def identity_of(network: type, weights_sha256: str) -> str:
    """What decides the graph of a network besides the size of patches: its weights, its code, the packages."""
    source = Path(inspect.getfile(network)).read_bytes()
    return " ".join(
        [network.__qualname__, weights_sha256, hashlib.sha256(source).hexdigest(), *map(_version, _PACKAGES)]
    )


def graph_path(identity: str, size: tuple[int, ...]) -> Path:
    """Where the graph for patches of a size is kept, whether it is there or not."""
    digest = hashlib.sha256(f"{identity} {size}".encode()).hexdigest()
    return cache_folder() / "graphs" / f"{digest[:32]}.xml"


def is_whole(path: Path) -> bool:
    """Whether a graph is there with the bytes it was kept with: features of damaged weights would go unnoticed."""
    try:
        return path.with_suffix(".sha256").read_text(encoding="ascii") == _digest(path)
    except (OSError, UnicodeDecodeError):
        return False


def keep_graph(openvino: Any, graph: Any, path: Path) -> bool:
    """Keep a graph in one step; False, and said, if the cache folder cannot be written."""
    part = path.with_name(f"{path.stem}.{os.getpid()}.xml")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        openvino.save_model(graph, part, compress_to_fp16=False)
        digest = part.with_suffix(".sha256")
        digest.write_text(_digest(part), encoding="ascii")
        for suffix in (".bin", ".xml", ".sha256"):  # the digest last: without it, the others are not there
            part.with_suffix(suffix).replace(path.with_suffix(suffix))
    except (OSError, RuntimeError) as error:  # OpenVINO's own, where it cannot write
        _LOG.info("The converted model is not kept, so the next run converts it again: %s", error)
        return False
    return True


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    for suffix in (".xml", ".bin"):
        with path.with_suffix(suffix).open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"
