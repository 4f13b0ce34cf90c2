"""Cell types told from spots of known composition, against plain least squares, Tangram and the mean."""

import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.sparse as sp

from benchmarks.environments import PeerError, python_with
from benchmarks.report import Row
from encoders.registry import open_space
from indexer.datasets.manifest import load_manifest
from indexer.sources import open_sources
from search.cells.cell_vectors import CellVectors
from search.cells.decomposition import MarkerSystem, amounts_of, gene_scales, marker_system, shares_of, weights_at
from search.cells.mixtures import MixedSpots, mix_spots
from search.cells.reference import CellReference, reference_from_counts
from search.cells.spread import amount_samples, counting_covariance
from search.cells.tangram import tangram_mapping, tangram_shares
from search.cells.votes import votes_of
from search.engine import Engine
from search.profiles import PER, Doubles

#: Eight types: ten cells of normal epithelium go with the others of their kind.
MERGE = {"Normal Epithelial": "Cancer Epithelial"}
TANGRAM = ("tangram-sc==1.0.4",)
_MANY, _PART = 10_000, 512
_REPO = Path(__file__).resolve().parents[1]


def labelled_cells() -> tuple[sp.csr_matrix, list[str], list[str]]:
    """Counts of wu2021's cells, the type of each, and the genes."""
    (source,) = open_sources("wu2021", manifest=load_manifest())
    read = source.read_expression()
    if read is None or read.labels is None:
        raise ValueError("wu2021 has no labelled cells.")
    labels = [MERGE.get(str(label), str(label)) for label in read.labels]
    return sp.csr_matrix(read.counts, dtype=np.float64), labels, list(read.genes)


@dataclass(frozen=True, slots=True)
class Halves:
    """Cells that make the reference, and spots mixed from the others."""

    counts: sp.csr_matrix
    labels: list[str]
    genes: list[str]
    spots: MixedSpots


def decomposition_rows(*, n_spots: int, epochs: int, seed: int = 0) -> Iterator[Row]:
    """Error of each method on spots mixed from half of the cells, with the other half as reference."""
    halves = _halves(n_spots, seed)
    reference = reference_from_counts(halves.counts, halves.genes, halves.labels)
    system = marker_system(reference, halves.genes)
    found = {
        "HistoSeek": _timed(lambda: _ours(system, halves.spots)),
        "plain NNLS": _timed(lambda: _plain(system, halves.spots)),
    }
    found["own tangram"] = _timed(lambda: _mapped(halves, reference, system, epochs))
    found |= _by_vectors(halves, epochs)
    found["mean of all spots"] = (np.repeat(halves.spots.cells.mean(axis=0, keepdims=True), n_spots, axis=0), 0.0)
    rng = np.random.default_rng(seed)
    found["random"] = (rng.permutation(halves.spots.cells), 0.0)
    reason = ""
    try:
        found["Tangram"] = _tangram(halves, system, epochs)
    except PeerError as error:
        reason = str(error)
    yield from _rows(found, halves.spots, reason, f"Tangram for {epochs:,} rounds")
    yield _many_spots(system, halves.spots)


def tile_rows(engine: Engine) -> Iterator[Row]:
    """Time of the cell types of places from the counts of their hits, with their spread."""
    counts, labels, genes = labelled_cells()
    reference = reference_from_counts(counts, genes, labels)
    slides = engine.catalogue.codes("slide")[1]
    n, start = 0, time.process_time()
    for slide in slides:
        if slide is not None and n < _MANY:
            n += len(engine.decompose_slide(slide, reference, source="hits"))
    took = (time.process_time() - start) / n * _MANY
    note = "of one core, 50 hits and 20 samples a place; a slide at a time"
    yield Row("analyses", f"decompose {_MANY:,} tiles and spots from hits", took, "s", None, n, note)


def _many_spots(system: MarkerSystem, spots: MixedSpots) -> Row:
    """Time of shares with their spread, of the same spots many times over."""
    few = _per_10k(system, spots)
    values = np.tile(few, (-(-_MANY // len(few)), 1))[:_MANY]
    rng = np.random.default_rng(0)
    start = time.process_time()
    scales = gene_scales(system, few)
    profiles = system.profiles if scales is None else system.profiles * scales
    for place in range(0, _MANY, _PART):
        part = values[place : place + _PART]
        amounts = amounts_of(system, part, scales=scales)
        weights = weights_at(profiles, amounts, "reweighted")
        covariance = counting_covariance(profiles, part, weights, np.full(len(part), PER / 3_000))
        shares_of(system, amount_samples(profiles, part, weights, covariance, amounts, rng)[0])
    took = time.process_time() - start
    return Row(
        "analyses", "decompose 10,000 spots with spread", took, "s", None, _MANY, "of one core, 20 samples a spot"
    )


def _ours(system: MarkerSystem, spots: MixedSpots) -> Doubles:
    values = _per_10k(system, spots)
    return shares_of(system, amounts_of(system, values, scales=gene_scales(system, values)))


def _mapped(halves: Halves, reference: CellReference, system: MarkerSystem, epochs: int) -> Doubles:
    density = np.array(reference.n_cells) / sum(reference.n_cells)
    return tangram_shares(tangram_mapping(system.profiles, _per_10k(system, halves.spots), density, epochs=epochs))


def _by_vectors(halves: Halves, epochs: int) -> dict[str, tuple[Doubles, float]]:
    """The modes that compare vectors of the shipped space; encoding is not in their time."""
    encoder = open_space("mini").expression
    spots = encoder.encode_counts(halves.spots.counts, halves.genes, by_section=True).vectors
    vectors = encoder.encode_counts(halves.counts, halves.genes, by_section=True).vectors
    types, codes = np.unique(halves.labels, return_inverse=True)
    cells = CellVectors(tuple(types.tolist()), codes, vectors)
    density = np.array(cells.n_cells) / len(codes)
    return {
        "own tangram on vectors": _timed(
            lambda: tangram_shares(tangram_mapping(cells.means, spots, density, epochs=epochs))
        ),
        "votes": _timed(lambda: votes_of(spots, cells, n_samples=1).shares),
    }


def _plain(system: MarkerSystem, spots: MixedSpots) -> Doubles:
    return shares_of(system, amounts_of(system, _per_10k(system, spots), method="plain"), "rna")


def _per_10k(system: MarkerSystem, spots: MixedSpots) -> Doubles:
    totals = np.asarray(spots.counts.sum(axis=1), dtype=np.float64)
    return np.asarray(spots.counts[:, system.columns].toarray() / totals * PER)


def _tangram(halves: Halves, system: MarkerSystem, epochs: int) -> tuple[Doubles, float]:
    python = python_with("tangram", "tangram", TANGRAM)
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "in.npz"), Path(folder, "out.npy")
        np.savez(
            source,
            cells=halves.counts.toarray(),
            spots=halves.spots.counts.toarray(),
            genes=np.array(halves.genes),
            labels=np.array(halves.labels),
            markers=np.array(system.genes),
            epochs=epochs,
        )
        done = subprocess.run(  # noqa: S603  # our own worker
            [str(python), "-m", "benchmarks.tangram_worker", str(source), str(target)],
            capture_output=True,
            text=True,
            check=False,
            cwd=_REPO,
        )
        if done.returncode:
            raise PeerError(f"failed: {(done.stderr.strip().splitlines() or ['no reason given'])[-1][:200]}")
        return np.load(target), float(json.loads(done.stdout.splitlines()[-1])["seconds"])


def _rows(found: dict[str, tuple[Doubles, float]], spots: MixedSpots, reason: str, how: str) -> Iterator[Row]:
    n = len(spots.cells)
    for name, unit, measure in (("JSD", "bits", _jsd), ("RMSE", "share", _rmse), ("PCC", "r", _pcc)):
        for method, (shares, _) in found.items():
            row = f"decompose {name}" + ("" if method == "HistoSeek" else f" ({method})")
            against = None if method == "random" else f"decompose {name} (random)"
            yield Row("analyses", row, measure(shares, spots.cells), unit, against, n)
        for peer in ("Tangram", "plain NNLS"):
            against = f"decompose {name} ({peer})"
            if peer not in found:
                yield Row("analyses", f"decompose {name} / {peer} {name}", None, "times", against, n, reason)
                continue
            ratio = measure(found["HistoSeek"][0], spots.cells) / measure(found[peer][0], spots.cells)
            yield Row("analyses", f"decompose {name} / {peer} {name}", ratio, "times", against, n)
    seconds = {method: took for method, (_, took) in found.items() if took}
    for method, took in seconds.items():
        row = "decompose time" + ("" if method == "HistoSeek" else f" ({method})")
        yield Row("analyses", row, took, "s", None, n, "the reference's markers chosen before")
    if "Tangram" in seconds:
        ratio = seconds["HistoSeek"] / seconds["Tangram"]
        yield Row("analyses", "decompose time / Tangram time", ratio, "times", "decompose time (Tangram)", n, how)


def _jsd(found: Doubles, true: Doubles) -> float:
    """Mean Jensen-Shannon divergence over the spots, in bits."""
    middle = (found + true) / 2

    def divergence(p: Doubles) -> Doubles:
        return np.asarray((p * np.log2(np.divide(p, middle, out=np.ones_like(p), where=p > 0))).sum(axis=1))

    return float(((divergence(found) + divergence(true)) / 2).mean())


def _rmse(found: Doubles, true: Doubles) -> float:
    """Root mean square error of each type over the spots, then the mean over the types."""
    return float(np.sqrt(((found - true) ** 2).mean(axis=0)).mean())


def _pcc(found: Doubles, true: Doubles) -> float:
    """Pearson correlation of each type over the spots, then the mean over the types; 0 for a constant."""
    pairs = zip(found.T, true.T, strict=True)
    return float(np.mean([np.corrcoef(f, t)[0, 1] if f.std() > 0 and t.std() > 0 else 0.0 for f, t in pairs]))


def _halves(n_spots: int, seed: int) -> Halves:
    counts, names, genes = labelled_cells()
    labels = np.array(names)
    rng = np.random.default_rng(seed)
    first = np.zeros(len(labels), dtype=bool)
    for name in np.unique(labels):
        own = rng.permutation(np.flatnonzero(labels == name))
        first[own[: len(own) // 2]] = True
    spots = mix_spots(counts[~first], labels[~first].tolist(), n_spots, seed=seed)
    return Halves(counts[first], labels[first].tolist(), genes, spots)


def _timed(run: Callable[[], Doubles]) -> tuple[Doubles, float]:
    start = time.perf_counter()
    return run(), time.perf_counter() - start
