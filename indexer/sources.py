"""Open the slides of a data set, each with the reader of its format."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from indexer.download import FetchProgress, fetch, verify
from indexer.errors import ManifestError
from indexer.genes import read_gene_table
from indexer.manifest import Dataset, Manifest, Role
from indexer.readers import h5ad_cells, her2st, openslide_image
from indexer.settings import Settings
from indexer.slides import SlideSource

_ROLES: Mapping[str, tuple[Role, ...]] = {
    "her2st": her2st.ROLES,
    "h5ad_cells": h5ad_cells.ROLES,
    "openslide": openslide_image.ROLES,
}


def source_files(dataset: Dataset, *, slides: Iterable[str] | None = None) -> tuple[str, ...]:
    """Paths of the files that the reader of a data set wants for some slides (default all), for `fetch`."""
    return dataset.paths(slides=slides, roles=_ROLES.get(dataset.format, ()))


def open_sources(
    dataset_name: str,
    *,
    manifest: Manifest,
    slides: Iterable[str] | None = None,
    progress: FetchProgress | None = None,
    settings: Settings | None = None,
) -> list[SlideSource]:
    """Slides of a data set, their files fetched and verified, none of them opened.

    Parameters
    ----------
    dataset_name : str
        Key of the data set in the manifest.
    manifest : Manifest
        From `load_manifest`.
    slides : iterable of str, optional
        Names of the slides wanted, in this order; default all.
    progress, settings : optional
        See `fetch`.

    Raises
    ------
    ManifestError
        If there is no such data set or slide, the data set holds no slides, or a slide lacks a file.
    FetchError
        If a file cannot be had.
    """
    dataset = manifest.dataset(dataset_name)
    if dataset.format not in _ROLES:
        raise ManifestError(
            f"Data set '{dataset.name}' holds {dataset.format} files and no slides; expected one of format "
            f"{', '.join(_ROLES)}."
        )
    names = list(dataset.slides) if slides is None else list(slides)
    local = fetch(dataset, files=source_files(dataset, slides=names), progress=progress, settings=settings)
    return [_open_slide(dataset, name, local) for name in names]


def open_slide(name: str, *, manifest: Manifest) -> SlideSource | None:
    """The slide of that name in any data set, its files fetched; `None` if there is none. Raises as `open_sources`."""
    for dataset in manifest.datasets.values():
        if name in dataset.slides:
            return open_sources(dataset.name, manifest=manifest, slides=[name])[0]
    return None


def local_gene_table(manifest: Manifest, *, settings: Settings | None = None) -> dict[str, str] | None:
    """Ensembl id of each symbol from the manifest's gene table, or `None` where it is not on this machine.

    Nothing is downloaded: `histoseek data fetch gencode` does that. Raises `CountsError` for a malformed table.
    """
    for dataset in manifest.datasets.values():
        paths = dataset.shared.get("gene_table", ())
        for state in verify(dataset, settings=settings) if paths else ():
            if state.path in paths and state.state == "verified" and state.where is not None:
                return read_gene_table(state.where)
    return None


def _open_slide(dataset: Dataset, name: str, local: Mapping[str, Path]) -> SlideSource:
    files = {role: local[path] for role, path in dataset.slide(name).files.items() if path in local}
    facts = dataset.facts(name)
    try:
        if dataset.format == "her2st":
            return her2st.Her2stSlide(
                facts=facts,
                counts=files["counts"],
                spots=files["spots"],
                image_path=files.get("image"),
                labels=files.get("labels"),
                spot_um=dataset.spot_um,
                pitch_um=dataset.pitch_um,
            )
        if dataset.format == "h5ad_cells":
            return h5ad_cells.CellsSlide(manifest_facts=facts, cells=files["cells"], label_column=dataset.label_column)
        return openslide_image.OpenSlideSlide(manifest_facts=facts, image_path=files["image"])
    except KeyError as error:
        raise ManifestError(
            f"Data set '{dataset.name}', slide '{name}': no file in the role {error}; the format {dataset.format} "
            "needs it."
        ) from error
