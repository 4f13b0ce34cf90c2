"""An annotation as a file: GeoJSON for QuPath, CSV or Parquet, a picture, or h5ad."""

from collections.abc import Callable
from pathlib import Path

from app.exports.annotation_regions import regions_geojson
from app.exports.whole_files import check_ending, ending_of, write_whole
from app.figures.annotation import annotation_figure
from app.figures.style import FIGURE_KINDS, save
from app.tables.hits import index_provenance
from search.annotation.annotate import Annotation
from search.annotation.annotated import annotation_anndata
from search.engine import Engine

#: Suffixes of the files an annotation is written to.
KINDS = ("geojson", "csv", "parquet", "h5ad", *FIGURE_KINDS)


def write_annotation(found: Annotation, engine: Engine, path: Path, *, fewest: int = 1) -> Path:
    """Write an annotation as its suffix says, whole or not at all.

    `.geojson`: regions of one slide, each of at least `fewest` items; `.csv`, `.parquet`: the table; `.png`, `.svg`,
    `.pdf`: the class map; `.h5ad`: counts over the panel in `X` where there are any, classes in `obs`, centres in
    `obsm['spatial']`, probabilities in `obsm['annotation']`.

    Raises
    ------
    ShowError
        If the suffix is another.
    AnnotationError
        If regions or a picture of several slides are asked for.
    """
    check_suffix(path)
    kind = ending_of(path)
    if kind in FIGURE_KINDS:
        return save(annotation_figure(found, engine), path)
    writers: dict[str, Callable[[Path], object]] = {
        "geojson": lambda to: to.write_text(_geojson(found, engine, fewest), encoding="utf-8"),
        "csv": lambda to: found.to_pandas().to_csv(to, index=False),
        "parquet": lambda to: found.to_pandas().to_parquet(to, index=False),
        "h5ad": lambda to: _write_h5ad(found, engine, to),
    }
    return write_whole(path, writers[kind])


def check_suffix(path: Path) -> None:
    """Raise `ShowError` unless an annotation can be written to a file of that name."""
    check_ending(path, KINDS, "annotations")


def _geojson(found: Annotation, engine: Engine, fewest: int) -> str:
    catalogue = engine.catalogue
    mpp = catalogue.value(catalogue.row_of(found.table.column("id")[0].as_py()), "mpp")
    return regions_geojson(found, mpp=mpp, fewest=fewest)


def _write_h5ad(found: Annotation, engine: Engine, path: Path) -> None:
    made = annotation_anndata(found, engine.catalogue)
    made.uns["histoseek"]["provenance"] = index_provenance(engine)
    made.write_h5ad(path, compression="gzip")
