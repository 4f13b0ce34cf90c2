"""The predicted expression of a slide as a file: h5ad, or a picture of some genes."""

from pathlib import Path

from app.errors import ShowError
from app.figures.prediction import maps_figure
from app.figures.style import FIGURE_KINDS, save
from search.engine import Engine
from search.expression.annotated import prediction_anndata
from search.expression.slide_prediction import SlidePrediction


def check_suffix(path: Path, *, whole_slide: bool) -> None:
    """Raise `ShowError` unless a prediction can be written to a file of that name; h5ad is for whole slides."""
    suffix = path.suffix.lower().removeprefix(".")
    if suffix in FIGURE_KINDS or (whole_slide and suffix == "h5ad"):
        return
    if suffix == "h5ad":
        raise ShowError(f"{path.name} would hold every place of a slide; ask with --slide NAME alone.")
    kinds = ("h5ad", *FIGURE_KINDS) if whole_slide else FIGURE_KINDS
    raise ShowError(
        f"{path.name} is no file that predictions are written to; expected one that ends in .{', .'.join(kinds)}."
    )


def write_maps(found: SlidePrediction, engine: Engine, path: Path, *, genes: list[str] | None = None) -> Path:
    """Write the predicted places of a slide as the suffix says, whole or not at all.

    `.h5ad`: see `search.expression.annotated.prediction_anndata`; `.png`, `.svg`, `.pdf`: maps of up to three genes.
    """
    check_suffix(path, whole_slide=True)
    if path.suffix.lower() != ".h5ad":
        return save(maps_figure(found, engine, genes), path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    prediction_anndata(found, engine.catalogue).write_h5ad(part, compression="gzip")
    return part.replace(path)
