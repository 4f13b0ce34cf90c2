"""Gene-sentence recipes by name. An index remembers which one wrote its sentences, in the card of its space.

`omiclip` is the recipe of the published OmiCLIP (`loki.preprocess.generate_gene_df`): names with `.` are dropped, then
names with `-`, then housekeeping genes; the 50 largest values of a row, ties in gene order, joined by single spaces.
The list of housekeeping genes is the authors' (`housekeeping_genes.csv`, from MSigDB, beside the demo data of
github.com/GuangyuWangLab2021/Loki) and is not part of HistoSeek: the caller gives it.
"""

import csv
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from encoders.errors import GeneQueryError
from encoders.sentences import PLAIN, SentenceRecipe

HOUSEKEEPING_COLUMN = "genesymbol"

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
    )
}


def recipe_named(name: str, *, housekeeping: Iterable[str] = ()) -> SentenceRecipe:
    """The recipe of that name, leaving out the given housekeeping genes.

    Parameters
    ----------
    name : str
        A key of `RECIPES`.
    housekeeping : iterable of str
        Symbols to leave out (`read_housekeeping`).

    Raises
    ------
    GeneQueryError
        If there is no such recipe; lists the known ones.
    """
    if name not in RECIPES:
        raise GeneQueryError(f"There is no gene-sentence recipe {name!r}; known are {', '.join(sorted(RECIPES))}.")
    recipe = RECIPES[name]
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
