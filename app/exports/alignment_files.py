"""A slide laid over another, as a file: where each place lies, or a picture."""

from pathlib import Path

from app.exports.whole_files import check_ending, ending_of, write_whole
from app.figures.alignment import alignment_figure
from app.figures.style import FIGURE_KINDS, save
from search.engine import Engine
from search.sections.section_alignment import SlideAlignment

#: Endings of the files an alignment is written to.
KINDS = ("csv", "parquet", *FIGURE_KINDS)


def check_suffix(path: Path) -> None:
    """Raise `ShowError` unless an alignment can be written to a file of that name."""
    check_ending(path, KINDS, "alignments")


def write_alignment(found: SlideAlignment, engine: Engine, path: Path) -> Path:
    """Write where each place comes to lie (`.csv`, `.parquet`), or a picture of both slides; raises `ShowError`."""
    check_suffix(path)
    match ending_of(path):
        case "csv":
            return write_whole(path, lambda to: found.to_pandas().to_csv(to, index=False))
        case "parquet":
            return write_whole(path, lambda to: found.to_pandas().to_parquet(to, index=False))
    return save(alignment_figure(found, engine), path)
