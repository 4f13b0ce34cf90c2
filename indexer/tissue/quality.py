"""Tiles that show ink or are out of focus: scored on their own pixels, and left out only where that is plain.

Focus is the variance of the Laplacian (Pech-Pacheco et al., Diatom autofocusing in brightfield microscopy, ICPR 2000;
Pertuz et al., Analysis of focus measure operators for shape-from-focus, Pattern Recognition 2013). What it is on a
sharp tile depends on stain, scanner and scale (its median was 34 to 2,159 on three sections), so a tile is compared
with its own slide. Ink is told by hue and saturation, as HistoQC does (Janowczyk et al., JCO Clin Cancer Inform 2019).
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from indexer.slides import Pixels

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

#: A tile is blurred if its focus is below this share of the median of its slide; on four sections sharp tiles
#: had at least 0.17, those blurred by 4 um at most 0.06.
BLURRED = 0.05
#: And below this share of its own variance: a smooth tile has little of either, a blurred one lost the first.
FLAT = 0.005
#: Share of inked pixels from which a tile is inked.
INKED = 0.25
#: If more of a slide than this looks inked, it is the stain (trichrome, methyl green), and nothing is left out for it.
TOO_MUCH_INK = 0.1
_LINES, _INK_LINES = 56, 28  # looked at in a tile: enough for both, and cheap beside encoding it


@dataclass(frozen=True, slots=True)
class TileScores:
    """Scores of `n` tiles.

    Attributes
    ----------
    focus : float32 (n,)
        Variance of the Laplacian of the green channel, grey levels squared.
    variance : float32 (n,)
        Variance of the green channel.
    ink : float32 (n,)
        Share of pixels in [0, 1] that have the colour of a pen.
    """

    focus: Floats
    variance: Floats
    ink: Floats


@dataclass(frozen=True, slots=True)
class TileJudge:
    """Says which tiles of one slide to leave out.

    Attributes
    ----------
    median_focus : float
        Of a sample of the slide's tiles.
    ink_counts : bool
        Whether ink can be told from the stain.
    """

    median_focus: float
    ink_counts: bool

    @classmethod
    def of_scores(cls, scores: TileScores) -> "TileJudge":
        """Judge of a slide from the scores of a sample of its tiles, at least one."""
        return cls(float(np.median(scores.focus)), float(np.mean(scores.ink >= INKED)) <= TOO_MUCH_INK)

    def judge(self, scores: TileScores) -> tuple[Mask, Mask]:
        """Which tiles are blurred, and which are inked, bool (n,) each."""
        blurred = (scores.focus < BLURRED * self.median_focus) & (scores.focus < FLAT * scores.variance)
        return blurred, (scores.ink >= INKED) & self.ink_counts


def score_tiles(tiles: Pixels) -> TileScores:
    """Focus, variance and ink of tiles, uint8 (n, side, side, 3) RGB at the scale they are encoded at."""
    scores = np.array([_score(tile) for tile in tiles], dtype=np.float32).reshape(-1, 3)
    return TileScores(scores[:, 0], scores[:, 1], scores[:, 2])


def said_of(n_blurred: int, n_inked: int, n_tiles: int) -> str | None:
    """What was left out, as a sentence for the user; `None` if nothing was."""
    if not n_blurred and not n_inked:
        return None
    parts = []
    if n_blurred:
        parts.append(f"{n_blurred:,} out of focus (Laplacian variance below {BLURRED:.0%} of the slide's median)")
    if n_inked:
        parts.append(f"{n_inked:,} under pen (at least {INKED:.0%} of their pixels have the colour of ink)")
    return f"{n_blurred + n_inked:,} of {n_tiles:,} tiles left out: {', '.join(parts)}"


def _score(tile: Pixels) -> tuple[float, float, float]:
    """Focus, variance and ink of one tile; tile by tile all of it stays in the processor's cache."""
    step = max(1, len(tile) // _LINES)
    if min(tile.shape[:2]) < 3:
        return 0.0, 0.0, 0.0
    above, centre, below = (tile[part, :, 1].astype(np.int16) for part in _line_slices(step))
    laplacian = centre[:, :-2] + centre[:, 2:] + above[:, 1:-1] + below[:, 1:-1] - 4 * centre[:, 1:-1]
    ink_step = max(1, len(tile) // _INK_LINES)
    return _variance(laplacian), _variance(centre), float(_is_ink(tile[::ink_step, ::ink_step]).mean())


def _line_slices(step: int) -> tuple[slice, slice, slice]:
    """Every so many lines of a tile with those above and below them."""
    return slice(0, -2, step), slice(1, -1, step), slice(2, None, step)


def _variance(values: npt.NDArray[np.int16]) -> float:
    flat = values.ravel().astype(np.float32)
    flat -= flat.mean()
    return float(flat @ flat) / flat.size


def _is_ink(pixels: Pixels) -> Mask:
    """Green, strong blue and strong red ink, and black: hues and saturations that stained tissue does not have."""
    values = pixels.astype(np.float32)
    red, green, blue = values[..., 0], values[..., 1], values[..., 2]
    high, low = values.max(axis=-1), values.min(axis=-1)
    spread = high - low
    saturation = spread / np.maximum(high, 1)
    hue = _hue(red, green, blue, high, np.maximum(spread, 1))
    is_green = (hue > 75) & (hue < 190) & (saturation > 0.3)
    is_blue = (hue >= 190) & (hue < 240) & (saturation > 0.65) & (high > 150)  # dense nuclei are as blue, but dark
    is_red = ((hue > 345) | (hue < 15)) & (saturation > 0.8) & (high > 130)
    is_black = (high < 50) & (spread < 15)
    return np.asarray(is_green | is_blue | is_red | is_black, dtype=np.bool_)


def _hue(red: Floats, green: Floats, blue: Floats, high: Floats, spread: Floats) -> Floats:
    """Hue in degrees, [0, 360); that of grey has no meaning."""
    of_red = (green - blue) / spread
    of_green = (blue - red) / spread + 2
    of_blue = (red - green) / spread + 4
    sixths = np.where(high == red, of_red, np.where(high == green, of_green, of_blue))
    return np.asarray(60 * sixths % 360, dtype=np.float32)
