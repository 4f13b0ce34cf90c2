import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from uvicorn.protocols.http.auto import AutoHTTPProtocol

import app
import app.screens
import app.serving
from app import server
from app.cell_types import ReferenceFile
from app.errors import ShowError
from app.screens.session import Options
from app.server import serve_in_background
from app.serving.connections import send_at_once


@pytest.fixture
def taken_port():
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield holder.getsockname()[1]


def test_a_taken_port_is_one_sentence(taken_port):
    with (
        pytest.raises(ShowError, match=rf"127\.0\.0\.1:{taken_port}.*--port"),
        serve_in_background(Path("index"), taken_port),
    ):
        pass


def test_the_server_is_closed_to_others_and_sends_nothing_home():
    command = server._command(Path("index"), 8501, "127.0.0.1", None)
    flags = dict(zip(command[5::2], command[6::2], strict=False))
    assert flags["--server.address"] == "127.0.0.1"
    assert flags["--browser.gatherUsageStats"] == "false"
    assert int(flags["--server.maxUploadSize"]) <= 20
    assert flags["--client.showErrorDetails"] == "none"


def test_the_reference_reaches_the_script_whole():
    cells = ReferenceFile(Path("cells.h5ad"), "type", (("B-cells", "Plasmablasts"),))
    command = server._command(Path("index"), 8501, "127.0.0.1", cells)
    assert Options.parse(command[command.index("--") + 1 :]) == Options("index", cells)


def test_options_reach_the_script_from_any_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with serve_in_background(tmp_path / "nothing") as url:
        assert httpx.get(f"{url}/_stcore/health", trust_env=False).text == "ok"


def test_answers_leave_at_once(monkeypatch):
    met = []
    monkeypatch.setattr(AutoHTTPProtocol, "connection_made", lambda protocol, transport: met.append(transport))
    send_at_once()
    with socket.socket() as connection:
        assert not connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        transport = SimpleNamespace(get_extra_info={"socket": connection}.get)
        AutoHTTPProtocol.connection_made(None, transport)
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert met == [transport]


def test_the_server_ends_with_the_block(tmp_path):
    with serve_in_background(tmp_path / "nothing") as url:
        port = int(url.rsplit(":", 1)[1])
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.mark.parametrize("folder", [app.screens, app.serving])
def test_no_module_beside_the_script_hides_a_package(folder):
    here = Path(folder.__file__).parent
    names = {path.stem for path in here.glob("*.py")} | {path.name for path in here.iterdir() if path.is_dir()}
    assert not names & {"app", "search", "indexer", "encoders", *sys.stdlib_module_names}


def test_the_script_imports_the_real_packages(tmp_path):
    """With the folder of the script first on the path, as Streamlit has it."""
    root, here = Path(app.__file__).parents[1], Path(app.screens.__file__).parent
    code = (
        f"import sys; sys.path[:0] = [{str(here)!r}, {str(root)!r}]\n"
        "import app, encoders, indexer, search, app.screens.session\n"
        "print(*(m.__file__ for m in (app, encoders, indexer, search)), sep='\\n')"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert {Path(line).parents[1] for line in done.stdout.split()} == {root}


def test_threads_share_few_heaps_unless_told_otherwise(monkeypatch):
    code = (
        "import pyarrow as pa; from app.serving.arenas import share_heaps; share_heaps()\n"
        "print(pa.default_memory_pool().backend_name)"
    )
    for told, backend in ((None, "system"), ("mimalloc", "mimalloc")):
        if told is not None:
            monkeypatch.setenv("ARROW_DEFAULT_MEMORY_POOL", told)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == backend
