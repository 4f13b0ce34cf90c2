"""Whether a server may listen where it is asked to: beyond this machine only behind keys or a login."""

import ipaddress
import tomllib
from pathlib import Path

from app.errors import ShowError

LOOPBACK = "127.0.0.1"


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches an address."""
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def check_exposure(address: str, *, guarded_by: str | None, insecure: bool, what: str) -> str | None:
    """Refuse to listen to others without a guard.

    Parameters
    ----------
    address : str
        Interface to listen on.
    guarded_by : str or None
        What keeps strangers out, `None` if nothing does.
    insecure : bool
        Whether the user wants to do without.
    what : str
        How a guard is had, for the message.

    Returns
    -------
    str or None
        A warning to show; `None` if there is nothing to warn of.

    Raises
    ------
    ShowError
        If others could reach the server and nothing keeps them out.
    """
    if is_loopback(address) or guarded_by is not None:
        return None
    if insecure:
        return (
            f"WARNING: --insecure: everyone who reaches {address} can search this index, read its metadata and "
            "pictures, and use this machine's processors; nobody is asked who they are, and nothing is encrypted."
        )
    raise ShowError(
        f"Refusing to listen on {address}, where others can reach this server and nothing asks who they are. {what} "
        "Leave --address out to serve this machine only, or give --insecure to let everyone in."
    )


def login_of(folders: tuple[Path, ...] | None = None) -> str | None:
    """Where Streamlit's login (OIDC, `[auth]` in `.streamlit/secrets.toml`) is configured, `None` where it is not.

    Raises
    ------
    ShowError
        If a file of secrets does not parse.
    """
    for folder in folders or (Path.cwd(), Path.home()):
        path = folder / ".streamlit" / "secrets.toml"
        if not path.is_file():
            continue
        try:
            secrets = tomllib.loads(path.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
            raise ShowError(f"Cannot read {path}: {error}. Mend it, or move it away.") from error
        if isinstance(secrets.get("auth"), dict) and "cookie_secret" in secrets["auth"]:
            return str(path)
    return None
