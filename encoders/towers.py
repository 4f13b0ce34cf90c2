"""Which features the image side of a space projects, so that features made elsewhere are taken or refused by name."""

from dataclasses import dataclass

from encoders.catalogue import CATALOGUE
from encoders.contracts import ImageEncoder, PatchSpec
from encoders.errors import PatchError, SpaceMismatchError
from encoders.frozen_images import FrozenImageEncoder
from encoders.mini import MiniImageEncoder
from encoders.space import Space
from encoders.trainer.tower_encoders import TowerImageEncoder

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
    """The tower of a space: a published encoder, or the features its projection was trained on."""
    image, needs_stain = space.image, False
    names, dim = [image.info.name], _dim_of(image)
    if isinstance(image, MiniImageEncoder):
        needs_stain, names = image.weights.stain_target is not None, [image.backbone.name]
    elif isinstance(image, TowerImageEncoder):
        needs_stain, names = image.needs_stain, [image.tower_name]
    if needs_stain:
        names = [image.info.name]  # of pixels moved to the space's stain, which the bare tower's features are not
    return Tower(space.card.name, tuple(names), dim, image.patch, needs_stain)


def _dim_of(image: ImageEncoder) -> int | None:
    if isinstance(image, MiniImageEncoder):
        return len(image.weights.image_centre)
    if isinstance(image, TowerImageEncoder):
        return image.feature_dim
    if isinstance(image, FrozenImageEncoder):
        return image.info.dim
    return CATALOGUE[image.info.name].dim if image.info.name in CATALOGUE else None
