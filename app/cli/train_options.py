"""What a training may be told, each spelt and explained once."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.options import AsJson, ManifestPath, known_device
from encoders.recipe import Loss, Recipe, StopOn
from encoders.trainer.tower_recipe import Centring, HeadKind

if TYPE_CHECKING:
    from search.training.request import TrainRequest

_DEFAULT = Recipe()
_DATA, _IMAGE, _EXPRESSION, _FIT = "What is read", "Image side", "Expression side", "How it is fitted"

Dataset = Annotated[
    str | None,
    typer.Option("--dataset", help="A data set of the manifest with pairs; her2st by default.", rich_help_panel=_DATA),
]
PairedIndex = Annotated[
    str | None, typer.Option("--db", help="Or an index with pairs: spots with counts.", rich_help_panel=_DATA)
]
Slides = Annotated[
    list[str] | None,
    typer.Option("--slide", help="Of an index: only this slide; may be repeated.", rich_help_panel=_DATA),
]
Images = Annotated[
    Path | None,
    typer.Option("--images", help="Of an index: folder with the pictures, if they moved.", rich_help_panel=_DATA),
]
Features = Annotated[
    Path | None,
    typer.Option("--features", help="Of an index: read features made elsewhere, not pixels.", rich_help_panel=_DATA),
]
FeaturesEncoder = Annotated[
    str | None,
    typer.Option("--features-encoder", help="What made them, if the files do not say.", rich_help_panel=_DATA),
]
HeldOut = Annotated[
    list[str] | None,
    typer.Option(
        "--held-out",
        "--hold-out",
        help="A patient to test on, never trained on; may be repeated. Of her2st: B.",
        rich_help_panel=_DATA,
    ),
]
ImageEncoder = Annotated[
    str | None,
    typer.Option(
        "--image-encoder",
        help="mini, a published encoder (`histoseek encoders`), timm/NAME or open_clip/NAME.",
        rich_help_panel=_IMAGE,
    ),
]
ImageWeights = Annotated[Path | None, typer.Option("--image-weights", help="Its weights file.", rich_help_panel=_IMAGE)]
SideUm = Annotated[
    float | None,
    typer.Option("--side-um", help="Side of a patch in micrometres, if it states none.", rich_help_panel=_IMAGE),
]
Head = Annotated[
    HeadKind | None,
    typer.Option("--head", help="On its features: linear, or mlp (a hidden layer added).", rich_help_panel=_IMAGE),
]
Orientations = Annotated[
    int | None,
    typer.Option("--orientations", min=1, max=8, help="Turns and mirror images of a patch.", rich_help_panel=_IMAGE),
]
Stain = Annotated[
    bool | None,
    typer.Option("--stain/--no-stain", help="Move sections to one stain; yes by default.", rich_help_panel=_IMAGE),
]
StainJitter = Annotated[
    float | None,
    typer.Option("--stain-jitter", min=0, max=0.9, help="Random stain, as a share.", rich_help_panel=_IMAGE),
]
FineTune = Annotated[
    bool, typer.Option("--fine-tune", help="Train the image encoder too; needs --device.", rich_help_panel=_IMAGE)
]
TowerRate = Annotated[
    float | None, typer.Option("--tower-learning-rate", help="Of the image encoder.", rich_help_panel=_IMAGE)
]
HalfPrecision = Annotated[
    bool | None,
    typer.Option("--bf16/--no-bf16", help="Tune in bfloat16; on a GPU by default.", rich_help_panel=_IMAGE),
]
Workers = Annotated[
    int | None, typer.Option("--workers", min=0, help="Processes that prepare patches.", rich_help_panel=_IMAGE)
]
ExpressionEncoder = Annotated[
    str | None,
    typer.Option(
        "--expression-encoder",
        help="profile, mlp, or a text tower: omiclip, open_clip/NAME.",
        rich_help_panel=_EXPRESSION,
    ),
]
TextWeights = Annotated[
    Path | None, typer.Option("--expression-weights", help="Weights of a text tower.", rich_help_panel=_EXPRESSION)
]
SentenceRecipeName = Annotated[
    str | None, typer.Option("--sentence-recipe", help="Writes its sentences.", rich_help_panel=_EXPRESSION)
]
Housekeeping = Annotated[
    Path | None,
    typer.Option("--housekeeping", help="CSV of genes that sentences leave out.", rich_help_panel=_EXPRESSION),
]
GeneDropout = Annotated[
    float | None,
    typer.Option("--gene-dropout", min=0, max=0.99, help="Share of genes blanked.", rich_help_panel=_EXPRESSION),
]
LossName = Annotated[
    Loss,
    typer.Option("--loss", help="cca: closed form; infonce: contrastive; bleep: soft targets.", rich_help_panel=_FIT),
]
Centre = Annotated[
    Centring | None,
    typer.Option("--centring", help="On a section's own mean, or the training's.", rich_help_panel=_FIT),
]
Validate = Annotated[
    list[str] | None,
    typer.Option("--validate-patient", help="Stop by this patient; may be repeated.", rich_help_panel=_FIT),
]
StopBy = Annotated[
    StopOn,
    typer.Option("--stop-on", help="Else stop by the last section or patient, or not.", rich_help_panel=_FIT),
]
Epochs = Annotated[int, typer.Option("--epochs", min=1, help="At most.", rich_help_panel=_FIT)]
BatchSize = Annotated[int | None, typer.Option("--batch-size", min=2, help="Spots a step.", rich_help_panel=_FIT)]
Rate = Annotated[float | None, typer.Option("--learning-rate", help="Of the heads.", rich_help_panel=_FIT)]
Dim = Annotated[int, typer.Option("--dim", min=1, help="Dimensions of the space.", rich_help_panel=_FIT)]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of everything drawn.", rich_help_panel=_FIT)]
KeepFeatures = Annotated[
    bool,
    typer.Option("--cache/--no-cache", help="Keep features for the next run.", rich_help_panel=_FIT),
]
TrainDevice = Annotated[
    str | None, typer.Option("--device", help="Where encoders run and heads are fitted: cpu (default), cuda, cuda:1.")
]


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """Pairs, both sides, and how they are fitted; what is not named is left to the recipe."""

    dataset: Dataset = None
    db: PairedIndex = None
    slide: Slides = None
    images: Images = None
    features: Features = None
    features_encoder: FeaturesEncoder = None
    held_out: HeldOut = None
    image_encoder: ImageEncoder = None
    image_weights: ImageWeights = None
    side_um: SideUm = None
    head: Head = None
    orientations: Orientations = None
    normalise_stain: Stain = None
    stain_jitter: StainJitter = None
    fine_tune: FineTune = False
    tower_learning_rate: TowerRate = None
    bf16: HalfPrecision = None
    workers: Workers = None
    expression_encoder: ExpressionEncoder = None
    expression_weights: TextWeights = None
    sentence_recipe: SentenceRecipeName = None
    housekeeping: Housekeeping = None
    gene_dropout: GeneDropout = None
    loss: LossName = _DEFAULT.loss
    centring: Centre = None
    validate_patient: Validate = None
    stop_on: StopBy = _DEFAULT.stop_on
    epochs: Epochs = _DEFAULT.epochs
    batch_size: BatchSize = None
    learning_rate: Rate = None
    dim: Dim = _DEFAULT.dim
    seed: Seed = _DEFAULT.seed
    cache: KeepFeatures = True
    manifest: ManifestPath = None
    device: TrainDevice = None
    as_json: AsJson = False

    def request(self, name: str) -> "TrainRequest":
        """The training of a space of this name as it was asked for."""
        from search.training.request import TrainRequest

        return TrainRequest(
            recipe=Recipe(
                name=name, loss=self.loss, stop_on=self.stop_on, epochs=self.epochs, dim=self.dim, seed=self.seed
            ),
            dataset=self.dataset,
            db=self.db,
            slides=self.slide,
            images=self.images,
            features=self.features,
            features_encoder=self.features_encoder,
            held_out=tuple(self.held_out or ()),
            towers=_named(self._towers()),
            choice=_named(self._choice()),
            manifest=self.manifest,
            device=None if self.device is None else known_device(self.device),
            keeps_features=self.cache,
        )

    def _towers(self) -> dict[str, Any]:
        """Settings of `TowerRecipe`."""
        return {
            "expression_encoder": self.expression_encoder,
            "head": self.head,
            "centring": self.centring,
            "normalise_stain": self.normalise_stain,
            "orientations": self.orientations,
            "stain_jitter": self.stain_jitter,
            "gene_dropout": self.gene_dropout,
            "batch_size": self.batch_size,
            "learning_rate": self.learning_rate,
            "fine_tune": self.fine_tune or None,
            "tower_learning_rate": self.tower_learning_rate,
            "bf16": self.bf16,
            "workers": self.workers,
            "sentence_recipe": self.sentence_recipe,
            "validate_patients": tuple(self.validate_patient) if self.validate_patient else None,
        }

    def _choice(self) -> dict[str, Any]:
        """Settings of `TowerChoice`."""
        return {
            "image_encoder": self.image_encoder,
            "image_weights": self.image_weights,
            "side_um": self.side_um,
            "text_weights": self.expression_weights,
            "housekeeping": self.housekeeping,
        }


def _named(settings: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if value is not None}
