"""The settings of a training run; all of them end up in the card."""

from dataclasses import dataclass
from typing import Literal, get_args

from encoders.contracts import PatchSpec
from encoders.errors import TrainingError

Loss = Literal["cca", "infonce", "bleep"]
StopOn = Literal["section", "patient", "none"]
MAX_ORIENTATIONS = 8


@dataclass(frozen=True, slots=True)
class Recipe:
    """Settings of a training run; all of them end up in the card.

    Attributes
    ----------
    n_genes, min_detected : int, float
        Most variable genes kept, among those detected in more than this share of spots.
    min_listed : float
        A gene list may name genes that are detected in more than this share of spots.
    image_components, expression_components : int
        Principal components of each view that enter the alignment.
    dim : int
        Canonical directions kept, the dimensions of the space.
    shrinkage : float
        Ridge of both views in units of their mean variance.
    loss : str
        `cca` (ridge CCA in closed form), `infonce` (symmetric contrastive, Radford et al., ICML 2021) or `bleep` (soft
        targets, Xie et al., NeurIPS 2023). The last two start from the first.
    stop_on : str
        Where `infonce` and `bleep` stop: when a held-out `section` or `patient` of the pairs gets no better, or
        (`none`) after all epochs.
    epochs, patience, batch_size, learning_rate, gene_dropout : int, int, int, float, float
        Of those two: passes at most, passes without improvement before stopping, spots a step, AdamW's rate, and the
        share of genes blanked in each spot, which makes short gene lists readable.
    orientations : int
        Orientations (turns and mirror images) in which each patch is seen in training, 1 to 8.
    normalise_stain : bool
        Off only for baselines that look at colour itself.
    n_ranks : int
        Length of the curve that reads gene sentences.
    n_null_pairs, seed : int
        Mismatched pairs drawn for the calibration, and the seed they are drawn with.
    side_um, side_px : float, int
        The patch round a spot.
    name, version, licence, training_data, choice : str
        For the card; `choice` says how the settings were chosen.
    """

    n_genes: int = 2000
    min_detected: float = 0.1
    min_listed: float = 0.01
    image_components: int = 128
    expression_components: int = 32
    dim: int = 16
    shrinkage: float = 0.3
    loss: Loss = "cca"
    stop_on: StopOn = "section"
    epochs: int = 60
    patience: int = 8
    batch_size: int = 256
    learning_rate: float = 1e-3
    gene_dropout: float = 0.3
    orientations: int = 4
    normalise_stain: bool = True
    n_ranks: int = 1000
    n_null_pairs: int = 200_000
    seed: int = 0
    side_um: float = 308.2
    side_px: int = 448
    name: str = "mini"
    version: str = "1"
    licence: str = "unstated"
    training_data: str = "unstated"
    choice: str = "unstated"

    @property
    def patch(self) -> PatchSpec:
        """The patch round a spot."""
        return PatchSpec(side_um=self.side_um, side_px=self.side_px)

    def check(self) -> None:
        """Raise `TrainingError` where a choice is none of those known."""
        for what, value, known in (("loss", self.loss, get_args(Loss)), ("stop_on", self.stop_on, get_args(StopOn))):
            if value not in known:
                raise TrainingError(f"{what} is {value!r}; expected one of {', '.join(known)}.")
        if not 1 <= self.orientations <= MAX_ORIENTATIONS:
            raise TrainingError(f"orientations is {self.orientations}; a square has 1 to {MAX_ORIENTATIONS}.")
        if not 0 <= self.gene_dropout < 1:
            raise TrainingError(f"gene_dropout is {self.gene_dropout}; expected a share from 0 to below 1.")
        for what in ("epochs", "patience", "batch_size", "learning_rate"):
            if not getattr(self, what) > 0:
                raise TrainingError(f"{what} is {getattr(self, what)}; expected a value above 0.")
