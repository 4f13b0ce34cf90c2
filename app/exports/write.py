"""Writes hits to a file of the kind its suffix names, whole or not at all."""

from collections.abc import Callable
from functools import partial
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZIP_DEFLATED, ZipFile

from app.exports.asked_hits import AskedHits
from app.exports.pages import write_figure, write_page
from app.exports.qupath import features_by_slide
from app.exports.tables import write_csv, write_h5ad, write_json, write_parquet, write_yaml
from app.exports.whole_files import check_ending, write_whole
from app.figures.style import FIGURE_KINDS

Writer = Callable[[AskedHits, Path], None]

#: What writes a file that ends like this; GeoJSON is written apart, since it is a file a slide.
WRITERS: dict[str, Writer] = {
    ".csv": write_csv,
    ".parquet": write_parquet,
    ".json": write_json,
    ".yaml": write_yaml,
    ".h5ad": write_h5ad,
    ".html": write_page,
    **{f".{kind}": write_figure for kind in FIGURE_KINDS},
}
QUPATH = ".geojson"
KINDS = (*WRITERS, QUPATH)


def check_kind(path: Path) -> None:
    """Raise `ShowError` unless hits can be written to a file of that name."""
    check_ending(path, [kind.removeprefix(".") for kind in KINDS], "hits")


def write_hits(hits: AskedHits, path: Path) -> list[Path]:
    """Write hits to `path`; GeoJSON of hits on several slides to a file for each, named after it.

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    ShowError
        If the suffix is not known, or hits that lie nowhere are to be drawn.
    """
    check_kind(path)
    suffix = path.suffix.lower()
    if suffix == QUPATH:
        return _write_features(features_by_slide(hits.result.to_list()), path)
    return [write_whole(path, lambda to: WRITERS[suffix](hits, to))]


def _write_features(by_slide: dict[str, str], path: Path) -> list[Path]:
    written = []
    for slide, text in by_slide.items():
        name = path if len(by_slide) == 1 else path.with_name(f"{path.stem}.{_file_name(slide)}{path.suffix}")
        written.append(write_whole(name, partial(Path.write_text, data=text, encoding="utf-8")))
    return written


def _file_name(slide: str) -> str:
    """A slide's name without what a file name cannot hold."""
    return "".join(letter if letter.isalnum() or letter in "-_. " else "_" for letter in slide)


def hits_as_bytes(hits: AskedHits, kind: str) -> bytes:
    """What `write_hits` writes for a suffix of `KINDS`; several files as one zip. Raises `ShowError`."""
    with TemporaryDirectory() as folder:
        written = write_hits(hits, Path(folder) / f"hits{kind}")
        if len(written) == 1:
            return written[0].read_bytes()
        packed = BytesIO()
        with ZipFile(packed, "w", ZIP_DEFLATED) as archive:
            for path in written:
                archive.write(path, path.name)
        return packed.getvalue()
