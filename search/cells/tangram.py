"""Cell types of all places of a slide by one mapping of clusters onto them, as Tangram does and Loki after it."""

from typing import Any

import numpy as np
import numpy.typing as npt

from search.profiles import Doubles

Floating = npt.NDArray[np.floating[Any]]

EPOCHS = 1_000
LEARNING_RATE = 0.1
SEED = 10
_TINY = 1e-8  # below this a norm counts as 0


def tangram_loss(mapping: Doubles, clusters: Floating, places: Floating, density: Doubles) -> float:
    """What the mapping makes small (Biancalani et al., Nat Methods 2021, cluster mode).

    With `G' = M^T S` the features that the places are given, it is minus the mean over the features of the cosine of
    `G'` and `G` over the places, plus the divergence `KL(d || w M)` of the density that the clusters bring to each
    place from an even one, `d = 1 / n`; both weigh 1, as in Loki's call of Tangram 1.0.4 (uniform density prior).

    Parameters
    ----------
    mapping : float64 (n_types, n)
        `M`: where each cluster lies; rows sum to 1.
    clusters : (n_types, n_features)
        `S`: mean expression or mean vector of each cluster.
    places : (n, n_features)
        `G`: the same of each place.
    density : float64 (n_types,)
        `w`: share of each cluster among the cells.
    """
    given = mapping.T @ clusters
    lengths = np.maximum(np.linalg.norm(given, axis=0) * np.linalg.norm(places, axis=0), _TINY)
    cosines = (given * places).sum(axis=0) / lengths
    even = 1.0 / len(places)
    divergence = (even * (np.log(even) - np.log(density @ mapping))).sum()
    return float(divergence - cosines.mean())


def tangram_mapping(
    clusters: Floating,
    places: Floating,
    density: Doubles,
    *,
    epochs: int = EPOCHS,
    seed: int = SEED,
) -> Doubles:
    """Map clusters onto places: minimise `tangram_loss` over `M = softmax(X)` with Adam, `X` normal at the start.

    Returns
    -------
    float64 (n_types, n)
        Where each cluster lies; rows sum to 1. The same arguments give the same mapping.
    """
    import torch

    start = np.random.default_rng(seed).standard_normal((len(clusters), len(places)))
    logits = torch.tensor(start, dtype=torch.float32, requires_grad=True)
    s, g, w = (torch.tensor(np.asarray(a), dtype=torch.float32) for a in (clusters, places, density))
    even = torch.full((len(places),), 1.0 / len(places))
    optimiser = torch.optim.Adam([logits], lr=LEARNING_RATE)
    for _ in range(epochs):
        mapping = torch.softmax(logits, dim=1)
        cosines = torch.nn.functional.cosine_similarity(mapping.T @ s, g, dim=0)
        loss = torch.nn.functional.kl_div(torch.log(w @ mapping), even, reduction="sum") - cosines.mean()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    with torch.no_grad():
        return np.asarray(torch.softmax(logits, dim=1).numpy(), dtype=np.float64)


def tangram_shares(mapping: Doubles, n_cells: Doubles | None = None, *, nms: bool = False) -> Doubles:
    """Shares of the types at each place: the mapping's columns, made to sum to 1.

    Loki's notebooks multiply them by the number of cells of each cluster before (`n_cells`), which is off by default:
    on spots of known composition it does worse, since a reference holds the cells that were caught.

    With `nms`, Loki's non-maximum suppression: each type over the places is cut at its 5th and 95th percentile and
    brought to 0-1, and only the highest type of a place is kept, at 1.

    Returns
    -------
    float64 (n, n_types)
    """
    amounts = mapping.T if n_cells is None else mapping.T * n_cells
    if nms:
        scaled = percentile_scaled(amounts)
        best = scaled.argmax(axis=1)
        kept = np.zeros_like(scaled)
        kept[np.arange(len(kept)), best] = 1.0
        return kept
    return np.asarray(amounts / amounts.sum(axis=1, keepdims=True))


def percentile_scaled(values: Doubles, low: float = 5.0, high: float = 95.0) -> Doubles:
    """Each column cut at two percentiles of itself and brought to 0-1; a constant column becomes 0."""
    below, above = np.percentile(values, [low, high], axis=0)
    span = above - below
    found = np.zeros_like(values)
    np.divide(np.clip(values, below, above) - below, span, out=found, where=span > 0)
    return found
