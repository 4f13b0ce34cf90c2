"""Gene-sentence recipes by name. An index remembers which one wrote its sentences, in the card of its space.

`omiclip` is the recipe of the published OmiCLIP (`loki.preprocess.generate_gene_df`): names with `.` are dropped, then
names with `-`, then housekeeping genes; the 50 largest values of a row, ties in gene order, joined by single spaces.
`normalised-rank` ranks values divided by what the gene has in a training corpus, as Geneformer does (Theodoris et al.,
Nature 2023): genes that are high everywhere no longer fill the sentence. The divisors are the gene's median over the
spots that have it, in counts per 10,000; a space that uses the recipe carries its own (`gene_norms_of`).
The list of housekeeping genes is the authors' (`housekeeping_genes.csv`, from MSigDB, beside the demo data of
github.com/GuangyuWangLab2021/Loki) and is not part of HistoSeek: the caller gives it.
"""

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from encoders.errors import GeneQueryError
from encoders.profiles import Profiles
from encoders.sentences import PLAIN, SentenceRecipe

HOUSEKEEPING_COLUMN = "genesymbol"
NORMALISED_RANK = "normalised-rank"

OMICLIP = SentenceRecipe(name="omiclip", n_genes=50, drop_containing=(".", "-"), pad=True)

#: `omiclip-hla-mt` keeps HLA-A, MT-CO1 or NKX2-1, which `omiclip` drops for their hyphen; `omiclip-100` writes more
#: genes than the published text encoder reads, for encoders with a longer context.
RECIPES: dict[str, SentenceRecipe] = {
    recipe.name: recipe
    for recipe in (
        PLAIN,
        OMICLIP,
        replace(OMICLIP, name="omiclip-100", n_genes=100),
        replace(OMICLIP, name="omiclip-hla-mt", drop_containing=(".",)),
        replace(PLAIN, name=NORMALISED_RANK, gene_norms={}),
    )
}


def recipe_named(
    name: str, *, housekeeping: Iterable[str] = (), gene_norms: Mapping[str, float] | None = None
) -> SentenceRecipe:
    """The recipe of that name, leaving out the given housekeeping genes.

    Parameters
    ----------
    name : str
        A key of `RECIPES`.
    housekeeping : iterable of str
        Symbols to leave out (`read_housekeeping`).
    gene_norms : mapping of str to float, optional
        For `normalised-rank` alone, which cannot do without: what each gene's value is divided by (`gene_norms_of`).

    Raises
    ------
    GeneQueryError
        If there is no such recipe (lists the known ones), or it needs divisors and none are given, or one is not
        above 0.
    """
    if name not in RECIPES:
        raise GeneQueryError(f"There is no gene-sentence recipe {name!r}; known are {', '.join(sorted(RECIPES))}.")
    recipe = RECIPES[name]
    if recipe.gene_norms is not None:
        if not gene_norms:
            raise GeneQueryError(
                f"The recipe {name!r} divides each gene by its median over a training corpus, and none is given; use "
                f"it in a space trained by `histoseek train --sentence-recipe {name}`."
            )
        bad = [symbol for symbol, value in gene_norms.items() if not 0 < value < float("inf")]
        if bad:
            raise GeneQueryError(f"The divisor of {bad[0]} is {gene_norms[bad[0]]}; expected a number above 0.")
        recipe = replace(recipe, gene_norms=dict(gene_norms))
    return replace(recipe, drop_symbols=recipe.drop_symbols | frozenset(housekeeping))


def read_housekeeping(path: Path) -> frozenset[str]:
    """Symbols in the column `genesymbol` of a CSV file, the form in which the OmiCLIP authors give theirs.

    Raises
    ------
    GeneQueryError
        If the file is missing, is not text, has no such column, or names no gene.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            rows = csv.DictReader(stream)
            if HOUSEKEEPING_COLUMN not in (rows.fieldnames or ()):
                raise GeneQueryError(
                    f"{path} has the columns {', '.join(rows.fieldnames or ()) or 'none'}; expected "
                    f"{HOUSEKEEPING_COLUMN!r}, one housekeeping gene a row."
                )
            symbols = frozenset(row[HOUSEKEEPING_COLUMN] for row in rows if row[HOUSEKEEPING_COLUMN])
    except FileNotFoundError as error:
        raise GeneQueryError(
            f"There is no file {path}; give a CSV with a column {HOUSEKEEPING_COLUMN!r}, such as the authors' "
            f"housekeeping_genes.csv from github.com/GuangyuWangLab2021/Loki."
        ) from error
    except UnicodeDecodeError as error:
        raise GeneQueryError(
            f"{path} is not a text file; expected a CSV with a column {HOUSEKEEPING_COLUMN!r}."
        ) from error
    if not symbols:
        raise GeneQueryError(f"{path} names no gene in its column {HOUSEKEEPING_COLUMN!r}; expected one a row.")
    return symbols


def gene_norms_of(sections: Sequence[Profiles], *, min_spots: int = 3) -> dict[str, float]:
    """Median of each gene over the spots that have it, in counts per 10,000, from all sections together.

    Parameters
    ----------
    sections : sequence of Profiles
        The training corpus.
    min_spots : int
        Genes that fewer spots have are left out: a median of so few says nothing.
    """
    found: dict[str, list[np.ndarray]] = {}
    for section in sections:
        columns = section.log_normalised().tocsc()
        for symbol, start, stop in zip(section.genes, columns.indptr[:-1], columns.indptr[1:], strict=True):
            if stop > start:
                found.setdefault(symbol, []).append(np.expm1(columns.data[start:stop]))
    merged = {symbol: np.concatenate(parts) for symbol, parts in sorted(found.items())}
    return {symbol: float(np.median(values)) for symbol, values in merged.items() if len(values) >= min_spots}
