"""The cell types of a slide as a file: h5ad, CSV or Parquet, or a picture."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from app.exports.whole_files import check_ending, ending_of, write_whole
from app.figures.composition import Map, composition_figure
from app.figures.style import FIGURE_KINDS, save
from search.cells.annotated import composition_anndata
from search.cells.slide_composition import PLACE_COLUMNS, SlideComposition
from search.engine import Engine

if TYPE_CHECKING:
    import pandas as pd

#: Suffixes of the files that cell types of a slide are written to.
KINDS = ("h5ad", "csv", "parquet", *FIGURE_KINDS)


def check_suffix(path: Path) -> None:
    """Raise `ShowError` unless cell types can be written to a file of that name."""
    check_ending(path, KINDS, "cell types")


def write_composition(found: SlideComposition, engine: Engine, path: Path, *, kind: Map = "auto") -> Path:
    """Write the cell types of a slide as the suffix says, whole or not at all.

    `.h5ad`: see `search.cells.annotated.composition_anndata`; `.csv`, `.parquet`: a row a place, a column a type, and
    its standard deviation in `sd TYPE`; `.png`, `.svg`, `.pdf`: the map.

    Raises
    ------
    ShowError
        If the suffix is another, or a picture is asked for of places that lie nowhere.
    """
    check_suffix(path)
    suffix = ending_of(path)
    if suffix in FIGURE_KINDS:
        return save(composition_figure(found, engine, kind=kind), path)
    writers: dict[str, Callable[[Path], object]] = {
        "h5ad": lambda to: composition_anndata(found).write_h5ad(to, compression="gzip"),
        "csv": lambda to: _wide(found).to_csv(to, index=False),
        "parquet": lambda to: _wide(found).to_parquet(to, index=False),
    }
    return write_whole(path, writers[suffix])


def _wide(found: SlideComposition) -> "pd.DataFrame":
    places = found.to_pandas()[list(PLACE_COLUMNS)].set_index("id", drop=False).rename_axis(None)
    return places.join(found.proportions).join(found.sd.add_prefix("sd "))
