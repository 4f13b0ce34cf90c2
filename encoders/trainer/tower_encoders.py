"""The encoders of a space trained on towers: a tower, minus a centre, through a head, scaled to unit length.

Whether the centre is the section's own or that of the training is the space's choice (`centring` on its card): with
`training` a section's centre is accepted, as the contract has it, and left unused, so that search treats a new slide as
the training treated its sections.
"""

from collections.abc import Callable, Sequence

import numpy as np
import scipy.sparse as sp

from encoders.contracts import (
    EncoderInfo,
    ExpressionEncoding,
    Floats,
    GeneReport,
    Patches,
    PatchSpec,
    SectionStats,
    Vectors,
    unit_rows,
)
from encoders.errors import GeneQueryError, PatchError
from encoders.gene_lists import WeightedGenes
from encoders.gene_matching import check_not_cancelled, match_columns, place_weights
from encoders.profiles import Profiles, SymbolTable
from encoders.sentence_encoder import SentenceEncoder
from encoders.sentences import GeneSentence
from encoders.stain import measure_stain, move_stain
from encoders.trainer.image_towers import ImageTower
from encoders.trainer.tower_recipe import Centring
from encoders.trainer.tower_weights import TowerWeights


class TowerImageEncoder:
    """Patches, or features of the tower made elsewhere, to unit vectors.

    Parameters
    ----------
    tower : callable
        Opens the tower; called once, when the first pixels come, so that queries by genes need no weights of it.
    tower_name : str
        What makes the features.
    """

    def __init__(
        self,
        weights: TowerWeights,
        *,
        info: EncoderInfo,
        patch: PatchSpec,
        tower: Callable[[], ImageTower],
        tower_name: str,
        centring: Centring,
    ) -> None:
        self.weights, self.tower_name, self.centring = weights, tower_name, centring
        self._info, self._patch, self._open = info, patch, tower
        self._tower: ImageTower | None = None

    @property
    def info(self) -> EncoderInfo:
        """Name, revision, dim, licence and digest."""
        return self._info

    @property
    def patch(self) -> PatchSpec:
        """The patch this encoder expects."""
        return self._patch

    @property
    def feature_dim(self) -> int:
        """Length of the features it projects."""
        return len(self.weights.image_centre)

    @property
    def needs_stain(self) -> bool:
        """Whether pixels are moved to a common stain before the tower."""
        return self.weights.stain_target is not None

    @property
    def tower(self) -> ImageTower:
        """The tower below the head; raises `WeightsMissingError` if it is not on this machine."""
        if self._tower is None:
            self._tower = self._open()
        return self._tower

    def stain_of(self, patches: Patches) -> Floats:
        """Stain of a section, `float32 (2, 3)`; raises `PatchError` for patches of another shape, or none."""
        self._patch.check(patches)
        return measure_stain(patches)

    def features(self, patches: Patches, *, stain: Floats | None = None) -> Floats:
        """Features `float32 (n, feature_dim)` of the tower, after moving `stain` (the training's by default).

        Raises
        ------
        PatchError
            If the patches have another shape or dtype.
        WeightsMissingError, SpaceMismatchError, PackageMissingError
            If the tower is not on this machine, or is not the one the space was trained on.
        """
        self._patch.check(patches)
        target, own = self.weights.stain_target, self.weights.stain if stain is None else stain
        if target is not None and own is not None:
            patches = move_stain(patches, stain=own, target=target)
        return self.tower.features(patches)

    def project(self, features: Floats, *, centre: Floats | None = None) -> Vectors:
        """Unit vectors `float32 (n, dim)` of features minus their centre.

        Raises
        ------
        PatchError
            If the features have another length.
        """
        if features.ndim != 2 or features.shape[1] != self.feature_dim:
            raise PatchError(
                f"Got features of shape {features.shape}; expected (n, {self.feature_dim}) of {self.tower_name}."
            )
        own = self.weights.image_centre if centre is None or self.centring == "training" else centre
        # The mean is taken off first: features far from zero would lose digits in the product.
        return unit_rows(self.weights.image_head.place((features - own).astype(np.float32), np.zeros_like(own)))

    def encode(self, patches: Patches, *, section: SectionStats | None = None) -> Vectors:
        """Unit vectors `float32 (n, dim)`; without `section` the training sections' stain and centre are assumed."""
        if section is None:
            return self.project(self.features(patches))
        return self.project(self.features(patches, stain=section.stain), centre=section.centre)


class GeneTowerEncoder:
    """Transcriptomes to unit vectors by a head on log-expression: `profile` and `mlp`. Needs numpy only."""

    def __init__(
        self, weights: TowerWeights, rank_curve: Floats, directions: Floats, *, info: EncoderInfo, centring: Centring
    ) -> None:
        self.weights, self.centring = weights, centring
        self._rank_curve, self._directions = rank_curve, directions
        self._info = info
        self._table, self._query_table = SymbolTable(weights.genes), SymbolTable(weights.query_genes)

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
        """Unit vectors of raw-count rows; parameters and errors as `encoders.mini_expression`.

        In a space with `centring` `training`, `by_section` changes nothing.
        """
        profiles = Profiles.read(counts, genes)
        columns, rows, report = match_columns(self._table, profiles.genes)
        filled = profiles.has_counts()
        if len(filled) and not filled.any():
            raise GeneQueryError(f"All {len(filled)} profiles are without counts; give at least one count.")
        own_mean = by_section and self.centring == "section" and bool(filled.any())
        if own_mean and filled.sum() == 1:
            raise GeneQueryError(
                "A section with counts in 1 row cannot be centred on its own mean; encode it with by_section=False."
            )
        values = profiles.log_normalised()[:, columns]
        mean = self.weights.expression_centre[rows]
        centre = np.asarray(values[filled].mean(axis=0)).ravel() if own_mean else mean
        placed = self.weights.expression_head.place(values, centre, rows)
        placed[~filled] = 0.0
        return ExpressionEncoding(unit_rows(placed), report)

    def encode_list(self, genes: WeightedGenes) -> ExpressionEncoding:
        """Unit vector `(1, dim)` of a gene list: where spots lie that have each gene that many sd above the mean."""
        placed, report = place_weights(self._query_table, genes.symbols, genes.weights)
        vector = placed[None, :] @ self._directions
        check_not_cancelled(vector, report)
        return ExpressionEncoding(unit_rows(vector), report)

    def encode_sentence(self, sentence: GeneSentence) -> ExpressionEncoding:
        """Unit vector `(1, dim)` of one gene sentence, read by the rank curve as in `encoders.mini_expression`."""
        n_ranks = len(self._rank_curve)
        kept, truncated = sentence.symbols[:n_ranks], sentence.symbols[n_ranks:]
        at = [self._table.find(symbol) for symbol in kept]
        mean = self.weights.expression_centre
        shifts = [0.0 if i is None else float(level - mean[i]) for i, level in zip(at, self._rank_curve, strict=False)]
        placed, report = place_weights(self._table, kept, shifts)
        vector = self.weights.expression_head.place(placed[None, :], np.zeros_like(mean))
        check_not_cancelled(vector, report)
        return ExpressionEncoding(unit_rows(vector), GeneReport(report.used, report.unknown, truncated))


class SentenceTowerEncoder:
    """Transcriptomes to unit vectors by gene sentences, a text tower, and a head on its features.

    Parameters
    ----------
    texts : callable
        Opens the text tower with the recipe of the space; called once, on first use.
    """

    def __init__(
        self, weights: TowerWeights, texts: Callable[[], SentenceEncoder], *, info: EncoderInfo, centring: Centring
    ) -> None:
        self.weights, self.centring = weights, centring
        self._info, self._open = info, texts
        self._texts: SentenceEncoder | None = None

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

    @property
    def sentences(self) -> SentenceEncoder:
        """The text tower below the head; raises `WeightsMissingError` if it is not on this machine."""
        if self._texts is None:
            self._texts = self._open()
        return self._texts

    def encode_counts(
        self, counts: sp.csr_matrix, genes: Sequence[str], *, by_section: bool = False
    ) -> ExpressionEncoding:
        """Unit vectors of profiles written as sentences; `by_section` centres them as the space's card says."""
        found = self.sentences.encode_counts(counts, genes)
        filled = np.any(found.vectors, axis=1)
        own_mean = by_section and self.centring == "section" and bool(filled.any())
        if own_mean and filled.sum() == 1:
            raise GeneQueryError(
                "A section with counts in 1 row cannot be centred on its own mean; encode it with by_section=False."
            )
        centre = found.vectors[filled].mean(axis=0) if own_mean else self.weights.expression_centre
        vectors = self._placed(found.vectors, centre)
        vectors[~filled] = 0.0
        return ExpressionEncoding(vectors, found.genes)

    def encode_sentence(self, sentence: GeneSentence) -> ExpressionEncoding:
        """Unit vector `(1, dim)` of one sentence."""
        return self._one(self.sentences.encode_sentence(sentence))

    def encode_list(self, genes: WeightedGenes) -> ExpressionEncoding:
        """Unit vector `(1, dim)` of a gene list, written as a sentence; errors as `SentenceEncoder.encode_list`."""
        return self._one(self.sentences.encode_list(genes))

    def _one(self, found: ExpressionEncoding) -> ExpressionEncoding:
        return ExpressionEncoding(self._placed(found.vectors, self.weights.expression_centre), found.genes)

    def _placed(self, features: Vectors, centre: Floats) -> Vectors:
        centred = (features - centre).astype(np.float32)
        return unit_rows(
            self.weights.expression_head.place(centred, np.zeros_like(centred[0]))
            if len(centred)
            else np.empty((0, self._info.dim), dtype=np.float32)
        )
