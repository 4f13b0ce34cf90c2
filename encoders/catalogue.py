"""The published encoders HistoSeek knows, as a table of declared facts: one row each, `None` where nothing is stated.

Sources of the facts: the encoders' model cards as read by TRIDENT 0.3 (`patch_encoder_models/load.py`, README: sizes,
architectures, normalisation, licences, gates), CONCH's own configuration and `factory.py`, mSTAR's own code, and
open_clip 3.3 (`coca_ViT-L-14`, `ViT-B-32-quickgelu`).
`side_um` is what the encoder sees in the authors' pipeline: pixels read at a magnification, times um/px, less what is
cropped. Encoders of natural images and those whose authors state no scale have none; the caller chooses one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from encoders.contracts import PatchSpec
from encoders.errors import PatchError, SpaceMismatchError, UnknownEncoderError

Family = Literal["timm", "open_clip"]
Colour = tuple[float, float, float]

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
_HOPTIMUS_MEAN, _HOPTIMUS_STD = (0.707223, 0.578729, 0.703617), (0.211883, 0.230117, 0.177517)
_NC_ND = "CC-BY-NC-ND-4.0"
_MPP_TOLERANCE = 0.05


@dataclass(frozen=True, slots=True)
class EncoderFacts:
    """What is declared of one encoder.

    Attributes
    ----------
    name : str
        Its name in HistoSeek, and of its sub-folder in the weights folder.
    source : str
        Where its weights come from.
    dim : int
        Length of its vectors.
    side_px : int or None
        Side of the patch in pixels, as the model takes it.
    side_um : float or None
        Side of the patch in micrometres.
    mean, std : tuple of float or None
        Normalisation of RGB in [0, 1].
    licence : str or None
        Licence of the weights.
    gated : bool or None
        Whether access must be asked for.
    family : `timm`, `open_clip` or None
        The package that builds it; `None` where only its authors' code does, so that features made elsewhere are used.
    architecture : str
        Name of the model in that package.
    options : mapping
        Arguments of timm's `create_model`; layers by their names.
    n_prefix_tokens : int or None
        For models that give tokens: the vector is the class token beside the mean of the tokens after so many.
    files : tuple of str
        Names its weights file may have, in the order they are looked for.
    modality : str
        `image`, or `image, expression` where it has a text tower for gene sentences.
    """

    name: str
    source: str
    dim: int
    side_px: int | None = 224
    side_um: float | None = None
    mean: Colour | None = IMAGENET_MEAN
    std: Colour | None = IMAGENET_STD
    licence: str | None = None
    gated: bool | None = None
    family: Family | None = "timm"
    architecture: str = ""
    options: Mapping[str, object] = field(default_factory=dict)
    n_prefix_tokens: int | None = None
    files: tuple[str, ...] = ("model.safetensors", "pytorch_model.bin")
    modality: str = "image"

    @property
    def mpp(self) -> float | None:
        """Micrometres per pixel of the patch as the model takes it; `None` where no side is stated."""
        return None if self.side_um is None or self.side_px is None else self.side_um / self.side_px

    def patch(self, *, side_um: float | None = None) -> PatchSpec:
        """The patch the encoder takes.

        Parameters
        ----------
        side_um : float, optional
            Side in micrometres, for encoders that state none.

        Raises
        ------
        PatchError
            If none is stated and none given, or another is given than is stated.
        """
        if self.side_px is None or (self.side_um is None and side_um is None):
            raise PatchError(
                f"Encoder {self.name!r} states no scale; give the side of a patch in micrometres, such as 112 for "
                f"224 px at 0.5 um/px."
            )
        if self.side_um is None and side_um is not None:
            if not 0 < side_um < float("inf"):
                raise PatchError(f"A patch of {side_um:g} um cannot be cut; give a side above 0 micrometres.")
            return PatchSpec(side_um=side_um, side_px=self.side_px)
        patch = PatchSpec(side_um=self.side_um or 0.0, side_px=self.side_px)
        if side_um is not None:
            self.check_patch(PatchSpec(side_um=side_um, side_px=self.side_px))
        return patch

    def check_patch(self, patch: PatchSpec) -> None:
        """Raise `PatchError` if patches of another size in pixels, or over 5 % off in scale, are offered."""
        if self.side_px is not None and patch.side_px != self.side_px:
            raise PatchError(
                f"Encoder {self.name!r} takes patches of {self.side_px} px, not {patch.side_px}. Resample them first."
            )
        if self.mpp is not None and abs(patch.mpp / self.mpp - 1) > _MPP_TOLERANCE:
            raise PatchError(
                f"Encoder {self.name!r} takes patches of {self.side_um:g} um at {self.mpp:.3f} um/px, not "
                f"{patch.side_um:g} um at {patch.mpp:.3f} um/px. Cut them at its scale."
            )

    def check_dim(self, dim: int) -> None:
        """Raise `SpaceMismatchError` if vectors of another length are said to be this encoder's."""
        if dim != self.dim:
            raise SpaceMismatchError(
                f"Vectors of {dim} dimensions are not those of encoder {self.name!r}, which have {self.dim}. Name the "
                f"encoder that made them."
            )


_VIT_L16 = MappingProxyType({"init_values": 1e-5, "dynamic_img_size": True})
_SWIGLU = MappingProxyType({"mlp_layer": "SwiGLUPacked", "act_layer": "SiLU"})
_VIRCHOW = MappingProxyType({"init_values": 1e-5, "mlp_ratio": 5.3375, "global_pool": "", **_SWIGLU})
_UNI2 = MappingProxyType(
    {
        "depth": 24,
        "num_heads": 24,
        "init_values": 1e-5,
        "embed_dim": 1536,
        "mlp_ratio": 2.66667 * 2,
        "no_embed_class": True,
        "reg_tokens": 8,
        "dynamic_img_size": True,
        **_SWIGLU,
    }
)
_GIGAPATH = MappingProxyType(
    {"img_size": 224, "patch_size": 16, "embed_dim": 1536, "depth": 40, "num_heads": 24, "mlp_ratio": 5.33334}
)

_ROWS = (
    EncoderFacts(
        "uni",
        "huggingface.co/MahmoodLab/UNI",
        dim=1024,
        side_um=128.0,  # 256 px at 20x, made smaller
        licence=_NC_ND,
        gated=True,
        architecture="vit_large_patch16_224",
        options=_VIT_L16,
    ),
    EncoderFacts(
        "uni2-h",
        "huggingface.co/MahmoodLab/UNI2-h",
        dim=1536,
        side_um=128.0,
        licence=_NC_ND,
        gated=True,
        architecture="vit_giant_patch14_224",
        options=_UNI2,
    ),
    EncoderFacts(
        "conch",
        "huggingface.co/MahmoodLab/CONCH",
        dim=512,
        side_px=448,
        side_um=256.0,  # 512 px at 20x, made smaller
        mean=CLIP_MEAN,
        std=CLIP_STD,
        licence=_NC_ND,
        gated=True,
        family=None,
    ),
    EncoderFacts(
        "conch-v1.5",
        "huggingface.co/MahmoodLab/conchv1_5",
        dim=768,
        side_px=448,
        side_um=256.0,
        mean=None,
        std=None,
        licence=_NC_ND,
        gated=True,
        family=None,
    ),
    EncoderFacts(
        "virchow",
        "huggingface.co/paige-ai/Virchow",
        dim=2560,  # class token and mean of the patch tokens
        side_um=112.0,
        licence="Apache-2.0",
        gated=True,
        architecture="vit_huge_patch14_224",
        options=_VIRCHOW,
        n_prefix_tokens=1,
    ),
    EncoderFacts(
        "virchow2",
        "huggingface.co/paige-ai/Virchow2",
        dim=2560,
        side_um=112.0,
        licence=_NC_ND,
        gated=True,
        architecture="vit_huge_patch14_224",
        options=MappingProxyType({**_VIRCHOW, "reg_tokens": 4}),
        n_prefix_tokens=5,
    ),
    EncoderFacts(
        "h-optimus-0",
        "huggingface.co/bioptimus/H-optimus-0",
        dim=1536,
        side_um=112.0,
        mean=_HOPTIMUS_MEAN,
        std=_HOPTIMUS_STD,
        licence="Apache-2.0",
        gated=True,
        architecture="vit_giant_patch14_reg4_dinov2",
        options=MappingProxyType({"img_size": 224, "global_pool": "token", "init_values": 1e-5}),
    ),
    EncoderFacts(
        "phikon",
        "huggingface.co/1aurent/vit_base_patch16_224.owkin_pancancer (owkin/phikon in timm's layout)",
        dim=768,
        side_um=112.0,
        licence="Owkin non-commercial",
        gated=False,
        architecture="vit_base_patch16_224",
    ),
    EncoderFacts(
        "gigapath",
        "huggingface.co/prov-gigapath/prov-gigapath (tile encoder)",
        dim=1536,
        side_um=112.0,  # 256 px at 20x, the middle 224 of them
        licence="Apache-2.0",
        gated=True,
        architecture="vit_giant_patch14_dinov2",
        options=_GIGAPATH,
    ),
    EncoderFacts(
        "ctranspath",
        "CHIEF_CTransPath.pth, huggingface.co/datasets/MahmoodLab/hest-bench (fm_v1/ctranspath)",
        dim=768,
        side_um=256.0,  # 256 px at 10x, made smaller
        licence="GPL-3.0",
        gated=False,
        family=None,
    ),
    EncoderFacts(
        "mstar",
        "huggingface.co/Wangyh/mSTAR (patch encoder)",
        dim=1024,
        licence=_NC_ND,
        gated=True,
        architecture="vit_large_patch16_224",
        options=_VIT_L16,
    ),
    EncoderFacts(
        "plip",
        "huggingface.co/vinid/plip",
        dim=512,
        mean=CLIP_MEAN,
        std=CLIP_STD,
        family="open_clip",
        architecture="ViT-B-32-quickgelu",
        files=("model.safetensors", "pytorch_model.bin", "open_clip_model.safetensors"),
    ),
    EncoderFacts(
        "resnet-50",
        "huggingface.co/timm/resnet50.tv_in1k",
        dim=2048,
        licence="BSD-3-Clause",
        gated=False,
        architecture="resnet50",
    ),
    EncoderFacts(
        "omiclip",
        "huggingface.co/WangGuangyuLab/Loki (checkpoint.pt)",
        dim=768,
        mean=CLIP_MEAN,
        std=CLIP_STD,
        gated=True,
        family="open_clip",
        architecture="coca_ViT-L-14",
        files=("weights.safetensors",),
        modality="image, expression",
    ),
)

CATALOGUE: dict[str, EncoderFacts] = {row.name: row for row in _ROWS}


def known_encoder(name: str) -> EncoderFacts:
    """The row of that name.

    Raises
    ------
    UnknownEncoderError
        If there is none; lists the known ones.
    """
    if name not in CATALOGUE:
        raise UnknownEncoderError(f"There is no encoder {name!r}; known are {', '.join(CATALOGUE)}.")
    return CATALOGUE[name]
