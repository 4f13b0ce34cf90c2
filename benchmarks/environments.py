"""Environments of the peers: each made once in the cache folder, with what the project has visible behind it."""

import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

from indexer.settings import Settings


class PeerError(Exception):
    """A peer that cannot be measured, with the reason."""


def python_with(environment: str, name: str, packages: Sequence[str], *, shares_project: bool = True) -> Path:
    """Interpreter of an environment in which packages are installed under a name first; raises `PeerError`.

    What the project has installed is visible in it, unless its packages would not get along with that.
    """
    folder = Settings().cache_dir / "benchmarks" / environment
    python = folder / "bin" / "python"
    if not python.exists():
        _run([sys.executable, "-m", "venv", str(folder)])
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        # What the project has is not installed again; the peers' own packages come first on the path.
        if shares_project:
            (folder / "lib" / version / "site-packages" / "project.pth").write_text(sysconfig.get_path("purelib"))
    noted = folder / f"{name}.installed"
    if not noted.exists():
        _run([str(python), "-m", "pip", "install", "--quiet", *packages])
        noted.touch()
    return python


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # fixed commands
    if done.returncode:
        raise PeerError(f"not installed: {(done.stderr.strip().splitlines() or ['no reason given'])[-1][:200]}")
