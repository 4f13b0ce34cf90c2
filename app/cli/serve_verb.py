"""`histoseek serve`: the app in the browser, or the HTTP API alone."""

from pathlib import Path
from typing import Annotated

import typer

from app.cell_types import DEFAULT_LABEL, ReferenceFile
from app.cli.options import DEFAULT_DB, Db, Label, Merge, reference_file, with_options
from app.cli.output import say
from app.cli.serve_options import ApiOptions
from app.exposure import LOOPBACK, check_exposure, is_loopback, login_of

Port = Annotated[int, typer.Option("--port", min=1, max=65535, help="TCP port.")]
Address = Annotated[str, typer.Option("--address", help="Interface to listen on; this machine only by default.")]
Reference = Annotated[Path | None, typer.Option("--reference", help="Labelled cells (.h5ad) for cell types.")]
ApiAlone = Annotated[bool, typer.Option("--api", help="Serve the HTTP API alone, without the screens.")]

_KEYS = "Give callers keys with --api-keys (`histoseek api-key NAME` makes them)."
_LOGIN = "Configure a login: [auth] in .streamlit/secrets.toml (OIDC)."


def register(command: typer.Typer) -> None:
    """Add the verb to `command`."""
    command.command("serve")(serve)


@with_options(ApiOptions)
def serve(
    *,
    db: Db = DEFAULT_DB,
    port: Port = 8501,
    address: Address = LOOPBACK,
    api: ApiAlone = False,
    reference: Reference = None,
    label: Label = DEFAULT_LABEL,
    merge: Merge = None,
    options: ApiOptions,
) -> None:
    """Show an index in the browser, or serve its HTTP API, until interrupted."""
    if merge and reference is None:
        raise typer.BadParameter("--merge changes a reference; give one with --reference.")
    cells = reference_file(reference, label, merge)
    if cells is not None:
        cells.check()
    if api:
        _serve_api(db, port, address, cells, options)
        return
    _serve_screens(db, port, address, cells, options)


def _serve_screens(db: str, port: int, address: str, cells: ReferenceFile | None, options: ApiOptions) -> None:
    from app.api.audit import environment_of_log, log_at
    from app.api.handover import PATH, environment_of
    from app.server import serve_here
    from search.engine import Engine

    settings = options.settings(db, address, cells)
    warning = check_exposure(address, guarded_by=login_of(), insecure=options.insecure, what=_LOGIN)
    # What cannot be read fails here, in one sentence, rather than in the browser.
    Engine.open(db)
    log_at(settings.audit_log)
    if warning:
        say(warning)
    # A login protects the screens alone, so that others reach the API by keys or not at all.
    with_api = bool(settings.keys) or is_loopback(address) or options.insecure
    also = f", its API below {PATH}" if with_api else "; without API, which needs --api-keys there"
    say(f"Serving {db} on http://{address}:{port}{also} - stop with Ctrl+C.")
    handed = environment_of_log(settings.audit_log) | (environment_of(settings) if with_api else {})
    serve_here(db, port, address, reference=cells, handed=handed)


def _serve_api(db: str, port: int, address: str, cells: ReferenceFile | None, options: ApiOptions) -> None:
    from app.api.application import opened
    from app.api.serving import serve_api
    from app.serving.arenas import share_heaps

    settings = options.settings(db, address, cells)
    guard = "keys" if settings.keys else None
    warning = check_exposure(address, guarded_by=guard, insecure=options.insecure, what=_KEYS)
    share_heaps()
    engine = opened(db)
    if warning:
        say(warning)
    who = f"{len(settings.keys.digests)} callers with keys" if settings.keys else "no keys asked for"
    say(f"Serving the API of {db} on http://{address}:{port} ({who}) - stop with Ctrl+C.")
    serve_api(settings, port, address, lambda: engine)
