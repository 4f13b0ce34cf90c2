"""The tables of human and mouse genes that come with HistoSeek, so that names are made current offline.

`human_genes.tsv.gz` has symbol, Ensembl id, previous symbols and aliases of every gene HGNC has approved (CC0);
`mouse_genes.tsv.gz` has symbol, Ensembl id and human orthologs of every mouse gene of Ensembl (no restrictions on use),
where Ensembl has none or several the one that most methods of HCOP (HGNC, CC0) name.
`SOURCES.json` beside them says where each is from; `python -m indexer.genes.make_tables` makes them again.
"""

import gzip
import hashlib
import zlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from indexer.errors import CountsError
from indexer.genes.tables import GeneTables, grouped

FOLDER = Path(__file__).parent
HUMAN, MOUSE, SOURCES = "human_genes.tsv.gz", "mouse_genes.tsv.gz", "SOURCES.json"


@cache
def shipped_tables() -> GeneTables:
    """Names of all human genes of HGNC and mouse genes of Ensembl. Raises `CountsError` if a file is damaged."""
    human, mouse = (_content(FOLDER / name) for name in (HUMAN, MOUSE))
    genes = list(_rows(human, 4))
    current = frozenset(symbol for symbol, *_ in genes)
    previous = grouped((name, symbol) for symbol, _, names, _ in genes for name in names.split("|"))
    aliases = grouped((name, symbol) for symbol, _, _, names in genes for name in names.split("|"))
    ids: dict[str, str] = {}
    orthologs: dict[str, tuple[str, ...]] = {}
    for symbol, gene_id, humans in _rows(mouse, 3):
        ids[gene_id] = symbol
        orthologs[symbol] = tuple(dict.fromkeys((*orthologs.get(symbol, ()), *filter(None, humans.split("|")))))
    return GeneTables(
        symbol_of_id={gene_id: symbol for symbol, gene_id, *_ in genes if gene_id},
        human_of_mouse=orthologs,
        # a previous symbol goes before an alias of another gene, and a current symbol before both
        symbols_of_alias={name: symbols for name, symbols in (aliases | previous).items() if name not in current},
        mouse_of_id=ids,
        approved=current,
        stamp=hashlib.sha256(human + mouse).hexdigest(),
        made_by=(shipped_tables, ()),
    )


def _content(path: Path) -> bytes:
    try:
        return gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise CountsError(f"Cannot read {path}: {error}; install HistoSeek again, it comes with this table.") from error


def _rows(content: bytes, n_columns: int) -> Iterator[list[str]]:
    for line in content.decode("utf-8").splitlines():
        cells = line.split("\t")
        if len(cells) != n_columns:
            raise CountsError(f"Got {cells} in the tables of genes; expected {n_columns} columns. Install again.")
        yield cells
