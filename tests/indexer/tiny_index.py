"""Indexes of a few vectors without slides to read, so that what a writer does is tested in milliseconds."""

import hashlib
import importlib
import os
import signal
from datetime import timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa

from encoders.contracts import unit_rows
from indexer.genes.panel import panel_of
from indexer.index import Index
from indexer.progress import Silent
from indexer.schema import SLIDES_SCHEMA, items_schema
from indexer.store.card import BuildSettings, Tiling
from indexer.store.location import locate
from indexer.store.locks import writer_lock
from indexer.store.versions import tag_version
from indexer.store.writer import IndexWriter
from indexer.upkeep.editing import delete_slides, roll_back
from indexer.upkeep.maintenance import optimize_index, refresh_sidecars
from tests.indexer.store_doubles import DIM, fake_space

PANEL = panel_of(["G0", "G1"])
FACTS = dict.fromkeys(("patient", "cohort", "organ", "diagnosis", "technology", "species", "licence"), "x")


def tiny_settings(dim=DIM):
    space = fake_space(dim=dim)
    return BuildSettings(
        space=space.card,
        encoders={"image": space.image.info, "expression": space.expression.info},
        panel_sha256=PANEL.sha256,
        tiling=Tiling(stride_um=200.0, side_um=40.0, side_px=16),
        thumbnails=False,
    )


def tiny_slide(slide, n, *, seed=0, dim=DIM):
    """Items with an image vector each, and the slide's row."""
    digest = hashlib.sha256(f"{slide} {n} {seed}".encode())
    vectors = unit_rows(np.random.default_rng(list(digest.digest())).normal(size=(n, dim)).astype(np.float32))
    known = {
        "id": [f"{slide}/tile/{i}" for i in range(n)],
        "kind": ["tile"] * n,
        "slide": [slide] * n,
        "generated": [True] * n,
        "image_vector": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), dim),
        **{name: [value] * n for name, value in FACTS.items()},
    }
    schema = items_schema(dim)
    arrays = [known.get(field.name, pa.nulls(n, field.type)) for field in schema]
    items = pa.Table.from_arrays([pa.array(a, f.type) for a, f in zip(arrays, schema, strict=True)], schema=schema)
    row = FACTS | {
        "slide": slide, "generated": True, "citation": "x", "n_spots": 0, "n_cells": 0, "n_tiles": n,
        "n_genes_read": 0, "n_genes_outside_panel": 0, "content_sha256": digest.hexdigest(),
    }  # fmt: skip
    return [items], pa.Table.from_pylist([row], schema=SLIDES_SCHEMA)


def add(folder, *slides, seed=0, n=6, sidecars=True):
    """Commit slides one by one, as a build does."""
    location = locate(folder)
    with writer_lock(location):
        writer = IndexWriter.open(location, tiny_settings(), PANEL)
        for slide in slides:
            writer.commit(*tiny_slide(slide, n, seed=seed))
        if sidecars:
            refresh_sidecars(Index.open(location), Silent())


def state_of(folder):
    """Id and vector of every row in order, and what searching for each of them finds."""
    index = Index.open(folder)
    found = index.vectors("image")
    ids = index.metadata()["id"].to_pylist()
    rows, stored = index.stored_vectors("image")
    best = found.search(stored, 1).rows[:, 0].tolist() if len(rows) else []
    assert [ids[row] for row in best] == ids, "a vector does not find itself"
    return list(zip(ids, stored.tolist(), strict=True))


#: What is done to an index of slides A, B and C whose version 2 (slide A alone) is tagged `one`.
OPERATIONS = {
    "append": lambda folder: add(folder, "D"),
    "replace": lambda folder: add(folder, "A", seed=1),
    "delete": lambda folder: delete_slides(folder, ["B"]),
    "optimize": lambda folder: optimize_index(folder, keep=timedelta(0)),
    "tag": lambda folder: tag_version(folder, "two", 3),
    "rollback": lambda folder: roll_back(folder, "one"),
}

#: All that changes the disk.
STEPS = (
    *(("lancedb.table", "LanceTable", name) for name in ("add", "delete", "restore", "optimize")),
    *(("pathlib", "Path", name) for name in ("replace", "rename", "unlink")),
    ("os", "", "fsync"),
    ("shutil", "", "rmtree"),
    ("numpy", "", "save"),
    ("indexer.vectors.sidecar_files", "", "_stream_to"),
    ("indexer.vectors.ann", "AnnIndex", "save"),
)


def count_steps(die_before=None):
    """Count the steps of this process; before the one of a number, die like from `kill -9`."""
    taken = [0]

    def counted(original):
        def step(*args, **kwargs):
            if taken[0] == die_before:
                os.kill(os.getpid(), signal.SIGKILL)
            taken[0] += 1
            return original(*args, **kwargs)

        return step

    for module, owner, name in STEPS:
        target = importlib.import_module(module)
        target = getattr(target, owner) if owner else target
        setattr(target, name, counted(getattr(target, name)))
    return taken


def make(folder: Path):
    """The index the operations start from."""
    add(folder, "A")
    tag_version(folder, "one")
    add(folder, "B", "C", sidecars=False)
