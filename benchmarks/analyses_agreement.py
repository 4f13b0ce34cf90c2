"""Cell types of every section of her2st beside the published ones (stereoscope, Andersson et al., Nat Commun 2021)."""

import zipfile
from collections.abc import Iterator

import numpy as np
import pandas as pd
import scipy.sparse as sp

from benchmarks.analyses_decomposition import labelled_cells
from benchmarks.report import Row
from indexer.datasets.download import fetch
from indexer.datasets.manifest import load_manifest
from indexer.slides import Expression
from indexer.sources import open_sources
from search.cells.decomposition import amounts_of, gene_scales, marker_system, shares_of
from search.cells.reference import CellReference, reference_from_counts
from search.profiles import PER, Doubles

_ARCHIVE = "props_major.zip"
#: Type of the reference by the published name.
_PUBLISHED = {
    "B-cells": "B-cells",
    "CAFs": "CAFs",
    "Endothelial": "Endothelial",
    "Epithelial": "Cancer Epithelial",
    "Myeloid": "Myeloid",
    "Plasma Cells": "Plasmablasts",
    "PVL": "PVL",
    "T-cells": "T-cells",
}


def agreement_rows() -> Iterator[Row]:
    """Median over the sections of the correlation with the published shares, beside plain least squares."""
    counts, labels, genes = labelled_cells()
    reference = reference_from_counts(counts, genes, labels)
    found: dict[str, list[Doubles]] = {"": [], " (plain NNLS)": []}
    for source in open_sources("her2st", manifest=load_manifest()):
        read, published = source.read_expression(), _published(source.facts.slide)
        if read is not None and published is not None:
            for label, one in _agreements(reference, read, published).items():
                found[label].append(one)
    n = len(found[""])
    for place, (published_name, own) in enumerate(_PUBLISHED.items()):
        for label, sections in found.items():
            value = float(np.nanmedian(np.stack(sections)[:, place]))
            row = f"agreement with stereoscope, {published_name}{label}"
            against = f"agreement with stereoscope, {published_name} (plain NNLS)"
            yield Row("analyses", row, value, "r", None if label else against, n, f"shares of RNA of {own}")


def _agreements(reference: CellReference, read: Expression, published: pd.DataFrame) -> dict[str, Doubles]:
    totals = np.asarray(read.counts.sum(axis=1), dtype=np.float64).ravel()
    names = np.array(read.names)
    kept = np.flatnonzero((totals > 0) & np.isin(names, published.index))
    system = marker_system(reference, read.genes)
    values = sp.csr_matrix(read.counts)[kept][:, system.columns].toarray() / totals[kept, None] * PER
    true = published.loc[names[kept], list(_PUBLISHED)].to_numpy(np.float64)
    order = [reference.types.index(own) for own in _PUBLISHED.values()]
    ours = shares_of(system, amounts_of(system, values, scales=gene_scales(system, values)), "rna")[:, order]
    plain = shares_of(system, amounts_of(system, values, method="plain"), "rna")[:, order]
    return {"": _columnwise_r(ours, true), " (plain NNLS)": _columnwise_r(plain, true)}


def _columnwise_r(a: Doubles, b: Doubles) -> Doubles:
    pairs = zip(a.T, b.T, strict=True)
    return np.array([np.corrcoef(x, y)[0, 1] if x.std() > 0 and y.std() > 0 else np.nan for x, y in pairs])


def _published(slide: str) -> pd.DataFrame | None:
    dataset = load_manifest().datasets["her2st"]
    paths = [file.path for file in dataset.files if file.path.endswith(_ARCHIVE)]
    (archive,) = fetch(dataset, files=paths).values()
    with zipfile.ZipFile(archive) as opened:
        name = f"major/{slide}-proportion.tsv"
        return pd.read_csv(opened.open(name), sep="\t", index_col=0) if name in opened.namelist() else None
