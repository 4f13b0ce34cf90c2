"""Gene lists out of what people have: tables of differential expression and gene sets of a GMT file."""

import csv
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from encoders.errors import GeneQueryError
from encoders.gene_lists import WeightedGenes
from search.profiles import Doubles
from search.retrieval.calibration import benjamini_hochberg

_MAX_ROWS = 200_000
_SYMBOL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")  # what a gene list can name
_EXPECTED = "expected a table with a gene, a log fold change and, if any, a p-value in each row"
#: How Seurat, scanpy, DESeq2, edgeR, limma and others call their columns, without case and punctuation; best first.
_NAMES: Mapping[str, tuple[str, ...]] = {
    "gene": (
        "gene", "genes", "symbol", "genesymbol", "genename", "names", "hgncsymbol", "externalgenename", "feature",
        "features", "genesymbols", "rowname", "rownames", "geneid", "ensembl", "ensemblid", "unnamed0", "x", "",
    ),
    "fold": (
        "avglog2fc", "avglogfc", "log2foldchange", "logfoldchanges", "logfoldchange", "logfc", "log2fc", "lfc",
        "avgdiff",
    ),
    "adjusted": ("padj", "pvaladj", "pvalsadj", "pvalueadj", "fdr", "adjpval", "adjpvalue", "qvalue", "qval", "q"),
    "p": ("pval", "pvalue", "pvals", "p", "pvalues"),
    "group": ("cluster", "group", "celltype", "contrast", "comparison"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class ExpressionTable:
    """Differential expression as it was read.

    Attributes
    ----------
    genes : tuple of str
        As written, one a row.
    folds : float64 (n,)
        Log fold change, finite.
    rates : float64 (n,)
        Adjusted p-value, NaN where the table has none.
    groups : tuple of str
        Cluster or contrast of each row; empty if the table has no such column.
    said : str
        Which columns were read, and what was left out.
    """

    genes: tuple[str, ...]
    folds: Doubles
    rates: Doubles
    groups: tuple[str, ...]
    said: str

    @property
    def group_names(self) -> tuple[str, ...]:
        """Clusters or contrasts, in the order they come."""
        return tuple(dict.fromkeys(self.groups))

    def strongest(
        self, *, up: int = 25, down: int = 25, rate: float = 0.05, group: str | None = None
    ) -> tuple[WeightedGenes, str]:
        """The genes that change most, as weights, and the rule in words.

        Of the rows with an adjusted p-value below `rate` (all rows where there is none) those with the `up` highest
        positive and the `down` lowest negative fold changes. A weight is the fold change over the largest one taken,
        to two digits, so that 1 or -1 is the strongest.

        Raises
        ------
        GeneQueryError
            If the table holds several groups and none is chosen, or no row passes.
        """
        names = self.group_names
        if len(names) > 1 and group not in names:
            raise GeneQueryError(f"The table holds {len(names)} groups ({', '.join(names[:5])}); choose one of them.")
        kept = np.array([len(names) < 2 or one == group for one in self.groups or [""] * len(self.genes)], dtype=bool)
        with_rates = bool(np.isfinite(self.rates[kept]).any())
        passing = np.flatnonzero(kept & ((self.rates < rate) | (not with_rates)) & (self.folds != 0))
        if not len(passing):
            raise GeneQueryError(
                f"None of the {int(kept.sum())} rows has an adjusted p-value below {rate:g} and a change; allow more."
            )
        order = passing[np.argsort(-np.abs(self.folds[passing]), kind="stable")]
        taken = [*order[self.folds[order] > 0][:up], *order[self.folds[order] < 0][:down]]
        if not taken:
            raise GeneQueryError("No gene was taken: ask for at least one that goes up or down.")
        largest = float(np.abs(self.folds[taken]).max())
        weights: dict[str, float] = {}
        for row in taken:
            size = max(0.01, round(abs(float(self.folds[row])) / largest, 2))
            weights.setdefault(self.genes[row], math.copysign(size, float(self.folds[row])))
        n_up = sum(weight > 0 for weight in weights.values())
        among = f"{len(passing):,} of {int(kept.sum()):,} rows with adjusted p < {rate:g}" if with_rates else "all rows"
        rule = (
            f"The {n_up} genes with the highest and the {len(weights) - n_up} with the lowest log fold change among "
            f"{among}; weight: log fold change over {largest:.3g}, the largest."
        )
        return WeightedGenes(tuple(weights), tuple(weights.values())), rule


def read_expression_table(text: str) -> ExpressionTable:
    """Read a pasted table of differential expression: commas, tabs, semicolons or spaces, columns in any order.

    Columns are found by the names Seurat, scanpy, DESeq2, edgeR and limma give them; a first column without a name, or
    a header one name short as R writes it, is that of the genes. Where there is only a raw p-value it is adjusted by
    Benjamini and Hochberg over the rows of each group.

    Raises
    ------
    GeneQueryError
        If the text is no such table, has no gene or fold change column, or not one row can be read.
    """
    header, rows = _cells(text)
    columns = {what: _find(header, names) for what, names in _NAMES.items()}
    if columns["gene"] is None or columns["fold"] is None:
        lacking = "a gene" if columns["gene"] is None else "a log fold change"
        raise GeneQueryError(
            f"The table has no column of {lacking}: it has {', '.join(name or '(no name)' for name in header[:12])}. "
            "Name them, for example, gene, logFC and padj."
        )
    rate_column = columns["adjusted"] if columns["adjusted"] is not None else columns["p"]
    genes, folds, rates, groups, bad = [], [], [], [], 0
    for row in rows:
        gene, fold = row[columns["gene"]].strip('" '), _number(row[columns["fold"]])
        if not _SYMBOL.fullmatch(gene) or not math.isfinite(fold):
            bad += 1
            continue
        genes.append(gene)
        folds.append(fold)
        rates.append(math.nan if rate_column is None else _number(row[rate_column]))
        groups.append("" if columns["group"] is None else row[columns["group"]].strip())
    if not genes:
        raise GeneQueryError(
            f"None of the {len(rows)} rows has a gene and a number in {header[columns['fold']]!r}; {_EXPECTED}."
        )
    found, said = np.array(rates), [f"Genes from {header[columns['gene']] or 'the first column'!r}"]
    said.append(f"log fold changes from {header[columns['fold']]!r}")
    if rate_column is not None:
        said.append(f"p-values from {header[rate_column]!r}")
    if columns["adjusted"] is None and columns["p"] is not None:
        found = _adjusted(found, groups)
        said[-1] += " (raw: adjusted here by Benjamini and Hochberg over the rows given)"
    left = f" {bad:,} rows without a gene or a number were left out." if bad else ""
    told = tuple(groups) if columns["group"] is not None else ()
    return ExpressionTable(tuple(genes), np.array(folds), found, told, f"{', '.join(said)}.{left}")


def read_gene_sets(text: str, name: str) -> dict[str, WeightedGenes]:
    """Gene sets of a GMT file: a line each of tab-separated name, source and genes.

    Raises
    ------
    GeneQueryError
        If a line has no genes, or a set comes twice.
    """
    found: dict[str, WeightedGenes] = {}
    for line in filter(str.strip, text.lstrip("\ufeff").splitlines()):
        label, *rest = (cell.strip() for cell in line.split("\t"))
        genes = [gene for gene in rest[1:] if gene]
        if not genes:
            raise GeneQueryError(
                f"The line {line[:40]!r} of {name} holds no genes; a line of a GMT file is a name, a source and genes, "
                "with tabs between them."
            )
        if label in found:
            raise GeneQueryError(f"The set {label!r} comes twice in {name}; give each a name of its own.")
        found[label] = WeightedGenes.parse(" ".join(genes))
    if not found:
        raise GeneQueryError(f"{name} is empty; expected a GMT file: a name, a source and genes a line.")
    return found


def _cells(text: str) -> tuple[list[str], list[list[str]]]:
    lines = [line for line in text.lstrip("\ufeff").splitlines() if line.strip()]
    if len(lines) < 2:
        raise GeneQueryError(f"The table has {len(lines)} lines; {_EXPECTED}, below a line of column names.")
    if len(lines) > _MAX_ROWS:
        raise GeneQueryError(f"The table has {len(lines):,} lines; at most {_MAX_ROWS:,} are read. Give fewer genes.")
    separator = next((one for one in ("\t", ";", ",") if one in lines[0]), None)
    if separator == ";":  # written where a comma stands before the decimals
        lines = [re.sub(r"(?<=\d),(?=\d)", ".", line) for line in lines]
    if separator is None:
        table = [line.split() for line in lines]
    else:
        table = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=separator)]
    header, rows = table[0], table[1:]
    if rows and len(rows[0]) == len(header) + 1:  # R writes no name above the names of rows
        header = ["", *header]
    if len(header) < 2:
        raise GeneQueryError(f"The first line, {lines[0][:60]!r}, has one column; {_EXPECTED}.")
    uneven = next((number for number, row in enumerate(rows, start=2) if len(row) != len(header)), None)
    if uneven is not None:
        raise GeneQueryError(
            f"Line {uneven} of the table has {len(rows[uneven - 2])} columns and the first {len(header)}; paste the "
            "table whole, with commas or tabs between the columns."
        )
    return header, rows


def _find(header: Sequence[str], names: Sequence[str]) -> int | None:
    plain = [re.sub(r"[^a-z0-9]", "", name.lower()) for name in header]
    return next((plain.index(name) for name in names if name in plain), None)


def _number(cell: str) -> float:
    try:
        return float(cell.strip().strip('"'))
    except ValueError:
        return math.nan


def _adjusted(p_values: Doubles, groups: Sequence[str]) -> Doubles:
    rates, group_of = np.full(len(p_values), np.nan), np.array(groups)
    for group in np.unique(group_of):
        rows = np.flatnonzero((group_of == group) & np.isfinite(p_values))
        rates[rows] = benjamini_hochberg(p_values[rows])
    return rates
