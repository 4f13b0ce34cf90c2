"""Two sections laid over each other by the places of their items and by what the items are like.

Coherent point drift (Myronenko & Song, TPAMI 2010) with features: an item of the moving section is taken to lie where
items of the fixed section are that are both near and alike. Loki Align (Chen et al., Nat Methods 2025) appends two
principal components to the coordinates and lets a free drift move all four; here the components only weigh who may
belong to whom, and what moves the section is a rotation, an affine map, or an affine map with a smooth bend.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from search.errors import AlignmentError
from search.profiles import Doubles

Model = Literal["rigid", "affine", "warp"]
MODELS: tuple[Model, ...] = ("rigid", "affine", "warp")
_N_COMPONENTS = 12
_N_ANGLES, _N_KEPT = 36, 4
_OUTLIERS = 0.1  # share of items that lie where the other section has nothing like them
_ROUNDS, _ENOUGH = 60, 1e-4
_STIFFNESS = 3.0  # of the bend: the larger, the straighter
_KNOTS = 7  # of the bend along the longer side
_MIN_POINTS = 10
_LEAST_SPACING = 0.5  # of items: those of two sections do not lie on the same spots of tissue


@dataclass(frozen=True, slots=True)
class PointSet:
    """Items of a section.

    Attributes
    ----------
    xy_um : float64 (n, 2)
        Centres in micrometres.
    features : float32 or float64 (n, d)
        Vectors that can be compared with those of the other section.
    """

    xy_um: Doubles
    features: Doubles


@dataclass(frozen=True, slots=True)
class PointAlignment:
    """Where the items of the moving section come to lie.

    Attributes
    ----------
    matrix : float64 (2, 3)
        Affine part, micrometres to micrometres: `xy @ matrix[:, :2].T + matrix[:, 2]`.
    mirrored : bool
        Whether the section was turned over.
    moved_um : float64 (n, 2)
        Centres on the fixed section, bend included.
    residual_um : float64 (n,)
        Distance of each moved item from the weighted mean place of the items it was matched with.
    matched : float64 (n,)
        Probability that the item has a counterpart.
    """

    matrix: Doubles
    mirrored: bool
    moved_um: Doubles
    residual_um: Doubles
    matched: Doubles


def align_points(moving: PointSet, fixed: PointSet, *, model: Model = "warp", mirror: bool = False) -> PointAlignment:
    """Lay one section over another.

    Thirty-six rotations (each also mirrored if asked) are tried with the centres on each other; the four under which
    neighbours are most alike are refined, and the one that explains the fixed section best is kept.

    Parameters
    ----------
    moving, fixed : PointSet
        The sections; features of both have the same dimension.
    model : {"rigid", "affine", "warp"}
        Rotation, shift and one scale; any affine map; or an affine map and a smooth bend.
    mirror : bool
        Whether the moving section may lie with its other side up.

    Raises
    ------
    AlignmentError
        If a section has fewer than ten items or items on one line, features do not match, or nothing is alike.
    """
    if model not in MODELS:
        raise AlignmentError(f"model={model!r} is not known; choose one of {', '.join(MODELS)}.")
    for name, points in (("moving", moving), ("fixed", fixed)):
        _check(name, points)
    if moving.features.shape[1] != fixed.features.shape[1]:
        raise AlignmentError(
            f"The moving section has features of {moving.features.shape[1]} dimensions, the fixed one of "
            f"{fixed.features.shape[1]}; give both vectors of one space."
        )
    problem = _Problem(moving, fixed)
    starts = sorted(problem.starts(mirror=mirror), key=lambda start: start[0])[-_N_KEPT:]
    fits = [problem.refine(matrix, "rigid" if model == "rigid" else "affine") for _, matrix in starts]
    best = max(fits, key=lambda fit: fit.likelihood)
    if model == "warp":
        best = problem.bend(best)
    return problem.answer(best)


@dataclass(frozen=True, slots=True)
class _Fit:
    matrix: Doubles
    moved: Doubles
    variance: float
    likelihood: float


class _Problem:
    """Both sections in the units of the fixed one's spread, with how alike every pair of items is."""

    def __init__(self, moving: PointSet, fixed: PointSet) -> None:
        from scipy.spatial import cKDTree  # takes as long to import as all of search

        self._centre, self._unit = fixed.xy_um.mean(axis=0), float(fixed.xy_um.std())
        self._own_centre = moving.xy_um.mean(axis=0)
        self._x = (fixed.xy_um - self._centre) / self._unit
        self._y = (moving.xy_um - self._own_centre) / self._unit
        spacing = cKDTree(self._x).query(self._x, k=2)[0][:, 1]
        self._least_variance = (_LEAST_SPACING * float(np.median(spacing))) ** 2
        self._fx, self._fy = _components(fixed.features, moving.features)
        distances = ((self._fy**2).sum(axis=1)[:, None] + (self._fx**2).sum(axis=1) - 2 * self._fy @ self._fx.T) / 2
        # What "alike" means is read off the data: how like an item its nearest of the other section usually is.
        self._log_alike = -distances / max(float(np.median(distances.min(axis=1))), 1e-9)

    def starts(self, *, mirror: bool) -> list[tuple[float, Doubles]]:
        """Rotations about the centres, each with the mean likeness of neighbours."""
        from scipy.spatial import cKDTree

        tree = cKDTree(self._x)
        found = []
        for angle in np.arange(_N_ANGLES) * 2 * np.pi / _N_ANGLES:
            c, s = np.cos(angle), np.sin(angle)
            for flip in (1.0, -1.0) if mirror else (1.0,):
                matrix = np.array([[c * flip, -s, 0.0], [s * flip, c, 0.0]])
                _, near = tree.query(_apply(matrix, self._y), k=min(6, len(self._x)))
                found.append((float(np.take_along_axis(self._log_alike, near, axis=1).max(axis=1).mean()), matrix))
        return found

    def refine(self, matrix: Doubles, model: Literal["rigid", "affine"]) -> _Fit:
        """Expectation and maximisation in turn: who belongs to whom, then the best map for that."""
        moved = _apply(matrix, self._y)
        variance = 0.1
        for round_ in range(_ROUNDS):
            belongs, likelihood = self._expect(moved, variance)
            # First a rotation, so that a poor start is not sheared into place.
            solve = _affine if model == "affine" and round_ >= _ROUNDS // 3 else _similarity
            weight = belongs.sum(axis=1)
            matrix = solve(self._y, self._targets(belongs, weight), weight, matrix)
            before, moved = variance, _apply(matrix, self._y)
            variance = self._variance(belongs, moved)
            if abs(before - variance) < _ENOUGH * variance and round_ > _ROUNDS // 2:
                break
        return _Fit(matrix, moved, variance, likelihood)

    def bend(self, fit: _Fit) -> _Fit:
        """Add a smooth displacement, a ridge regression on Gaussian bumps that stand on a grid."""
        low, high = fit.moved.min(axis=0), fit.moved.max(axis=0)
        spacing = float((high - low).max()) / (_KNOTS - 1)
        axes = [np.arange(low[i], high[i] + spacing, spacing) for i in (0, 1)]
        knots = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2)
        apart = ((fit.moved[:, None, :] - knots) ** 2).sum(axis=2)
        basis = np.exp(-apart / (2 * (1.2 * spacing) ** 2))
        moved, variance, likelihood = fit.moved, fit.variance, fit.likelihood
        for _ in range(_ROUNDS // 2):
            belongs, likelihood = self._expect(moved, variance)
            weight = belongs.sum(axis=1)
            wanted = self._targets(belongs, weight) - fit.moved
            gram = (basis * weight[:, None]).T @ basis
            ridge = _STIFFNESS * max(float(np.trace(gram)) / len(gram), 1e-9)
            moved = fit.moved + basis @ np.linalg.solve(
                gram + ridge * np.eye(len(gram)), (basis * weight[:, None]).T @ wanted
            )
            before, variance = variance, self._variance(belongs, moved)
            if abs(before - variance) < _ENOUGH * variance:
                break
        return _Fit(fit.matrix, moved, variance, likelihood)

    def answer(self, fit: _Fit) -> PointAlignment:
        """The fit in micrometres."""
        belongs, _ = self._expect(fit.moved, fit.variance)
        weight = belongs.sum(axis=1)
        apart = np.linalg.norm(self._targets(belongs, weight) - fit.moved, axis=1) * self._unit
        linear = fit.matrix[:, :2]
        shift = fit.matrix[:, 2] * self._unit + self._centre - linear @ self._own_centre
        return PointAlignment(
            matrix=np.column_stack([linear, shift]),
            mirrored=bool(np.linalg.det(linear) < 0),
            moved_um=fit.moved * self._unit + self._centre,
            residual_um=apart,
            matched=np.minimum(weight, 1.0),
        )

    def _expect(self, moved: Doubles, variance: float) -> tuple[Doubles, float]:
        """Probability of each pair, (n_moving, n_fixed), columns summing to at most 1; and the mean log-likelihood."""
        apart = (moved**2).sum(axis=1)[:, None] + (self._x**2).sum(axis=1) - 2 * moved @ self._x.T
        log_density = self._log_alike - apart / (2 * variance) - np.log(2 * np.pi * variance)
        own = np.log((1 - _OUTLIERS) / len(moved))
        anywhere = np.log(_OUTLIERS) - np.log(np.prod(np.ptp(self._x, axis=0))) + float(np.median(self._log_alike))
        top = np.maximum(log_density.max(axis=0) + own, anywhere)
        pairs = np.exp(log_density + own - top)
        total = pairs.sum(axis=0) + np.exp(anywhere - top)
        return pairs / total, float((np.log(total) + top).mean())

    def _targets(self, belongs: Doubles, weight: Doubles) -> Doubles:
        return np.asarray((belongs @ self._x) / np.maximum(weight, 1e-12)[:, None])

    def _variance(self, belongs: Doubles, moved: Doubles) -> float:
        apart = (moved**2).sum(axis=1)[:, None] + (self._x**2).sum(axis=1) - 2 * moved @ self._x.T
        total = float(belongs.sum())
        if total < 1.0:
            raise AlignmentError(
                "The sections have nothing alike where they overlap; check that they are of one tissue."
            )
        return max(float((belongs * np.maximum(apart, 0)).sum()) / (2 * total), self._least_variance)


def _components(fixed: Doubles, moving: Doubles) -> tuple[Doubles, Doubles]:
    """Leading principal components of both sections, each centred on its own mean: stain and batch shift a section."""
    a, b = (np.asarray(f, dtype=np.float64) - np.mean(f, axis=0, dtype=np.float64) for f in (fixed, moving))
    _, _, axes = np.linalg.svd(a, full_matrices=False)
    kept = axes[: min(_N_COMPONENTS, len(axes))].T
    a, b = a @ kept, b @ kept
    spread = float(np.sqrt((a**2).sum(axis=1).mean())) or 1.0
    return a / spread, b / (float(np.sqrt((b**2).sum(axis=1).mean())) or 1.0)


def _apply(matrix: Doubles, xy: Doubles) -> Doubles:
    return np.asarray(xy @ matrix[:, :2].T + matrix[:, 2])


def _similarity(y: Doubles, targets: Doubles, weight: Doubles, matrix: Doubles) -> Doubles:
    """Rotation, one scale and shift that bring `y` to its targets (Umeyama, TPAMI 1991), as mirrored as before."""
    share = weight / weight.sum()
    my, mx = share @ y, share @ targets
    covariance = ((targets - mx) * share[:, None]).T @ (y - my)
    u, values, vt = np.linalg.svd(covariance)
    sign = np.array([1.0, np.sign(np.linalg.det(u @ vt)) * np.sign(np.linalg.det(matrix[:, :2]))])
    rotation = (u * sign) @ vt
    scale = float((values * sign).sum() / (share @ ((y - my) ** 2).sum(axis=1)))
    linear = max(scale, 1e-3) * rotation
    return np.column_stack([linear, mx - linear @ my])


def _affine(y: Doubles, targets: Doubles, weight: Doubles, matrix: Doubles) -> Doubles:
    """Affine map that brings `y` to its targets; the last one where that would turn the section over or flatten it."""
    design = np.column_stack([y, np.ones(len(y))])
    gram = (design * weight[:, None]).T @ design
    if np.linalg.cond(gram) > 1e8:
        return matrix
    solved = np.asarray(np.linalg.solve(gram, (design * weight[:, None]).T @ targets).T)
    return solved if np.linalg.det(solved[:, :2]) * np.linalg.det(matrix[:, :2]) > 0 else matrix


def _check(name: str, points: PointSet) -> None:
    n = len(points.xy_um)
    if n < _MIN_POINTS or points.features.shape[0] != n:
        raise AlignmentError(
            f"The {name} section has {n} item(s) and {points.features.shape[0]} vector(s); at least {_MIN_POINTS} "
            "items with one vector each are needed to align it."
        )
    if not (np.isfinite(points.xy_um).all() and np.isfinite(points.features).all()):
        raise AlignmentError(f"The {name} section has places or vectors that are not finite.")
    if np.linalg.matrix_rank(points.xy_um - points.xy_um.mean(axis=0), tol=1e-6) < 2:
        raise AlignmentError(f"All items of the {name} section lie on one line; a map of the plane cannot be fitted.")
