"""Starts the screens: Streamlit on this machine's loopback address, with bounded uploads and no telemetry.

One process and one port serve the screens and the routes of `app.routes` (tiles of slides; others are added there).
"""

import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from app.cell_types import ReferenceFile
from app.errors import ShowError
from app.exposure import LOOPBACK
from app.serving.reading_ahead import read_ahead
from app.viewer.assets import obtain
from indexer.errors import FetchError

_LOG = logging.getLogger(__name__)
_ROOT = Path(__file__).resolve().parents[1]  # where the four packages lie


def serve_here(
    db: str | Path,
    port: int = 8501,
    address: str = LOOPBACK,
    *,
    reference: ReferenceFile | None = None,
    handed: Mapping[str, str] | None = None,
) -> None:
    """Do what `serve` does in this process: what it has imported is not imported again. Ends on SIGTERM."""
    read_ahead(str(db))
    _require_free(port, address)
    _have_viewer()
    os.environ |= handed or {}
    from app.serving.web import run

    with suppress(KeyboardInterrupt):
        run(address, port, _arguments(db, reference))


def serve(
    db: str | Path,
    port: int = 8501,
    address: str = LOOPBACK,
    *,
    reference: ReferenceFile | None = None,
    handed: Mapping[str, str] | None = None,
) -> int:
    """Show an index in the browser until interrupted, by a process of its own.

    Parameters
    ----------
    db : str or Path
        The index: a folder or an address.
    port : int
        TCP port.
    address : str
        Interface to listen on; the loopback address unless the user says otherwise.
    reference : ReferenceFile, optional
        Labelled cells for cell types; without it those of the index.
    handed : mapping, optional
        Variables for the server's process, such as the settings of the API (`app.api.handover`).

    Returns
    -------
    int
        Exit code of the server; 0 after an interrupt.

    Raises
    ------
    ShowError
        If the port is taken.
    """
    _require_free(port, address)
    _have_viewer()
    read_ahead(str(db))
    process = _start(_command(db, port, address, reference), output=None, handed=handed)
    # Whoever ends this process ends the server with it.
    previous = signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    try:
        return process.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        signal.signal(signal.SIGTERM, previous)
        _stop(process)


@contextmanager
def serve_in_background(
    db: str | Path, port: int | None = None, *, reference: ReferenceFile | None = None, wait_s: float = 60.0
) -> Iterator[str]:
    """Serve while the block runs and give the base URL, once the health endpoint answers.

    Raises
    ------
    ShowError
        If the port is taken, the server ends at once, or it does not answer within `wait_s` seconds.
    """
    address = LOOPBACK
    port = _free_port() if port is None else port
    _require_free(port, address)
    process = _start(_command(db, port, address, reference), output=subprocess.DEVNULL)
    url = f"http://{address}:{port}"
    try:
        _await_health(process, url, wait_s)
        yield url
    finally:
        _stop(process)


def _have_viewer() -> None:
    """Fetch what the slide viewer draws with, if it is not here; without it slides are shown as plain maps."""
    try:
        obtain()
    except FetchError as error:
        _LOG.warning("%s Slides are shown as plain maps until then.", error)


def _command(db: str | Path, port: int, address: str, reference: ReferenceFile | None) -> list[str]:
    return [sys.executable, "-m", "app.serving.web", address, str(port), *_arguments(db, reference)]


def _arguments(db: str | Path, reference: ReferenceFile | None) -> list[str]:
    """What the screens read."""
    found = ["--db", str(db)]
    if reference is not None:
        found += ["--reference", str(reference.path), "--reference-label", reference.label]
        found += [f"--reference-merge={cell_type}={as_type}" for cell_type, as_type in reference.merge]
    return found


def _start(
    command: list[str], *, output: int | None, handed: Mapping[str, str] | None = None
) -> "subprocess.Popen[bytes]":
    # No shell, our own interpreter and script; what the user gave are arguments of that script.
    environment = {**_environment(), **(handed or {})}
    return subprocess.Popen(command, env=environment, stdout=output, stderr=output)  # noqa: S603


def _environment() -> dict[str, str]:
    """Environment in which the four packages import from any working directory."""
    paths = [str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def _require_free(port: int, address: str) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            raise ShowError(
                f"Cannot listen on {address}:{port}: {error.strerror}. Choose another port with --port."
            ) from error


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _await_health(process: subprocess.Popen[bytes], url: str, wait_s: float) -> None:
    import httpx  # who serves in this process does without

    give_up = time.monotonic() + wait_s
    while time.monotonic() < give_up:
        if process.poll() is not None:
            raise ShowError(f"The server at {url} ended at once with exit code {process.returncode}.")
        try:
            if httpx.get(f"{url}/_stcore/health", timeout=2, trust_env=False).is_success:
                return
        except httpx.TransportError:
            pass  # not listening yet
        time.sleep(0.1)
    raise ShowError(f"The server at {url} did not answer within {wait_s:g} s.")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
