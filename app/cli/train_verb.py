"""`histoseek train`: a space of one's own from paired slides."""

from pathlib import Path
from typing import Annotated

import typer

from app.cli.options import AsJson, ManifestPath, known_device
from app.cli.output import show
from app.cli.progress import bars
from app.tables.space import quality_table
from encoders.recipe import Loss, Recipe, StopOn
from encoders.trainer.tower_recipe import Centring, HeadKind

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


def register(command: typer.Typer) -> None:
    """Add the verb to `command`."""
    command.command("train")(train)


def train(
    name: Annotated[str, typer.Argument(help="Name of the new space.")],
    *,
    out: Annotated[Path, typer.Option("--out", help="Folder for the space.")],
    dataset: Dataset = None,
    db: PairedIndex = None,
    slide: Slides = None,
    images: Images = None,
    features: Features = None,
    features_encoder: FeaturesEncoder = None,
    held_out: HeldOut = None,
    image_encoder: ImageEncoder = None,
    image_weights: ImageWeights = None,
    side_um: SideUm = None,
    head: Head = None,
    orientations: Orientations = None,
    normalise_stain: Stain = None,
    stain_jitter: StainJitter = None,
    fine_tune: FineTune = False,
    tower_learning_rate: TowerRate = None,
    bf16: HalfPrecision = None,
    workers: Workers = None,
    expression_encoder: ExpressionEncoder = None,
    expression_weights: TextWeights = None,
    sentence_recipe: SentenceRecipeName = None,
    housekeeping: Housekeeping = None,
    gene_dropout: GeneDropout = None,
    loss: LossName = _DEFAULT.loss,
    centring: Centre = None,
    validate_patient: Validate = None,
    stop_on: StopBy = _DEFAULT.stop_on,
    epochs: Epochs = _DEFAULT.epochs,
    batch_size: BatchSize = None,
    learning_rate: Rate = None,
    dim: Dim = _DEFAULT.dim,
    seed: Seed = _DEFAULT.seed,
    cache: KeepFeatures = True,
    manifest: ManifestPath = None,
    device: TrainDevice = None,
    as_json: AsJson = False,
) -> None:
    """Learn a space from paired slides and measure it on held-out patients; same input, same weights.

    Without options of the image or expression side the space is of the family of `mini`. A training by infonce or bleep
    that is interrupted goes on where it was when the same command is given again.
    """
    from search.training.request import TrainRequest, train_requested

    towers = {
        "expression_encoder": expression_encoder,
        "head": head,
        "centring": centring,
        "normalise_stain": normalise_stain,
        "orientations": orientations,
        "stain_jitter": stain_jitter,
        "gene_dropout": gene_dropout,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "fine_tune": fine_tune or None,
        "tower_learning_rate": tower_learning_rate,
        "bf16": bf16,
        "workers": workers,
        "sentence_recipe": sentence_recipe,
        "validate_patients": tuple(validate_patient) if validate_patient else None,
    }
    choice = {
        "image_encoder": image_encoder,
        "image_weights": image_weights,
        "side_um": side_um,
        "text_weights": expression_weights,
        "housekeeping": housekeeping,
    }
    request = TrainRequest(
        recipe=Recipe(name=name, loss=loss, stop_on=stop_on, epochs=epochs, dim=dim, seed=seed),
        dataset=dataset,
        db=db,
        slides=slide,
        images=images,
        features=features,
        features_encoder=features_encoder,
        held_out=tuple(held_out or ()),
        towers={key: value for key, value in towers.items() if value is not None},
        choice={key: value for key, value in choice.items() if value is not None},
        manifest=manifest,
        device=None if device is None else known_device(device),
        keeps_features=cache,
    )
    with bars() as progress:
        space = train_requested(request, out, progress=progress)
    show(
        {"space": space.card.model_dump(mode="json", exclude={"calibration"}), "out": out},
        [f"Written to {out}.", quality_table(space.card)],
        as_json=as_json,
    )
