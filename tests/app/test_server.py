import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient
from streamlit import config
from uvicorn.protocols.http.auto import AutoHTTPProtocol

import app
import app.screens
import app.serving
from app import server
from app.cell_types import ReferenceFile
from app.deferred import Deferred
from app.errors import ShowError
from app.screens.session import Options
from app.server import serve_in_background
from app.serving.connections import send_at_once
from app.serving.flags import flags
from app.serving.reading_ahead import read_ahead


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
    options = flags("127.0.0.1", 8501)
    assert options["server.address"] == "127.0.0.1"
    assert options["server.allowedHosts"] == ["localhost", "127.0.0.1", "::1"]
    assert options["browser.gatherUsageStats"] is False
    assert options["server.maxUploadSize"] <= 20
    assert options["client.showErrorDetails"] == "none"


def test_streamlit_knows_the_options_and_their_kinds():
    for name, value in flags("127.0.0.1", 8501).items():
        known = config.get_config_options()[name]
        assert isinstance(value, list if known.multiple or name.startswith("theme.heading") else known.type), name


def test_the_reference_reaches_the_script_whole():
    cells = ReferenceFile(Path("cells.h5ad"), "type", (("B-cells", "Plasmablasts"),))
    assert Options.parse(server._arguments(Path("index"), cells)) == Options("index", cells)


def test_an_application_is_made_once_when_it_is_first_asked():
    made = []

    async def answer(scope, receive, send):
        await PlainTextResponse("made")(scope, receive, send)

    deferred = Deferred(lambda: made.append(1) or answer)
    client = TestClient(deferred)
    assert not made
    assert [client.get("/").text for _ in range(2)] == ["made", "made"]
    assert made == [1]


def test_an_index_is_read_ahead_as_far_as_it_is_there(small_db, tmp_path):
    for db in (small_db, tmp_path / "nothing"):
        if (thread := read_ahead(str(db))) is not None:
            thread.join(10)
            assert not thread.is_alive()


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
