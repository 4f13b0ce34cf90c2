"""Which features the image side of a space projects, so that features made elsewhere are taken or refused by name."""

from dataclasses import dataclass

from encoders.catalogue import CATALOGUE
from encoders.contracts import PatchSpec
from encoders.errors import PatchError, SpaceMismatchError
from encoders.frozen_images import FrozenImageEncoder
from encoders.mini import MiniImageEncoder
from encoders.space import Space

#: Tiles over the patch, for encoders that crop the middle of the tile they are given: 256 px, of which 224 are seen.
_CROPPED = {"gigapath": 256 / 224}


@dataclass(frozen=True, slots=True)
class Tower:
    """What the image side of a space is a projection of.

    Attributes
    ----------
    space : str
        Name of the space.
    names : tuple of str
        Names under which its features may be declared; the first is the one to use.
    dim : int or None
        Length of a feature vector; `None` where only the projection itself can tell.
    patch : PatchSpec
        The patch a feature is of.
    needs_stain : bool
        Whether pixels are moved to a common stain before they become features.
    """

    space: str
    names: tuple[str, ...]
    dim: int | None
    patch: PatchSpec
    needs_stain: bool

    def check_encoder(self, encoder: str | None, dim: int, where: str) -> None:
        """Refuse features of another encoder, or of another length.

        Parameters
        ----------
        encoder : str or None
            What is said to have made them.
        dim : int
            Their length.
        where : str
            The file, for the message.

        Raises
        ------
        SpaceMismatchError
            If no encoder is named, or it or the length are not those of this tower.
        """
        wanted = " or ".join(map(repr, self.names))
        if encoder is None:
            raise SpaceMismatchError(
                f"{where} does not say which encoder made its {dim}-dimensional features; space {self.space!r} takes "
                f"those of {wanted}. Name the encoder (`--features-encoder`)."
            )
        if encoder not in self.names:
            raise SpaceMismatchError(
                f"{where} holds features of encoder {encoder!r}; space {self.space!r} takes those of {wanted}. Use a "
                f"space trained on features of {encoder!r}, or make the features with {self.names[0]!r}."
            )
        if self.dim is not None and dim != self.dim:
            raise SpaceMismatchError(
                f"{where} holds features of {dim} dimensions; those of encoder {encoder!r}, which space "
                f"{self.space!r} takes, have {self.dim}. Name the encoder that made them."
            )

    def check_side(self, side_um: float, where: str, *, tolerance: float) -> None:
        """Raise `PatchError` if tiles of another side in micrometres are offered, off by more than `tolerance`."""
        sides = (self.patch.side_um, self.patch.side_um * _CROPPED.get(self.names[0], 1.0))
        if min(abs(side_um / side - 1) for side in sides) > tolerance:
            raise PatchError(
                f"{where} has tiles of {side_um:.4g} um; encoder {self.names[0]!r} of space {self.space!r} takes "
                f"{max(sides):.4g} um. Make the features at that scale, or correct the slide's mpp."
            )


def tower_of(space: Space) -> Tower:
    """The tower of a space: a published encoder, or features a projection was trained on (`recipe["image_tower"]`)."""
    image, trained_on = space.image, space.card.recipe.get("image_tower")
    needs_stain = isinstance(image, MiniImageEncoder) and image.weights.stain_target is not None
    names = [str(trained_on)] if trained_on else [image.info.name]
    dim: int | None = None
    if isinstance(image, MiniImageEncoder):
        dim = len(image.weights.image_centre)
        if not trained_on and not needs_stain:
            names.append(image.backbone.name)
    elif isinstance(image, FrozenImageEncoder):
        dim = image.info.dim
    elif names[0] in CATALOGUE:
        dim = CATALOGUE[names[0]].dim
    return Tower(space.card.name, tuple(dict.fromkeys(names)), dim, image.patch, needs_stain)
