"""The settings of a training on towers; all of them end up in the card."""

from dataclasses import asdict, dataclass
from typing import Literal, get_args

from encoders.errors import TrainingError
from encoders.recipe import MAX_ORIENTATIONS, Loss

HeadKind = Literal["linear", "mlp"]
Centring = Literal["section", "training"]

#: Expression encoders that read genes themselves; any other name is that of a text tower that reads gene sentences.
PROFILE, MLP = "profile", "mlp"
#: What changes speed only, and what is said on the card elsewhere.
_NOT_SETTINGS = frozenset({"name", "licence", "training_data", "validate_patients", "workers"})


@dataclass(frozen=True, slots=True)
class TowerRecipe:
    """Settings of a training on towers.

    Attributes
    ----------
    expression_encoder : str
        `profile` (principal axes of standardised log-expression), `mlp` (the same with a hidden layer over all genes
        added), or the name of a text tower.
    loss : str
        `cca`, `infonce` or `bleep`, as in `encoders.recipe`. The last two start from the first.
    dim : int
        Dimensions of the space.
    head : str
        On image features and sentence features: `linear`, or `mlp`, which adds a hidden layer.
    hidden : int
        Width of hidden layers.
    n_genes, min_detected, min_listed : int, float, float
        As in `encoders.recipe`.
    image_components, expression_components : int
        At most so many principal components of each view enter the alignment.
    shrinkage : float
        Ridge of the closed form, in units of a view's mean variance.
    centring : str
        `section`: vectors of a section are centred on its own mean, in training and by search on a new slide; or
        `training`: all are centred on the mean of the training sections.
    normalise_stain : bool
        Whether patches are moved to one stain before the image tower.
    orientations : int
        Turns and mirror images in which each patch is seen, 1 to 8; when the tower is tuned, each time another.
    stain_jitter : float
        Spread of random stain, as a share, in all views of a patch but the first.
    gene_dropout : float
        Share of genes blanked in each spot of a batch.
    validate_patients : tuple of str
        Patients held out of the training to stop it.
    stop_on : str
        Without them: `section` holds out the last section, `none` nothing.
    epochs, patience, batch_size, learning_rate, weight_decay : int, int, int, float, float
        Of training by contrast.
    fine_tune : bool
        Whether the image tower is trained too, at `tower_learning_rate`.
    bf16 : bool
        Whether the tower runs in bfloat16 while it is tuned.
    workers : int
        Processes that prepare patches while the tower is tuned; what they prepare does not depend on their number.
    sentence_recipe : str
        Writes sentences for a text tower.
    n_ranks, n_null_pairs, seed : int
        Length of the curve that reads sentences; pairs drawn for the calibration; seed of everything drawn.
    name, version, licence, training_data : str
        For the card.
    """

    expression_encoder: str = PROFILE
    loss: Loss = "cca"
    dim: int = 16
    head: HeadKind = "linear"
    hidden: int = 256
    n_genes: int = 2000
    min_detected: float = 0.1
    min_listed: float = 0.01
    image_components: int = 64
    expression_components: int = 32
    shrinkage: float = 0.3
    centring: Centring = "section"
    normalise_stain: bool = True
    orientations: int = 4
    stain_jitter: float = 0.0
    gene_dropout: float = 0.3
    validate_patients: tuple[str, ...] = ()
    stop_on: Literal["section", "none"] = "section"
    epochs: int = 60
    patience: int = 8
    batch_size: int = 256
    learning_rate: float = 1e-3
    weight_decay: float = 1e-3
    fine_tune: bool = False
    tower_learning_rate: float = 1e-5
    bf16: bool = False
    workers: int = 0
    sentence_recipe: str = "omiclip"
    n_ranks: int = 1000
    n_null_pairs: int = 200_000
    seed: int = 0
    name: str = "towers"
    version: str = "1"
    licence: str = "unstated"
    training_data: str = "unstated"

    @property
    def reads_genes(self) -> bool:
        """Whether the expression encoder reads genes itself, not sentences."""
        return self.expression_encoder in (PROFILE, MLP)

    @property
    def has_hidden_layer(self) -> bool:
        """Whether any head is more than a matrix."""
        return self.head == "mlp" or self.expression_encoder == MLP

    def settings(self) -> dict[str, str | int | float | bool]:
        """What decides the weights, for the card and for the identity of a run."""
        return {key: value for key, value in asdict(self).items() if key not in _NOT_SETTINGS}

    def check(self) -> None:
        """Raise `TrainingError` where a choice is none of those known, or two do not go together."""
        choices = (
            ("loss", self.loss, get_args(Loss)),
            ("head", self.head, get_args(HeadKind)),
            ("centring", self.centring, get_args(Centring)),
            ("stop_on", self.stop_on, ("section", "none")),
        )
        for what, value, known in choices:
            if value not in known:
                raise TrainingError(f"{what} is {value!r}; expected one of {', '.join(known)}.")
        positive = ("dim", "hidden", "epochs", "patience", "batch_size", "learning_rate", "tower_learning_rate")
        for what in (*positive, "n_genes", "image_components", "expression_components"):
            if not getattr(self, what) > 0:
                raise TrainingError(f"{what} is {getattr(self, what)}; expected a value above 0.")
        if not 1 <= self.orientations <= MAX_ORIENTATIONS:
            raise TrainingError(f"orientations is {self.orientations}; a square has 1 to {MAX_ORIENTATIONS}.")
        if not 0 <= self.gene_dropout < 1 or not 0 <= self.stain_jitter < 1:
            raise TrainingError(
                f"gene_dropout is {self.gene_dropout} and stain_jitter {self.stain_jitter}; expected shares from 0 to "
                f"below 1."
            )
        if self.workers < 0:
            raise TrainingError(f"workers is {self.workers}; expected 0 (none beside the main process) or more.")
        self._check_closed_form()

    def _check_closed_form(self) -> None:
        if self.loss != "cca":
            return
        for asked, what in (
            (self.has_hidden_layer, "a hidden layer (mlp)"),
            (self.fine_tune, "fine-tuning"),
            (bool(self.validate_patients), "a patient to stop on"),
        ):
            if asked:
                raise TrainingError(
                    f"{what[0].upper()}{what[1:]} was asked for, but the loss cca is a closed form without steps; "
                    f"choose infonce or bleep."
                )
