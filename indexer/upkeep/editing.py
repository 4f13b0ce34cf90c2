"""Changing what an index holds besides adding to it: delete slides, go back to an earlier version."""

from collections.abc import Sequence
from pathlib import Path

from indexer.errors import IndexFormatError, VersionError
from indexer.store.card import IndexCard
from indexer.store.location import locate
from indexer.store.locks import writer_lock
from indexer.store.tables import Store
from indexer.store.versions import card_of
from indexer.store.writer import IndexWriter


def delete_slides(uri: str | Path, slides: Sequence[str], *, wait_s: float = 0.0) -> IndexCard:
    """Take slides with all their items out, in one commit; returns the new card.

    Versions before stay, so `roll_back` brings the slides back until `optimize_index` lets go of those versions.

    Parameters
    ----------
    uri : str or Path
        The index.
    slides : sequence of str
        Names of slides; of one that only failed, the note of that is deleted.
    wait_s : float
        Seconds to wait for another writer to end.

    Raises
    ------
    WriteError
        If one of them is not in the index, or it cannot be written; then nothing is deleted.
    """
    location = locate(uri)
    with writer_lock(location, wait_s=wait_s):
        writer = IndexWriter.resume(location)
        writer.commit_removal(slides)
        return writer.card


def roll_back(uri: str | Path, version: int | str, *, wait_s: float = 0.0) -> IndexCard:
    """Make an earlier version the present one, as a new commit; returns the new card.

    The versions between stay, so a rollback can be taken back by another. A sidecar of the earlier version that is
    still there serves again.

    Parameters
    ----------
    uri : str or Path
        The index.
    version : int or str
        Number or tag.
    wait_s : float
        Seconds to wait for another writer to end.

    Raises
    ------
    VersionError
        If there is no such version, or not all of it is left.
    WriteError
        If the index is being written, or cannot be; then the present version still stands.
    """
    location = locate(uri)
    with writer_lock(location, wait_s=wait_s):
        IndexWriter.resume(location)  # takes back what a killed writer left
        card = card_of(location, version)
        try:
            Store.open(location, card.table_versions)
        except IndexFormatError as error:
            raise VersionError(f"Version {version} of index {location} is not whole any more: {error}") from error
        return IndexWriter.restore(location, card)
