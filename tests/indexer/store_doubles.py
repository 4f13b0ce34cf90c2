"""A tiny space and tiny slides, so that the store is tested in milliseconds: every vector is a fixed projection."""

import json
import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import scipy.sparse as sp

from encoders.contracts import EncoderInfo, ExpressionEncoding, PatchSpec, SectionStats, unit_rows
from encoders.gene_lists import WeightedGenes
from encoders.sentences import GeneSentence
from encoders.space import Calibration, Space, SpaceCard
from indexer.errors import CountsError
from indexer.slides import Expression, SlideFacts

DIM = 8
GENES = tuple(f"G{i}" for i in range(20))
SIZE_PX = (640, 480)


class FakeImageEncoder:
    """Features are the means of the quarters of a patch."""

    patch = PatchSpec(side_um=40.0, side_px=16)

    def __init__(self, dim: int = DIM) -> None:
        self.info = EncoderInfo("fake-image", "1", "image", dim, "CC0", "0" * 64)
        self._matrix = np.random.default_rng(1).normal(size=(12, dim)).astype(np.float32)

    def stain_of(self, patches):
        self.patch.check(patches)
        return np.stack([patches.mean((0, 1, 2)), patches.std((0, 1, 2))]).astype(np.float32)

    def features(self, patches, *, stain=None):
        self.patch.check(patches)
        quarters = patches.reshape(len(patches), 2, 8, 2, 8, 3).mean((2, 4)).reshape(len(patches), 12)
        return (quarters / 255).astype(np.float32)

    def project(self, features, *, centre=None):
        centre = np.full(12, 0.8, np.float32) if centre is None else centre
        # One row at a time: a matrix product may sum in another order for another number of rows.
        return unit_rows(np.stack([(row - centre) @ self._matrix for row in features]))

    def encode(self, patches, *, section: SectionStats | None = None):
        stats = section or SectionStats(self.stain_of(patches), np.full(12, 0.8, np.float32))
        return self.project(self.features(patches, stain=stats.stain), centre=stats.centre)


class FakeExpressionEncoder:
    """Vectors are log counts of the known genes, projected."""

    genes = GENES

    def __init__(self, dim: int = DIM) -> None:
        self.info = EncoderInfo("fake-expression", "1", "expression", dim, "CC0", "0" * 64)
        self._matrix = np.random.default_rng(2).normal(size=(len(GENES), dim)).astype(np.float32)

    def encode_counts(self, counts: sp.csr_matrix, genes: Sequence[str], *, by_section: bool = False):
        dense = np.zeros((counts.shape[0], len(GENES)), np.float32)
        for column, gene in enumerate(genes):
            if gene in GENES:
                dense[:, GENES.index(gene)] = counts[:, [column]].toarray().ravel()
        logs = np.log1p(dense)
        if by_section:
            logs -= logs.mean(axis=0)
        return ExpressionEncoding(unit_rows(np.stack([row @ self._matrix for row in logs])))

    def encode_sentence(self, sentence: GeneSentence) -> ExpressionEncoding:
        raise NotImplementedError

    def encode_list(self, genes: WeightedGenes) -> ExpressionEncoding:
        raise NotImplementedError


def fake_space(*, name: str = "fake", revision: str = "1", dim: int = DIM) -> Space:
    card = SpaceCard(
        name=name,
        revision=revision,
        dim=dim,
        licence="CC0",
        weights_sha256="0" * 64,
        patch_side_um=40.0,
        patch_side_px=16,
        training_data="none",
        training_slides=(),
        training_patients=(),
        recipe={},
        calibration=Calibration(n_pairs=0, probabilities=(), quantiles={}),
    )
    return Space(card, FakeImageEncoder(dim), FakeExpressionEncoder(dim))


class FakeImage:
    """A pink ellipse with noise on white."""

    size_px = SIZE_PX

    def __init__(self, seed: int) -> None:
        width, height = SIZE_PX
        y, x = np.mgrid[:height, :width]
        inside = ((x - width / 2) / (width / 2.2)) ** 2 + ((y - height / 2) / (height / 2.2)) ** 2 < 1
        noise = np.random.default_rng(seed).integers(0, 40, (height, width, 1))
        self._pixels = np.where(inside[..., None], np.array([200, 100, 170]) + noise, 255).astype(np.uint8)
        self.closed = False

    def read(self, x_px, y_px, side_px, out_px):
        steps = (np.arange(out_px) + 0.5) / out_px - 0.5
        x = np.clip(x_px + steps * side_px, 0, SIZE_PX[0] - 1).astype(int)
        y = np.clip(y_px + steps * side_px, 0, SIZE_PX[1] - 1).astype(int)
        return self._pixels[y[:, None], x[None, :]]

    def thumbnail(self, max_px):
        step = max(1, -(-max(SIZE_PX) // max_px))
        return self._pixels[::step, ::step]

    def close(self):
        self.closed = True


class FakeSource:
    """A slide that one small JSON file decides: `seed`, `spots`, `image`, `genes`, `bad`, `swap`, `crash` ..."""

    def __init__(self, path: Path, kind: Literal["spot", "cell", "transcriptome"] = "spot", mpp: float = 1.0) -> None:
        self._path = path
        self._mpp: float | None = mpp
        self.kind = kind
        self.files = (path,)
        self.image_path = path

    @property
    def facts(self) -> SlideFacts:
        return SlideFacts(
            slide=self._path.stem,
            patient=self._path.stem[0],
            cohort="fakes",
            organ="breast",
            diagnosis="none",
            technology="fake",
            species="human",
            licence="CC0",
            citation="nobody",
            mpp=self._mpp,
            mpp_source="generated",
            generated=True,
        )

    def _content(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self._path.read_text())
        return content

    def open_image(self) -> FakeImage | None:
        content = self._content()
        if content.get("crash"):
            os.kill(os.getpid(), signal.Signals[content["crash"]])
        if content.get("unforeseen"):
            raise KeyError("a part that this reader takes for granted")
        return FakeImage(content["seed"]) if content.get("image", True) else None

    def read_expression(self) -> Expression | None:
        content = self._content()
        if content.get("bad"):
            raise CountsError(f"Slide {self.facts.slide}: its counts are malformed on purpose.")
        n = content.get("spots", 12)
        if n is None:
            return None
        rng = np.random.default_rng(content["seed"])
        genes = content.get("genes", [*GENES, "OTHER"])
        xy = rng.uniform(0.2, 0.8, (n, 2)) * SIZE_PX
        return Expression(
            names=content.get("names", [f"s{i}" for i in range(n)]),
            counts=sp.csr_matrix(rng.poisson(1.5, (n, len(genes))).astype(np.float32)),
            genes=genes,
            xy_px=xy[:, ::-1] + (500 if content.get("swap") else 0) if content.get("swap") else xy,
            spot_um=20.0,
            labels=[None if i % 3 else "tumour" for i in range(n)],
        )


def write_source(folder: Path, slide: str, *, kind: Any = "spot", **content: Any) -> FakeSource:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{slide}.json"
    path.write_text(json.dumps({"seed": sum(map(ord, slide)), **content}))
    return FakeSource(path, kind)


def rows_of(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Everything an index holds, by table, in an order of its own."""
    from indexer.index import Index
    from indexer.schema import FAILED_SCHEMA, GENES_SCHEMA, SLIDES_SCHEMA, items_schema

    store = Index.open(folder).store
    columns = {
        "items": (items_schema(DIM).names, "id"),
        "slides": (SLIDES_SCHEMA.names, "slide"),
        "genes": (GENES_SCHEMA.names, "symbol"),
        "failed_items": (FAILED_SCHEMA.names, "slide"),
    }
    return {table: store.read(table, names)[0].sort_by(key).to_pylist() for table, (names, key) in columns.items()}


def kill_in(owner: Any, name: str, call: int, *, before: bool) -> None:
    """Make this process die like from `kill -9` at the n-th call of a method, before or after it ran."""
    original: Callable[..., Any] = getattr(owner, name)
    calls = 0

    def deadly(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call and before:
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*args, **kwargs)
        if calls == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, deadly)
