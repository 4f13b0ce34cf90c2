"""Predicted expression of the observations of an AnnData, from an index."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from encoders.contracts import Floats, Vectors
from search.catalogue import Mask
from search.engine import Engine
from search.errors import QueryError
from search.expression.many import VectorsAsked
from search.expression.prediction import check_mode
from search.expression.weighting import Mode
from search.scverse.profiles import (
    Using,
    modality_of,
    profiles_of,
    symbols_of,
    vectors_from_counts,
    vectors_from_obsm,
    vectors_from_picture,
)

if TYPE_CHECKING:
    import anndata


@dataclass(frozen=True, slots=True)
class From:
    """What of an AnnData is asked with.

    Attributes
    ----------
    using : {"counts", "image"}
        Its counts, or the tissue around its places.
    layer : str, optional
        Layer with raw counts; `X` by default.
    picture : str or Path, optional
        The slide, for `image`; places are `obsm['spatial']`, centres in level-0 pixels `(x, y)`.
    mpp : float, optional
        Micrometres per level-0 pixel of the picture, where the file does not say.
    obsm : str, optional
        Vectors of the index's space that were made before, instead of either.
    """

    using: Using = "counts"
    layer: str | None = None
    picture: str | Path | None = None
    mpp: float | None = None
    obsm: str | None = None


def predict_expression(
    adata: "anndata.AnnData",
    engine: Engine,
    source: From | None = None,
    *,
    mode: Mode = "softmax",
    k: int | None = None,
    where: str | None = None,
    patients: Sequence[str] = (),
    key_added: str = "predicted",
) -> None:
    """Predict the expression of every observation, over the variables of the AnnData that the index knows.

    Adds `layers[key_added]` and `layers[key_added + '_sd']` (log(1 + counts per 10,000), NaN for other variables),
    `obsm['X_<space>']`, `obs[key_added + '_n_effective']`, `var[key_added + '_predictability']` (measured on the
    patients of the index) and `uns['histoseek'][key_added]`. `X` is not touched.

    Parameters
    ----------
    adata : AnnData
        Symbols or Ensembl ids in `var_names`.
    engine : Engine
        An opened index.
    source : From, optional
        What is asked with; by default the counts in `X`.
    mode, k, where
        As in `Engine.predict_expression`.
    patients : sequence of str
        Patients of the index who may not answer, because these observations are theirs.
    key_added : str
        Name of the results.

    Raises
    ------
    QueryError
        If counts, places or vectors are missing or do not fit, no gene is known, or nothing can answer.
    """
    check_mode(mode)
    source = source or From()
    symbols = symbols_of(adata, engine.catalogue)
    vectors, there = _vectors(adata, engine, source)
    genes = tuple(dict.fromkeys(symbol for symbol in symbols if symbol))
    asked = VectorsAsked(modality_of(source.using), genes, mode, k, where, tuple(patients))
    found = engine.predict_vectors(vectors, asked)
    column_of = {gene: column for column, gene in enumerate(genes)}
    kept = np.flatnonzero(symbols)
    columns = np.array([column_of[symbols[i]] for i in kept])
    for name, values in ((key_added, found.predicted), (f"{key_added}_sd", found.sd)):
        adata.layers[name] = _spread_out(values[:, columns], there, kept, adata.shape)
    n_effective = np.full(adata.n_obs, np.nan, dtype=np.float32)
    n_effective[there] = found.n_effective
    adata.obs[f"{key_added}_n_effective"] = n_effective
    r = np.full(adata.n_vars, np.nan)
    r[kept] = found.r[columns]
    adata.var[f"{key_added}_predictability"] = r
    space = engine.index.card.space
    own = np.zeros((adata.n_obs, space.dim), dtype=np.float32)
    own[there] = vectors
    adata.obsm[f"X_{space.name}"] = own
    told = _provenance(engine, source, asked) | {"notes": list(found.notes)}
    adata.uns["histoseek"] = dict(adata.uns.get("histoseek", {})) | {key_added: told}


def _provenance(engine: Engine, source: From, asked: VectorsAsked) -> dict[str, Any]:
    space = engine.index.card.space
    return {
        "verb": "predict",
        "index": str(engine.index.location),
        "space": space.name,
        "space_revision": space.revision,
        "space_licence": space.licence,
        "licences": sorted({f"{row['cohort']}: {row['licence']}" for row in engine.index.slides().to_pylist()}),
        "mode": asked.mode,
        "using": source.using,
        "excluded_patients": list(asked.patients),
        "units": "log(1 + counts per 10,000)",
        "where": json.dumps(asked.where),
    }


def _vectors(adata: "anndata.AnnData", engine: Engine, source: From) -> tuple[Vectors, Mask]:
    """Vectors of the observations that can be asked with, and which they are."""
    everyone = np.ones(adata.n_obs, dtype=np.bool_)
    if source.obsm is not None:
        return vectors_from_obsm(adata, source.obsm, engine.index.card.space.dim), everyone
    if source.using == "image":
        if source.picture is None:
            raise QueryError("using='image' needs the slide's picture; give its file, and mpp where it does not say.")
        return vectors_from_picture(adata, engine.space, source.picture, source.mpp), everyone
    profiles = profiles_of(adata, engine.catalogue, source.layer)
    if not profiles.filled.any():
        raise QueryError("No observation has a count of a gene of this index; give raw counts, or ask with the image.")
    return vectors_from_counts(profiles, engine.space), profiles.filled


def _spread_out(values: Floats, there: Mask, kept: np.ndarray, shape: tuple[int, int]) -> Floats:
    """Values at their observations and variables, NaN elsewhere."""
    whole = np.full(shape, np.nan, dtype=np.float32)
    whole[np.ix_(np.flatnonzero(there), kept)] = values
    return whole
