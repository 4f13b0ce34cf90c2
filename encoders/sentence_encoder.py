"""Transcriptomes as text: an encoder that writes gene sentences and reads them with a text tower."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import scipy.sparse as sp

from encoders.contracts import EncoderInfo, ExpressionEncoding, GeneReport, Vectors, unit_rows
from encoders.errors import GeneQueryError
from encoders.gene_lists import WeightedGenes
from encoders.sentences import GeneSentence, SentenceRecipe, sentences_of

_BATCH = 64
_N_MARKS = 2  # tokens at the start and the end of a text


class TextTower(Protocol):
    """Texts to features, with a limit on their length."""

    @property
    def context_length(self) -> int:
        """Tokens it reads, the marks at the start and the end among them."""

    def n_tokens(self, word: str) -> int:
        """Tokens of one word."""

    def encode_texts(self, texts: list[str]) -> Any:
        """Features `float32 (n, dim)`."""


class SentenceEncoder:
    """Transcriptomes to unit vectors by writing them as gene sentences.

    A text tower reads a limited number of tokens. Which genes of a sentence lie within it is reported: `used` are read
    whole, `truncated` are cut off, the one that is cut through among them.

    Parameters
    ----------
    tower : TextTower
        Reads the sentences.
    info : EncoderInfo
        What the encoder declares.
    recipe : SentenceRecipe
        Writes profiles as sentences.
    """

    def __init__(self, tower: TextTower, *, info: EncoderInfo, recipe: SentenceRecipe) -> None:
        self.recipe = recipe
        self._tower = tower
        self._info = info
        self._lengths: dict[str, int] = {}

    @property
    def info(self) -> EncoderInfo:
        """Name, revision, dim, licence and digest."""
        return self._info

    @property
    def genes(self) -> tuple[str, ...]:
        """Empty: a text tower has no list of genes, it reads any symbol."""
        return ()

    @property
    def query_genes(self) -> tuple[str, ...]:
        """Empty: any symbol may be named."""
        return ()

    def encode_counts(
        self,
        counts: sp.csr_matrix,
        genes: Sequence[str],
        *,
        by_section: bool = False,  # noqa: ARG002 (the contract's)
    ) -> ExpressionEncoding:
        """Unit vectors `float32 (n, dim)` of profiles, each written as a sentence by `recipe`.

        The published model compares texts as they are, so `by_section` changes nothing. A row without any count has
        no order of genes: its vector is zero. Over several rows a gene is `used` if any row's sentence has it within
        the limit, and `truncated` if it is only ever written beyond it.

        Parameters
        ----------
        counts : csr_matrix (n, n_genes)
            Raw or normalised; only the order within a row matters.
        genes : sequence of str
            Symbols of the columns.

        Raises
        ------
        GeneQueryError
            If columns and symbols differ in number, a value is not finite, the recipe leaves no gene, or no row has
            counts.
        """
        rows = sp.csr_matrix(counts)
        if rows.shape[1] == len(genes) and not any(self.recipe.keeps(symbol) for symbol in genes):
            raise GeneQueryError(
                f"The recipe {self.recipe.name!r} leaves out all {len(genes)} genes ({', '.join(genes[:3])}); give "
                f"symbols such as KRT19."
            )
        filled = np.asarray(abs(rows).sum(axis=1)).ravel() > 0
        if len(filled) and not filled.any():
            raise GeneQueryError(f"All {len(filled)} profiles are without counts; give at least one count.")
        sentences = sentences_of(rows[np.flatnonzero(filled)], genes, recipe=self.recipe)
        vectors = np.zeros((len(filled), self._info.dim), dtype=np.float32)
        vectors[filled] = self._encode(sentences)
        return ExpressionEncoding(vectors, self._report(sentences))

    def encode_sentence(self, sentence: GeneSentence) -> ExpressionEncoding:
        """Unit vector `(1, dim)` of one sentence, read as it is."""
        return ExpressionEncoding(self._encode([sentence]), self._report([sentence]))

    def encode_list(self, genes: WeightedGenes) -> ExpressionEncoding:
        """Unit vector `(1, dim)` of a gene list, written as a sentence from the largest weight down, ties as typed.

        Genes that the recipe leaves out (for `omiclip`, names with `.` or `-`, and housekeeping genes) were never in
        a sentence the model learned from; they are left out here too and reported as unknown.

        Raises
        ------
        GeneQueryError
            If a weight is negative, which a sentence cannot say, or no gene is left.
        """
        low = [symbol for symbol, weight in zip(genes.symbols, genes.weights, strict=True) if weight < 0]
        if low:
            raise GeneQueryError(
                f"A gene sentence cannot ask for a gene to be low ({', '.join(low[:3])}); leave negative weights out."
            )
        order = sorted(range(len(genes.symbols)), key=lambda i: -genes.weights[i])
        written = tuple(genes.symbols[i] for i in order if self.recipe.keeps(genes.symbols[i]))
        if not written:
            raise GeneQueryError(
                f"The recipe {self.recipe.name!r} leaves out all {len(genes.symbols)} genes of the list "
                f"({', '.join(genes.symbols[:3])}); give symbols such as KRT19."
            )
        sentence = GeneSentence(written, self.recipe.name)
        report = self._report([sentence])
        unknown = tuple(symbol for symbol in genes.symbols if not self.recipe.keeps(symbol))
        return ExpressionEncoding(self._encode([sentence]), GeneReport(report.used, unknown, report.truncated))

    def n_read(self, sentence: GeneSentence) -> int:
        """How many genes of a sentence, from its start, the text tower reads whole."""
        lengths = np.cumsum([self._length(symbol) for symbol in sentence.symbols])
        return int(np.searchsorted(lengths, self._tower.context_length - _N_MARKS, side="right"))

    def _length(self, symbol: str) -> int:
        if symbol not in self._lengths:
            self._lengths[symbol] = self._tower.n_tokens(symbol)
        return self._lengths[symbol]

    def _encode(self, sentences: Sequence[GeneSentence]) -> Vectors:
        rows = np.empty((len(sentences), self._info.dim), dtype=np.float32)
        for start in range(0, len(sentences), _BATCH):
            rows[start : start + _BATCH] = self._tower.encode_texts([str(s) for s in sentences[start : start + _BATCH]])
        return unit_rows(rows)

    def _report(self, sentences: Sequence[GeneSentence]) -> GeneReport:
        used: dict[str, None] = {}
        beyond: dict[str, None] = {}
        for sentence in sentences:
            n_read = self.n_read(sentence)
            used.update(dict.fromkeys(sentence.symbols[:n_read]))
            beyond.update(dict.fromkeys(sentence.symbols[n_read:]))
        return GeneReport(used=tuple(used), truncated=tuple(symbol for symbol in beyond if symbol not in used))
