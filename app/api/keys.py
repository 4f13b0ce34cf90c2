"""Keys of the callers: made here, shown once, kept as digests."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from app.errors import ShowError

ENVIRONMENT = "HISTOSEEK_API_KEYS"
_PREFIX = "hs_"
_DIGEST = "sha256:"
_SHORTEST = 20
_NAME = re.compile(r"[A-Za-z0-9._@-]{1,64}")
_HEX = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class KeyRing:
    """Names of callers and SHA-256 digests of their keys.

    A key is 256 random bits, so that a plain digest of it cannot be turned round by guessing.
    """

    digests: tuple[tuple[str, str], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.digests)

    def owner_of(self, key: str) -> str | None:
        """Name of the caller whose key this is. All digests are compared, each in constant time."""
        asked = digest_of(key)
        found = None
        for name, digest in self.digests:
            if hmac.compare_digest(asked, digest):
                found = name
        return found


def digest_of(key: str) -> str:
    """SHA-256 of a key, hexadecimal."""
    return hashlib.sha256(key.encode("utf-8", errors="surrogatepass")).hexdigest()


def new_key(name: str) -> tuple[str, str]:
    """A key for a caller, and the line of a key file that lets it in. Raises `ShowError` for a name that cannot be."""
    _check_name(name)
    key = _PREFIX + secrets.token_urlsafe(32)
    return key, f"{name}:{_DIGEST}{digest_of(key)}"


def read_keys(given: str) -> KeyRing:
    """Read keys: `NAME:KEY` or `NAME:sha256:DIGEST`, several by commas or lines, or a file of such lines.

    Raises
    ------
    ShowError
        If the file cannot be read, or a line is not of that form, names a caller twice, or has a key of under 20
        letters.
    """
    if not given.strip():
        return KeyRing()
    text, where = given, f"The variable {ENVIRONMENT}"
    if ":" not in given or given.startswith(("/", "~", "./")) or Path(given).is_file():
        text, where = _text_of(Path(given).expanduser()), f"The key file {given}"
    lines = (line.strip() for line in re.split(r"[\n,]", text))
    return _ring((line for line in lines if line and not line.startswith("#")), where)


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ShowError(f"Cannot read the key file {path}: {error}. Make one with `histoseek api-key NAME`.") from error


def _ring(lines: Iterable[str], where: str) -> KeyRing:
    found: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        name, _, key = line.partition(":")
        if not name or not key:  # the line itself may be a key, and is not shown
            raise ShowError(f"{where} has an entry {number} without NAME:KEY; make one with `histoseek api-key NAME`.")
        _check_name(name)
        if name in found:
            raise ShowError(f"{where} names {name!r} twice; give each caller one key.")
        found[name] = _digest(key.strip(), name, where)
    if not found:
        raise ShowError(f"{where} holds no key; make one with `histoseek api-key NAME`.")
    return KeyRing(tuple(found.items()))


def _digest(key: str, name: str, where: str) -> str:
    if key.startswith(_DIGEST):
        digest = key.removeprefix(_DIGEST).lower()
        if not _HEX.fullmatch(digest):
            raise ShowError(f"{where} has a digest for {name!r} that is no SHA-256; expected 64 hexadecimal digits.")
        return digest
    if len(key) < _SHORTEST:
        raise ShowError(
            f"{where} has a key of {len(key)} letters for {name!r}; expected at least {_SHORTEST}. Make one with "
            "`histoseek api-key NAME`."
        )
    return digest_of(key)


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ShowError(f"{name!r} cannot name a caller; use up to 64 letters, digits, dots, dashes, @ or underscores.")
