"""What an index keeps on its disk: versions, data files, sidecars, and what killed writers left."""

from dataclasses import dataclass

from indexer.index import Index
from indexer.store.card import HISTORY
from indexer.store.lance_index import lance_index
from indexer.store.lance_vectors import LanceVectorSet
from indexer.store.location import SIDECAR
from indexer.store.versions import history, read_tags
from indexer.vectors.knobs import Tuning, read_tuning
from indexer.vectors.sidecar_card import MODALITIES, sidecar_folder


@dataclass(frozen=True, slots=True)
class Inventory:
    """What is kept of an index.

    Attributes
    ----------
    version : int
        The version that was opened.
    versions : tuple of int
        Versions that can be opened.
    tags : dict of str to int
        Version of each tag.
    fragments : dict of str to int
        Data files of each table.
    sidecar_rows, tail_rows, gone_rows : dict of str to int
        Vectors of each modality that the sidecar holds, that are newer and searched beside it, and that it holds though
        they were deleted.
    bytes_tables, bytes_sidecars : int
        Sizes on the disk, old versions included; of an index in a bucket 0 and what is copied here.
    stable_row_ids : bool
        Whether rows keep their ids when data files are folded together.
    lance_rows : dict of str to (int, int)
        Rows in LanceDB's own index of each modality that has one, and rows beside it that are compared one by one.
    tuning : dict of str to Tuning
        Setting of the searches of each modality that `index tune` has set.
    """

    version: int
    versions: tuple[int, ...]
    tags: dict[str, int]
    fragments: dict[str, int]
    sidecar_rows: dict[str, int]
    tail_rows: dict[str, int]
    gone_rows: dict[str, int]
    bytes_tables: int
    bytes_sidecars: int
    stable_row_ids: bool
    lance_rows: dict[str, tuple[int, int]]
    tuning: dict[str, Tuning]


def take_inventory(index: Index) -> Inventory:
    """Look at what is kept of an index; opens its vectors."""
    sets = {modality: index.vectors(modality) for modality in MODALITIES}
    files = [path for path in index.folder.rglob("*") if path.is_file()]
    sizes = {path: path.stat().st_size for path in files}
    sidecars = index.folder / SIDECAR
    return Inventory(
        version=index.card.version,
        versions=tuple(card.version for card in history(index.location)),
        tags=read_tags(index.location),
        fragments=index.store.fragments,
        sidecar_rows={
            modality: 0 if isinstance(found, LanceVectorSet) else len(found.base) for modality, found in sets.items()
        },
        tail_rows={modality: len(found.tail) for modality, found in sets.items()},
        gone_rows={modality: int((found.item_of < 0).sum()) for modality, found in sets.items()},
        bytes_tables=sum(size for path, size in sizes.items() if ".lance" in path.relative_to(index.folder).parts[0]),
        bytes_sidecars=sum(size for path, size in sizes.items() if path.is_relative_to(sidecars)),
        stable_row_ids=index.store.stable_row_ids,
        lance_rows={
            modality: (found.n_indexed, found.n_beside)
            for modality in MODALITIES
            if (found := lance_index(index.store, modality)) is not None
        },
        tuning=_tuning(index),
    )


def _tuning(index: Index) -> dict[str, Tuning]:
    table = index.vector_table()
    folders = {modality: sidecar_folder(index.folder, modality, table) for modality in MODALITIES}
    tunings = {modality: read_tuning(folder) for modality, folder in folders.items() if folder is not None}
    return {modality: tuning for modality, tuning in tunings.items() if tuning is not None}


def version_problems(index: Index) -> list[str]:
    """Sentences about versions that are listed, or have a tag, but cannot be opened."""
    cards, there = history(index.location), index.store.kept_versions
    problems = [
        f"Version {card.version} cannot be opened: its state of {', '.join(lost)} is gone. Put the folder back from a "
        f"backup, or delete {HISTORY}/{card.version}.json to forget it."
        for card in cards
        if (lost := [table for table, version in card.table_versions.items() if version not in there[table]])
    ]
    known = {card.version for card in cards}
    problems += [
        f"Tag {name!r} names version {number}, which is not there. Remove it: `histoseek index tag --remove {name}`."
        for name, number in read_tags(index.location).items()
        if number not in known
    ]
    return problems


def leftovers(index: Index) -> list[str]:
    """What no version needs: harmless, and removed by the next `histoseek index optimize`."""
    cards, there = history(index.location), index.store.kept_versions
    present = cards[-1]
    found = []
    for table, versions in there.items():
        unnamed = set(versions) - {card.table_versions[table] for card in cards}
        if unfinished := [version for version in unnamed if version > present.table_versions[table]]:
            found.append(f"{len(unfinished)} unfinished versions of table {table}")
    folders = ("", HISTORY, *(f"{SIDECAR}/{modality}" for modality in MODALITIES))
    parts = [name for folder in folders for name in index.location.names(folder) if name.endswith(".part")]
    if parts:
        found.append(f"{len(parts)} unfinished files ({', '.join(parts[:3])})")
    return found
