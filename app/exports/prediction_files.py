"""The predicted expression of a slide as a file: h5ad, or a picture of some genes."""

from pathlib import Path

from app.errors import ShowError
from app.exports.whole_files import check_ending, ending_of, write_whole
from app.figures.prediction import maps_figure
from app.figures.style import FIGURE_KINDS, save
from search.engine import Engine
from search.expression.annotated import prediction_anndata
from search.expression.slide_prediction import SlidePrediction


def check_suffix(path: Path, *, whole_slide: bool) -> None:
    """Raise `ShowError` unless a prediction can be written to a file of that name; h5ad is for whole slides."""
    if ending_of(path) == "h5ad" and not whole_slide:
        raise ShowError(f"{path.name} would hold every place of a slide; ask with --slide NAME alone.")
    check_ending(path, ("h5ad", *FIGURE_KINDS) if whole_slide else FIGURE_KINDS, "predictions")


def write_maps(found: SlidePrediction, engine: Engine, path: Path, *, genes: list[str] | None = None) -> Path:
    """Write the predicted places of a slide as the suffix says, whole or not at all.

    `.h5ad`: see `search.expression.annotated.prediction_anndata`; `.png`, `.svg`, `.pdf`: maps of up to three genes.
    """
    check_suffix(path, whole_slide=True)
    if ending_of(path) != "h5ad":
        return save(maps_figure(found, engine, genes), path)
    made = prediction_anndata(found, engine.catalogue)
    return write_whole(path, lambda to: made.write_h5ad(to, compression="gzip"))
