"""What an encoder is: arrays in, unit vectors out. It knows no file and no slide.

Frames and units: patches are RGB `uint8`, `(n, side_px, side_px, 3)`, in [0, 255], covering `side_um` micrometres;
counts are `(n, n_genes)` sparse rows in the gene order given beside them; vectors are `float32 (n, dim)` with rows
of norm 1, made so in `unit_rows` and nowhere else.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from encoders.errors import PatchError
from encoders.gene_lists import WeightedGenes
from encoders.sentences import GeneSentence

Modality = Literal["image", "expression"]
Patches = npt.NDArray[np.uint8]
Vectors = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class PatchSpec:
    """The square of tissue an image encoder looks at.

    Attributes
    ----------
    side_um : float
        Physical side in micrometres.
    side_px : int
        Side in pixels after resampling.
    """

    side_um: float
    side_px: int

    @property
    def mpp(self) -> float:
        """Micrometres per pixel of the resampled patch."""
        return self.side_um / self.side_px

    def check(self, patches: Patches) -> None:
        """Raise `PatchError` unless `patches` is a uint8 batch `(n, side_px, side_px, 3)`."""
        expected = (self.side_px, self.side_px, 3)
        if patches.dtype != np.uint8 or patches.ndim != 4 or patches.shape[1:] != expected:
            raise PatchError(
                f"Got patches of shape {patches.shape} and dtype {patches.dtype}; expected uint8 (n, {self.side_px}, "
                f"{self.side_px}, 3) covering {self.side_um:g} um. Resample the tile to {self.mpp:.3f} um/px first."
            )


@dataclass(frozen=True, slots=True)
class EncoderInfo:
    """What an encoder declares of itself; stored in the card of every index it fills."""

    name: str
    revision: str
    modality: Modality
    dim: int
    licence: str
    weights_sha256: str


@dataclass(frozen=True, slots=True)
class SectionStats:
    """What an image encoder must know of a section to take its stain and its batch effect out.

    Attributes
    ----------
    stain : float32 (2, 3)
        Mean and standard deviation of the section's tissue in CIELAB.
    centre : float32 (feature_dim,)
        Mean backbone feature over the section's tissue.
    """

    stain: Floats
    centre: Floats

    def to_list(self) -> list[float]:
        """Flat form for a table column: six stain numbers, then the centre."""
        return [*self.stain.ravel().tolist(), *self.centre.tolist()]

    @classmethod
    def from_list(cls, values: Sequence[float]) -> "SectionStats":
        """Inverse of `to_list`."""
        flat = np.asarray(values, dtype=np.float32)
        return cls(stain=flat[:6].reshape(2, 3), centre=flat[6:])


@dataclass(frozen=True, slots=True)
class GeneReport:
    """Which genes of a query an encoder used, did not know, or had to cut off."""

    used: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    truncated: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ExpressionEncoding:
    """Unit vectors of transcriptomes, `float32 (n, dim)`, with the genes behind them."""

    vectors: Vectors
    genes: GeneReport = field(default_factory=GeneReport)


class ImageEncoder(Protocol):
    """Tiles to unit vectors, in two steps so that features can be kept and centred by section."""

    @property
    def info(self) -> EncoderInfo:
        """Name, revision, dim, licence and digest."""

    @property
    def patch(self) -> PatchSpec:
        """The patch this encoder expects."""

    def stain_of(self, patches: Patches) -> Floats:
        """Stain of a section, `float32 (2, 3)`, from a sample of its tissue tiles."""

    def features(self, patches: Patches, *, stain: Floats | None = None) -> Floats:
        """Backbone features `float32 (n, feature_dim)`; without `stain` the training sections' stain is assumed."""

    def project(self, features: Floats, *, centre: Floats | None = None) -> Vectors:
        """Unit vectors `(n, dim)`; without `centre` the training sections' mean feature is taken off."""

    def encode(self, patches: Patches, *, section: SectionStats | None = None) -> Vectors:
        """Features and projection in one call."""


@runtime_checkable
class OpensAhead(Protocol):
    """An image encoder whose model can be opened before there is anything to encode."""

    def open_model(self, example: Patches) -> None:
        """Open the model, if it is not open yet, for patches `(n, side_px, side_px, 3)` like these, at least one."""


class ExpressionEncoder(Protocol):
    """Transcriptomes to unit vectors: profiles, gene sentences, or short weighted gene lists."""

    @property
    def info(self) -> EncoderInfo:
        """Name, revision, dim, licence and digest."""

    @property
    def genes(self) -> tuple[str, ...]:
        """The symbols the encoder reads, in its order."""

    @property
    def query_genes(self) -> tuple[str, ...]:
        """The symbols a gene list may name; they may be more than `genes`."""

    def encode_counts(
        self, counts: sp.csr_matrix, genes: Sequence[str], *, by_section: bool = False
    ) -> ExpressionEncoding:
        """Unit vectors of raw-count rows; `by_section` centres them on their own mean (rows of one section)."""

    def encode_sentence(self, sentence: GeneSentence) -> ExpressionEncoding:
        """Unit vector of one gene sentence."""

    def encode_list(self, genes: WeightedGenes) -> ExpressionEncoding:
        """Unit vector of a short weighted gene list such as `ERBB2:2 KRT19 -VIM`."""


def unit_rows(values: Floats, norms: Floats | None = None, *, out: Vectors | None = None) -> Vectors:
    """Scale rows to norm 1, the only place where HistoSeek normalises; rows of zeros stay zero.

    `norms` are those of the rows where they are known; `out` is where the scaled rows are to go.
    """
    found = np.linalg.norm(values, axis=1, keepdims=True) if norms is None else norms[:, None]
    if (found > 0).all():  # several times as quick as under a mask
        room = np.empty_like(values, dtype=np.float32) if out is None else out
        whole: Vectors = np.divide(values, found, out=room, casting="same_kind")
        return whole
    scaled: Vectors = np.zeros_like(values, dtype=np.float32) if out is None else out
    scaled[...] = 0
    np.divide(values, found, out=scaled, where=found > 0, casting="same_kind")
    return scaled
