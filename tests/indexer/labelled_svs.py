"""A small svs as a scanner writes it: a pyramid, and beside it pictures of the label and of the whole glass."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

MPP = 0.5
#: What nobody may find in an index.
SECRETS = ("SS7001CNTLR", "DOE, JANE", "19480312", "S21-04417")
_DESCRIPTION = (
    "Aperio Image Library v12.0.15\r\n{width}x{height} [0,0 {width}x{height}] (256x256) JPEG/RGB Q=70|AppMag = 20|"
    "ScanScope ID = SS7001CNTLR|Filename = S21-04417|Date = 03/12/21|User = DOE, JANE|MPP = 0.5|ImageID = 19480312"
)
#: Colour of the label, which no tissue has.
LABEL_COLOUR = (10, 250, 30)


def write_labelled_svs(path: Path, side_px: int = 2_048) -> Path:
    """Write a pink section on glass of `side_px` by `side_px` pixels, with a label and a macro picture."""
    import tifffile

    rng = np.random.default_rng(0)
    picture = Image.new("RGB", (side_px, side_px), (244, 240, 246))
    pen = ImageDraw.Draw(picture)
    margin = side_px // 8
    pen.ellipse((margin, margin, side_px - margin, side_px - margin), fill=(206, 130, 184))
    for x, y, r in rng.uniform((margin, margin, 3), (side_px - margin, side_px - margin, 14), (1_500, 3)):
        pen.ellipse((x - r, y - r, x + r, y + r), fill=(96, 58, 140))
    label = Image.new("RGB", (200, 160), LABEL_COLOUR)
    ImageDraw.Draw(label).text((10, 60), "DOE, JANE 19480312", fill=(0, 0, 0))
    described = _DESCRIPTION.format(width=side_px, height=side_px)
    with tifffile.TiffWriter(path) as file:
        for level in (1, 4):
            pixels = np.asarray(picture.resize((side_px // level, side_px // level), Image.Resampling.BOX))
            file.write(
                pixels, tile=(256, 256), photometric="rgb", description=described, metadata=None,
                subfiletype=0 if level == 1 else 1,
            )  # fmt: skip
        for name, beside, kind in (("label", label, 1), ("macro", label.resize((600, 160)), 9)):
            file.write(
                np.asarray(beside), photometric="rgb", subfiletype=kind, metadata=None, rowsperstrip=beside.height,
                description=f"Aperio Image Library v12.0.15\r\n{name} {beside.width}x{beside.height}",
            )  # fmt: skip
    return path
