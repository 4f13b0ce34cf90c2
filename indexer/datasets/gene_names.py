"""HGNC's complete set of gene names, fetched into the cache; a newer one than the tables that come with the project."""

from pathlib import Path

from filelock import FileLock

from indexer.datasets.storage import stored_file
from indexer.datasets.transfer import FetchProgress, Transfer
from indexer.datasets.web import open_client
from indexer.errors import FetchError
from indexer.settings import Settings

#: What the table is given under.
LICENCE = "CC0-1.0"


def fetch_hgnc(settings: Settings, progress: FetchProgress | None = None) -> Path:
    """Today's `hgnc_complete_set.txt` of HGNC, from `Settings.hgnc_url`; the earlier one is replaced.

    Raises
    ------
    FetchError
        If it cannot be had, or is not the file that its server states.
    """
    target = settings.cache_dir / "hgnc_complete_set.txt"
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{target}.lock"), open_client() as client:
        file = stored_file(client, settings.hgnc_url, target.name)
        failure = Transfer(client, progress=progress).receive(file.expected, file.url, target)
    if failure is not None:
        raise FetchError(
            f"Could not get {settings.hgnc_url}: {failure}. Get it from https://www.genenames.org/download/ and name "
            "it to `histoseek data aliases`."
        )
    return target
