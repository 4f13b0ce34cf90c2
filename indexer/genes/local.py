"""Tables of gene names of this machine: the shipped ones, and what files add to them."""

from functools import cache
from pathlib import Path

from indexer.genes.shipped import shipped_tables
from indexer.genes.tables import GeneTables, read_aliases, read_id_table, read_orthologs


def tables_with(*, ids: Path | None = None, orthologs: Path | None = None, aliases: Path | None = None) -> GeneTables:
    """The shipped tables, filled from files of ids and of orthologs; aliases go before the shipped ones.

    Read once a process, and again if a file has changed. Raises `CountsError` for a malformed file.
    """
    files = (ids, orthologs, aliases)
    return _tables_with(files, tuple(None if path is None else path.stat().st_mtime_ns for path in files))


@cache
def _tables_with(files: tuple[Path | None, ...], changed_ns: tuple[int | None, ...]) -> GeneTables:
    ids, orthologs, aliases = files
    own = GeneTables(symbols_of_alias={} if aliases is None else read_aliases(aliases))
    reference = GeneTables(
        symbol_of_id={} if ids is None else read_id_table(ids),
        human_of_mouse={} if orthologs is None else read_orthologs(orthologs),
    )
    return own.filled_from(shipped_tables()).filled_from(reference).kept(_tables_with, files, changed_ns)
