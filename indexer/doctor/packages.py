"""The packages: those that HistoSeek declares, in the versions it declares, and those that must fit each other."""

import importlib.util
import platform
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version

from packaging.requirements import Requirement

from indexer.doctor.findings import Finding

_SELF = "histoseek"
#: Packages whose C library the version of the Python package does not tell.
_FAISS = ("faiss-cpu", "faiss-gpu", "faiss-gpu-cu12", "faiss-gpu-cuvs")
_FASTER = "pip install 'histoseek[cpu]'"


def look_at_packages() -> list[Finding]:
    """Python, the declared packages, and the libraries behind some of them."""
    return [_python(), *_declared(), _openslide(), _faiss(), _openvino(), *_pairs()]


def _python() -> Finding:
    return Finding("packages", "Python", f"{platform.python_version()} ({sys.prefix})")


def _declared() -> Iterator[Finding]:
    """One line for all that is well, one for each package that is not."""
    try:
        wanted = [Requirement(text) for text in requires(_SELF) or ()]
    except PackageNotFoundError:
        step = "Install HistoSeek: `pip install -e .` in its folder."
        yield Finding("packages", _SELF, "not installed; its packages cannot be compared", "note", step)
        return
    base = [one for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})]
    wrong = [finding for one in base if (finding := _compared(one)) is not None]
    yield Finding(
        "packages", "declared", f"HistoSeek {version(_SELF)}, {len(base) - len(wrong)} of {len(base)} as declared"
    )
    yield from wrong


def _compared(wanted: Requirement) -> Finding | None:
    try:
        found = version(wanted.name)
    except PackageNotFoundError:
        return Finding("packages", wanted.name, "not installed", "broken", f"pip install '{wanted}'")
    if wanted.specifier.contains(found, prereleases=True):
        return None
    return Finding("packages", wanted.name, f"{found}; {wanted.specifier} is tested", "note", f"pip install '{wanted}'")


def _openslide() -> Finding:
    try:
        import openslide
    except (ImportError, OSError) as error:
        step = "pip install openslide-bin, which carries the library."
        return Finding("packages", "OpenSlide", f"its library does not load: {error}", "broken", step)
    library = str(openslide.__library_version__)
    if int(library.partition(".")[0]) < 4:
        step = "pip install openslide-bin: library 4 reads DICOM and more scanners."
        return Finding("packages", "OpenSlide", f"library {library}", "note", step)
    return Finding("packages", "OpenSlide", f"library {library}, Python package {openslide.__version__}")


def _faiss() -> Finding:
    installed = [name for name in _FAISS if _installed(name)]
    if len(installed) > 1:
        step = f"pip uninstall {' '.join(installed)}, then install one of them: both own the module `faiss`."
        return Finding("packages", "FAISS", " and ".join(installed), "broken", step)
    if not installed:
        return Finding("packages", "FAISS", "not installed: no index can be searched fast", "broken", _FASTER)
    try:
        import faiss
    except (ImportError, OSError) as error:
        step = f"pip install --force-reinstall {installed[0]}"
        return Finding("packages", "FAISS", f"{installed[0]} does not load: {error}", "broken", step)
    build = " ".join(faiss.get_compile_options().split())
    gpus = int(faiss.get_num_gpus()) if hasattr(faiss, "get_num_gpus") else 0
    on = f", {gpus} graphics cards" if gpus else ""
    return Finding("packages", "FAISS", f"{installed[0]} {version(installed[0])}, built for {build or 'any CPU'}{on}")


def _openvino() -> Finding:
    if importlib.util.find_spec("openvino") is None:
        step = f"{_FASTER}: several times as many tiles a second on a CPU."
        return Finding("packages", "OpenVINO", "not installed; PyTorch encodes", "note", step)
    return Finding("packages", "OpenVINO", f"{version('openvino')}, encodes on the CPU")


def _pairs() -> Iterator[Finding]:
    """Torchvision names the one torch it was compiled for."""
    if not (_installed("torch") and _installed("torchvision")):
        return
    wanted = next((one for text in requires("torchvision") or () if (one := Requirement(text)).name == "torch"), None)
    found = version("torch").partition("+")[0]
    if wanted is None or wanted.specifier.contains(found, prereleases=True):
        yield Finding("packages", "torch and torchvision", f"{version('torch')} and {version('torchvision')} fit")
        return
    step = f"pip install 'torch{wanted.specifier}', or the torchvision of torch {found}, from one source for both."
    said = f"torchvision {version('torchvision')} was built for torch{wanted.specifier}, {version('torch')} is here"
    yield Finding("packages", "torch and torchvision", said, "note", step)


def _installed(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True
