"""`histoseek api-key`: a key for a caller of the HTTP API."""

from typing import Annotated

import typer

from app.cli.options import AsJson
from app.cli.output import show


def register(command: typer.Typer) -> None:
    """Add the verb to `command`."""
    command.command("api-key")(api_key)


def api_key(
    name: Annotated[str, typer.Argument(help="Whose key it is, such as ana or pipeline-3.")], *, as_json: AsJson = False
) -> None:
    """Make a key for a caller of the HTTP API. It is shown once; a key file needs only its digest."""
    from app.api.keys import new_key

    key, line = new_key(name)
    views = [
        f"Key, to be given to {name}: {key}",
        f"Line for the file of --api-keys: {line}",
    ]
    show({"name": name, "key": key, "line": line}, views, as_json=as_json)
