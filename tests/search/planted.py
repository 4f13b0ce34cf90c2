"""A small world whose answers are known: three tissues, each with its colour and its genes, in eight patients."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from encoders.contracts import (
    EncoderInfo,
    ExpressionEncoding,
    GeneReport,
    PatchSpec,
    SectionStats,
    unit_rows,
)
from encoders.errors import GeneQueryError
from encoders.space import Calibration, Space, SpaceCard
from indexer.slides import Expression, SlideFacts

TISSUES = ("tumour", "stroma", "immune")
COLOURS = np.array([[190, 40, 120], [250, 150, 190], [60, 30, 140]], dtype=np.float64)
GENES = tuple(f"{tissue[:3].upper()}{i}" for tissue in TISSUES for i in range(10))
SIDE_PX, PITCH_PX, MPP = 1200, 200, 1.0
CALIBRATION = Calibration(
    n_pairs=999,
    probabilities=(0.0, 0.5, 0.99, 1.0),
    quantiles={
        "image->image": (-1.0, 0.2, 0.8, 1.0),
        "image->expression": (-1.0, 0.2, 0.8, 1.0),
        "expression->image": (-1.0, 0.2, 0.8, 1.0),
        "expression->expression": (-1.0, 0.2, 0.8, 1.0),
    },
)
CARD = SpaceCard(
    name="planted",
    revision="1",
    dim=3,
    licence="CC0",
    weights_sha256="0",
    patch_side_um=100.0,
    patch_side_px=20,
    training_data="none",
    training_slides=(),
    training_patients=(),
    recipe={},
    calibration=CALIBRATION,
)


def _info(modality: str) -> EncoderInfo:
    return EncoderInfo("planted", "1", modality, 3, "CC0", "0")


@dataclass(frozen=True)
class PlantedImages:
    """Mean colour, unmixed into the three tissues."""

    info: EncoderInfo = field(default_factory=lambda: _info("image"))
    patch: PatchSpec = field(default_factory=lambda: PatchSpec(100.0, 20))

    def stain_of(self, patches):
        return np.zeros((2, 3), dtype=np.float32)

    def features(self, patches, *, stain=None):
        self.patch.check(patches)
        means = patches.reshape(len(patches), -1, 3).mean(axis=1)
        return np.asarray(means @ np.linalg.inv(COLOURS), dtype=np.float32)

    def project(self, features, *, centre=None):
        return unit_rows(np.asarray(features - 1 / 3, dtype=np.float32))

    def encode(self, patches, *, section: SectionStats | None = None):
        return self.project(self.features(patches))


@dataclass(frozen=True)
class PlantedExpression:
    """Share of the counts in each tissue's genes."""

    info: EncoderInfo = field(default_factory=lambda: _info("expression"))
    genes: tuple[str, ...] = GENES
    query_genes: tuple[str, ...] = GENES

    def encode_counts(self, counts, genes: Sequence[str], *, by_section=False):
        owner = np.array([GENES.index(gene) // 10 if gene in GENES else -1 for gene in genes])
        sums = np.stack([np.asarray(counts[:, owner == t].sum(axis=1)).ravel() for t in range(3)], axis=1)
        shares = sums / np.maximum(sums.sum(axis=1, keepdims=True), 1)
        return ExpressionEncoding(unit_rows(np.asarray(shares - 1 / 3, dtype=np.float32)), GeneReport(tuple(genes)))

    def encode_sentence(self, sentence):
        return self._weighted(sentence.symbols, np.arange(len(sentence.symbols), 0, -1.0))

    def encode_list(self, genes):
        return self._weighted(genes.symbols, np.asarray(genes.weights))

    def _weighted(self, symbols, weights):
        total = np.zeros(3)
        for symbol, weight in zip(symbols, weights, strict=True):
            if symbol in GENES:
                total[GENES.index(symbol) // 10] += weight
        used = tuple(symbol for symbol in symbols if symbol in GENES)
        if not used:
            raise GeneQueryError(f"No gene of {symbols} is known.")
        vector = unit_rows(np.asarray(total - total.mean(), dtype=np.float32)[None])
        return ExpressionEncoding(vector, GeneReport(used, tuple(s for s in symbols if s not in GENES)))


class PlantedImage:
    """Three vertical bands, one a tissue, with a little noise, on white glass."""

    size_px = (SIDE_PX, SIDE_PX)

    def __init__(self, seed: int) -> None:
        noise = np.random.default_rng(seed).normal(0, 12, (SIDE_PX, SIDE_PX, 3))
        band = np.minimum(np.arange(SIDE_PX) * 3 // SIDE_PX, 2)
        pixels = COLOURS[band][None] + noise
        self._pixels = np.clip(pixels, 0, 255).astype(np.uint8)

    def read(self, x_px, y_px, side_px, out_px):
        x0, y0 = round(x_px - side_px / 2), round(y_px - side_px / 2)
        step = max(1, int(side_px) // out_px)
        window = np.full((out_px, out_px, 3), 255, dtype=np.uint8)
        for row in range(out_px):
            for column in range(out_px):
                y, x = y0 + row * step, x0 + column * step
                if 0 <= y < SIDE_PX and 0 <= x < SIDE_PX:
                    window[row, column] = self._pixels[y, x]
        return window

    def thumbnail(self, max_px):
        step = max(1, SIDE_PX // max_px)
        return self._pixels[::step, ::step]

    def close(self):
        pass


@dataclass(frozen=True)
class PlantedSlide:
    """One slide of the planted world, `tissues` giving the tissue of each spot."""

    facts: SlideFacts
    tissues: tuple[int, ...]
    has_image: bool
    seed: int
    labelled: bool = False
    kind: str = "spot"
    files: tuple[Path, ...] = ()
    image_path: Path | None = None

    def open_image(self):
        return PlantedImage(self.seed) if self.has_image else None

    def read_expression(self):
        tissues = np.array(self.tissues)
        counts = counts_of(tissues, self.seed)
        xy = np.stack([200 + 400 * tissues, 150 + PITCH_PX // 2 * np.arange(len(tissues))], axis=1)
        labels = [TISSUES[t] for t in tissues] if self.labelled else None
        names = [f"s{i}" for i in range(len(tissues))]
        return Expression(names, counts, GENES, xy.astype(np.float64), spot_um=100.0, labels=labels)


def counts_of(tissues, seed: int = 0, depth: int = 400) -> sp.csr_matrix:
    """Raw counts, four fifths of them in the tissue's own genes."""
    random = np.random.default_rng(seed)
    rows = []
    for tissue in tissues:
        share = np.full(len(GENES), 0.2 / 20)
        share[10 * tissue : 10 * tissue + 10] = 0.8 / 10
        rows.append(random.multinomial(depth, share))
    return sp.csr_matrix(np.array(rows, dtype=np.float32))


def planted_space() -> Space:
    return Space(CARD, PlantedImages(), PlantedExpression())


def planted_slides() -> list[PlantedSlide]:
    """Eight patients, two slides each; A to D of cohort one are half tumour, E to H of cohort two have none."""
    slides = []
    for p, patient in enumerate("ABCDEFGH"):
        one = p < 4
        for s in range(2):
            facts = SlideFacts(
                slide=f"{patient}{s + 1}",
                patient=patient,
                cohort="one" if one else "two",
                organ="breast" if one else "colon",
                diagnosis="carcinoma",
                technology="planted",
                species="human",
                licence="CC0",
                citation="none",
                mpp=MPP,
                mpp_source="generated",
                generated=True,
            )
            tissues = (0, 0, 0, 0, 1, 1, 2, 2) if one else (1, 1, 1, 1, 2, 2, 2, 2)
            slides.append(
                PlantedSlide(facts, tissues, has_image=patient in "AB", seed=10 * p + s, labelled=patient in "ABCD")
            )
    return slides
