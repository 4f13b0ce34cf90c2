"""The expression side of `mini`: profiles, gene sentences and gene lists to unit vectors. Needs numpy only."""

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp

from encoders.contracts import EncoderInfo, ExpressionEncoding, Floats, GeneReport, unit_rows
from encoders.errors import GeneQueryError
from encoders.gene_lists import WeightedGenes
from encoders.gene_matching import check_not_cancelled, match_columns, place_weights
from encoders.mini import MiniWeights
from encoders.profiles import Profiles, SymbolTable
from encoders.sentences import GeneSentence


class MiniExpressionEncoder:
    """Transcriptomes to unit vectors by one linear projection of standardised log-expression."""

    def __init__(self, weights: MiniWeights, *, info: EncoderInfo) -> None:
        self.weights = weights
        self._info = info
        self._table = SymbolTable(weights.genes)
        self._query_table = SymbolTable(weights.query_genes)

    @property
    def info(self) -> EncoderInfo:
        """Name, revision, dim, licence and digest."""
        return self._info

    @property
    def genes(self) -> tuple[str, ...]:
        """The symbols the encoder reads, in its order."""
        return self.weights.genes

    @property
    def query_genes(self) -> tuple[str, ...]:
        """The symbols a gene list may name."""
        return self.weights.query_genes

    def encode_counts(
        self, counts: sp.csr_matrix, genes: Sequence[str], *, by_section: bool = False
    ) -> ExpressionEncoding:
        """Unit vectors of raw-count rows.

        Genes that are not given count as average. A row without any count has no direction: its vector is zero.

        Parameters
        ----------
        counts : csr_matrix (n, n_genes)
            Raw counts over all genes of the file, so that the library size is right.
        genes : sequence of str
            Symbols of the columns; counts of repeated symbols are summed.
        by_section : bool
            Whether to centre on the rows' own mean log-expression (all rows are of one section, which takes the batch
            effect out) or on the training sections' mean.

        Raises
        ------
        GeneQueryError
            If values are negative or not finite, no gene is known, no row has counts, or one row alone is to be
            centred on itself.
        """
        profiles = Profiles.read(counts, genes)
        columns, rows, report = match_columns(self._table, profiles.genes)
        filled = profiles.has_counts()
        if len(filled) and not filled.any():
            raise GeneQueryError(f"All {len(filled)} profiles are without counts; give at least one count.")
        if by_section and filled.sum() == 1:
            raise GeneQueryError(
                "A section with counts in 1 row cannot be centred on its own mean; encode it with by_section=False."
            )
        values = profiles.log_normalised()[:, columns]
        own_mean = by_section and bool(filled.any())
        centre = np.asarray(values[filled].mean(axis=0)).ravel() if own_mean else self.weights.gene_mean[rows]
        scaled = self.weights.expression_projection[rows] / self.weights.gene_sd[rows, None]
        vectors = np.asarray(values @ scaled) - centre @ scaled
        vectors[~filled] = 0.0
        return ExpressionEncoding(unit_rows(vectors.astype(np.float32)), report)

    def encode_list(self, genes: WeightedGenes) -> ExpressionEncoding:
        """Unit vector `(1, dim)` of a gene list: where spots lie that have each gene that many sd above the mean.

        Directions of single genes (`gene_directions`) are added up by weight; unknown genes are left out and reported.

        Raises
        ------
        GeneQueryError
            If no gene is known (with what is spelled alike), or the weights of known genes cancel.
        """
        placed, report = place_weights(self._query_table, genes.symbols, genes.weights)
        return _unit_encoding(placed[None, :] @ self.weights.gene_directions, report)

    def encode_sentence(self, sentence: GeneSentence) -> ExpressionEncoding:
        """Unit vector `(1, dim)` of one gene sentence.

        The gene at rank r is given the mean log-expression that the r-th gene of a training spot has, minus the gene's
        own training mean, in its standard deviations. Genes not in the sentence stay at the mean. Genes beyond the
        last rank of that curve are reported as truncated.

        Raises
        ------
        GeneQueryError
            If no gene is known.
        """
        n_ranks = len(self.weights.rank_curve)
        kept, truncated = sentence.symbols[:n_ranks], sentence.symbols[n_ranks:]
        at = [self._table.find(symbol) for symbol in kept]
        weights = [
            0.0 if row is None else float((level - self.weights.gene_mean[row]) / self.weights.gene_sd[row])
            for row, level in zip(at, self.weights.rank_curve, strict=False)
        ]
        placed, report = place_weights(self._table, kept, weights)
        vector = placed[None, :] @ self.weights.expression_projection
        return _unit_encoding(vector, GeneReport(report.used, report.unknown, truncated))


def _unit_encoding(vector: Floats, report: GeneReport) -> ExpressionEncoding:
    check_not_cancelled(vector, report)
    return ExpressionEncoding(unit_rows(vector), report)
