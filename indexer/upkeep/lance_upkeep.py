"""Giving an index LanceDB's own vector indexes, as one commit like any other."""

from pathlib import Path

from encoders.contracts import Modality
from indexer.index import Index
from indexer.progress import Progress, Silent
from indexer.store.lance_index import make_column_indexes, make_lance_index
from indexer.store.location import locate
from indexer.store.locks import writer_lock
from indexer.store.writer import IndexWriter
from indexer.upkeep.maintenance import refresh_sidecars
from indexer.vectors.sidecar_card import MODALITIES


def make_lance_indexes(
    uri: str | Path, *, wait_s: float = 0.0, progress: Progress | None = None
) -> dict[Modality, int | None]:
    """Make LanceDB's index of each modality and of the columns that filters name, anew where there is one.

    Later calls of `optimize_index` fold new rows in.

    Parameters
    ----------
    uri : str or Path
        The index.
    wait_s : float
        Seconds to wait for another writer to end.
    progress : Progress, optional
        Is told of every advance.

    Returns
    -------
    dict of str to int or None
        Vectors indexed of each modality; `None` where there are too few to learn lists from, so that all are compared.

    Raises
    ------
    WriteError
        If the index is being written, or cannot be; what is committed is intact.
    StoreError
        If there is no index, or it is damaged.
    """
    location, watch = locate(uri), progress or Silent()
    made: dict[Modality, int | None] = {}
    with writer_lock(location, wait_s=wait_s):
        writer = IndexWriter.resume(location)
        for done, modality in enumerate(MODALITIES):
            watch.update("lance index", done, len(MODALITIES), modality)
            n_vectors = writer.store.count_vectors(f"{modality}_vector")
            is_made = make_lance_index(writer.store, modality, n_vectors, writer.settings.space.dim)
            made[modality] = n_vectors if is_made else None
        make_column_indexes(writer.store)
        watch.update("lance index", len(MODALITIES), len(MODALITIES), "")
        card = writer.next_card("LanceDB indexes made")
        refresh_sidecars(Index(location, card, writer.store), watch)
        writer.write_card("LanceDB indexes made")
    return made
