"""Open the slides of a data set, each with the reader of its format."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from indexer.datasets.download import FetchProgress, fetch, verify
from indexer.datasets.manifest import Dataset, Manifest, Role
from indexer.errors import ManifestError
from indexer.format import Circumstances, Said
from indexer.genes.local import tables_with
from indexer.genes.panel import read_gene_table
from indexer.genes.shipped import shipped_tables
from indexer.genes.tables import GeneTables
from indexer.readers import h5ad_cells, her2st, openslide_image, visium
from indexer.settings import Settings
from indexer.slides import SlideSource

#: In the cache: what `histoseek data aliases` makes.
ALIASES = "gene_aliases.csv"

_ROLES: Mapping[str, tuple[Role, ...]] = {
    "her2st": her2st.ROLES,
    "h5ad_cells": h5ad_cells.ROLES,
    "openslide": openslide_image.ROLES,
    "visium": visium.ROLES,
}
_NAMED = ("visium",)  # formats whose genes are made current; the others' are those the shipped space was made with


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
    tables: GeneTables | None = None,
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
    tables : GeneTables, optional
        What is known of gene names; default those on this machine.

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
    if tables is None:
        tables = local_gene_names(manifest, settings=settings) if dataset.format in _NAMED else GeneTables()
    return [_open_slide(dataset, name, local, tables) for name in names]


def open_slide(name: str, *, manifest: Manifest) -> SlideSource | None:
    """The slide of that name in any data set, its files fetched; `None` if there is none. Raises as `open_sources`."""
    for dataset in manifest.datasets.values():
        if name in dataset.slides:
            return open_sources(dataset.name, manifest=manifest, slides=[name])[0]
    return None


def local_gene_table(manifest: Manifest, *, settings: Settings | None = None) -> dict[str, str]:
    """Ensembl id of each symbol: of HGNC, and of the genes it has no name for that of the manifest's gene table.

    Nothing is downloaded: `histoseek data fetch gencode` does that. Raises `CountsError` for a malformed table.
    """
    path = _local_reference(manifest, "gene_table", settings)
    return {**({} if path is None else read_gene_table(path)), **shipped_tables().id_of_symbol}


def local_gene_names(manifest: Manifest, *, settings: Settings | None = None) -> GeneTables:
    """Tables of gene names that are on this machine: those that come with HistoSeek, and what others add to them.

    Others are the manifest's (`histoseek data fetch gencode orthologs`) and the aliases that `histoseek data aliases`
    left in the cache, which go before the shipped ones. Nothing is downloaded. Raises `CountsError` for a malformed
    table.
    """
    settings = settings or Settings()
    ids, orthologs = (_local_reference(manifest, role, settings) for role in ("gene_table", "orthologs"))
    aliases = settings.cache_dir / ALIASES
    return tables_with(ids=ids, orthologs=orthologs, aliases=aliases if aliases.is_file() else None)


def _local_reference(manifest: Manifest, role: Role, settings: Settings | None) -> Path | None:
    """A verified file in a role of any data set, if it is on this machine."""
    for dataset in manifest.datasets.values():
        paths = dataset.shared.get(role, ())
        for state in verify(dataset, settings=settings) if paths else ():
            if state.path in paths and state.state == "verified" and state.where is not None:
                return state.where
    return None


def _open_slide(dataset: Dataset, name: str, local: Mapping[str, Path], tables: GeneTables) -> SlideSource:
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
        if dataset.format == "visium":
            outs = visium.outs_of(files)
            return visium.open_outs(name, outs, Circumstances({name: Said(facts)}, tables))
        return openslide_image.OpenSlideSlide(manifest_facts=facts, image_path=files["image"])
    except KeyError as error:
        raise ManifestError(
            f"Data set '{dataset.name}', slide '{name}': no file in the role {error}; the format {dataset.format} "
            "needs it."
        ) from error
