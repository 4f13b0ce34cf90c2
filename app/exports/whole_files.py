"""Files that are written whole or not at all, of the kind their ending names."""

from collections.abc import Callable, Collection
from pathlib import Path

from app.errors import ShowError


def ending_of(path: Path) -> str:
    """`csv` of `hits.CSV`."""
    return path.suffix.lower().removeprefix(".")


def check_ending(path: Path, kinds: Collection[str], what: str) -> None:
    """Refuse a file that nothing can be written to; for use before the question is asked.

    Parameters
    ----------
    path : Path
        The file.
    kinds : collection of str
        Endings that can be written, without their dot.
    what : str
        What is to be written, in the plural: `hits`.

    Raises
    ------
    ShowError
        If the ending is another.
    """
    if ending_of(path) not in kinds:
        raise ShowError(
            f"{path.name} is no file that {what} are written to; its ending says what to write: expected "
            f".{', .'.join(kinds)}."
        )


def write_whole(path: Path, write: Callable[[Path], object]) -> Path:
    """Have a file written beside its place, then put it there; folders on the way are made. Raises `OSError`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        write(part)
        return part.replace(path)
    finally:
        part.unlink(missing_ok=True)
