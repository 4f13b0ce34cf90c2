"""What the demo is built from: real sections if they can be had, else generated ones, and it says which."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from indexer.datasets.download import FetchProgress, fetch
from indexer.datasets.manifest import Manifest, load_manifest
from indexer.errors import UnreachableError
from indexer.slides import SlideSource
from indexer.sources import local_gene_table, open_sources, source_files

SECTIONS, CELLS = "her2st", "wu2021"
#: The 33 cells that the authors call B-cells are plasma-like (JCHAIN high, MS4A1 absent), as the manifest notes.
_MERGED_TYPES = {"B-cells": "Plasmablasts"}

#: Of each generated patient, so that a slide has others to be compared with.
_GENERATED_SECTIONS = 2

#: Given a name and the bytes expected, returns a listener of downloads.
Watch = Callable[[str, int], FetchProgress]


@dataclass(frozen=True, slots=True)
class DemoData:
    """Slides of the demo.

    Attributes
    ----------
    sources : sequence of SlideSource
        All slides, cells included.
    generated : bool
        Whether they were generated, because no real data could be had.
    notices : tuple of str
        What could not be had, in words.
    merged_types : mapping of str to str
        Cell types to count as another.
    reference : Path or None
        Labelled cells as a file, for the app.
    gene_table : mapping of str to str or None
        Ensembl id of each symbol, where a table is on this machine.
    """

    sources: Sequence[SlideSource]
    generated: bool = False
    notices: tuple[str, ...] = ()
    merged_types: Mapping[str, str] = field(default_factory=dict)
    reference: Path | None = None
    gene_table: Mapping[str, str] | None = None


def demo_data(watch: Watch, *, manifest: Manifest | None = None) -> DemoData:
    """Have the demo's data on this machine: from the mirror, the cache, or upstream, verified.

    The six sections whose images the manifest lists come with them, the other thirty with their counts alone, and the
    single cells of a second study beside. If the sections cannot be had, generated ones take the place of everything.

    Raises
    ------
    FetchError
        If a file of the mirror is wrong or cannot be written: that is to be mended, not to be passed over.
    ManifestError, CountsError, SlideError
        If what was fetched cannot be opened.
    """
    manifest = manifest or load_manifest()
    try:
        sections = _fetched(SECTIONS, manifest, watch)
    except UnreachableError as error:
        return _generated_data(error)
    try:
        cells = _fetched(CELLS, manifest, watch)
    except UnreachableError as error:
        return DemoData(sections, notices=(f"Without single cells, and so without cell types: {error}",))
    return DemoData(
        [*sections, *cells],
        merged_types=_MERGED_TYPES,
        reference=cells[0].files[0],
        gene_table=local_gene_table(manifest),
    )


def _fetched(name: str, manifest: Manifest, watch: Watch) -> list[SlideSource]:
    dataset = manifest.dataset(name)
    files = source_files(dataset)
    listener = watch(f"get {name}", sum(dataset.file(path).bytes for path in files))
    fetch(dataset, files=files, progress=listener)
    return open_sources(name, manifest=manifest)


def _generated_data(error: UnreachableError) -> DemoData:
    from indexer.generated.sections import generated_sections

    notice = (
        f"The real data cannot be had ({error}) The demo goes on with GENERATED sections: nothing in it comes from "
        "tissue, and no figure in it says anything of biology."
    )
    return DemoData(generated_sections(n_sections=_GENERATED_SECTIONS), generated=True, notices=(notice,))
