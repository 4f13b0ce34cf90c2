"""What a file is by its first bytes, where its name says otherwise."""

import codecs
from pathlib import Path

_STARTS = (
    (b"PK\x03\x04", "a zip archive; unpack it"),
    (b"\x1f\x8b", "packed with gzip; unpack it"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it"),
    (b"Rar!", "a rar archive; unpack it"),
    (b"%PDF", "a PDF; export the slide itself"),
    (b"version https://git-lfs", "a pointer of Git LFS; get the file itself with `git lfs pull`"),
)
_LOOKED_AT = 512


def told_by_content(path: Path) -> str | None:
    """What a file is instead of a picture, and what to do; `None` where its first bytes do not tell."""
    try:
        with path.open("rb") as stream:
            start = stream.read(_LOOKED_AT)
    except OSError:
        return None
    if not start:
        return "empty (0 bytes); copy it again"
    found = next((what for letters, what in _STARTS if start.startswith(letters)), None)
    if found is not None:
        return found
    if start.lstrip()[:9].lower().startswith((b"<!doctype", b"<html")):
        return "a web page, as a download leaves that was refused; get it again"
    is_text = all(byte in b"\t\n\r" or byte >= 32 for byte in start) and b"\x7f" not in start
    return "text, no picture; get it again" if is_text and _is_utf8(start) else None


def _is_utf8(content: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(content)  # the last letter may be cut
    except UnicodeDecodeError:
        return False
    return True
