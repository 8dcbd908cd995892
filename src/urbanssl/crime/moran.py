"""Spatial autocorrelation: Moran's I, and the distance up to which areas are alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.spatial import cKDTree
from scipy.spatial.distance import pdist

Floats = NDArray[np.float64]

#: Pairs of at most so many areas of a region make the correlogram.
_MOST_AREAS = 2500


def neighbour_weights(points: Floats, region: NDArray, neighbours: int = 8) -> csr_matrix:
    """Return (n, n) weights: each area's nearest areas of its region, adding up to 1.

    Args:
        points: (n, 2 or 3) positions.
        region: (n,).
        neighbours: nearest areas taken.
    """
    rows, columns, values = [], [], []
    for name in np.unique(region):
        inside = np.flatnonzero(region == name)
        count = min(neighbours, len(inside) - 1)
        if count < 1:
            continue
        near = cKDTree(points[inside]).query(points[inside], k=count + 1)[1]
        near = _without_self(near)[:, :count]
        rows.append(np.repeat(inside, count))
        columns.append(inside[near].reshape(-1))
        values.append(np.full(near.size, 1 / count))
    if not rows:
        return csr_matrix((len(region), len(region)))
    place = (np.concatenate(rows), np.concatenate(columns))
    return csr_matrix((np.concatenate(values), place), shape=(len(region),) * 2)


def _without_self(near: NDArray[np.intp]) -> NDArray[np.intp]:
    """Drop each row's own number, wherever ties of distance have put it."""
    own = near == np.arange(len(near))[:, None]
    own[~own.any(axis=1), -1] = True
    return near[~own].reshape(len(near), -1)


def morans_i(values: Floats, weights: csr_matrix) -> Floats:
    """Return (P,) Moran's I of (P, n) values about their means.

    Source: Moran (1950), Notes on continuous stochastic phenomena, Biometrika 37.
    """
    centred = values - values.mean(axis=1, keepdims=True)
    together = (centred * (weights @ centred.T).T).sum(axis=1) / max(weights.sum(), 1e-12)
    variance = (centred**2).mean(axis=1)
    return np.where(variance > 0, together / np.where(variance > 0, variance, 1.0), 0.0)


def moran_test(values: Floats, weights: csr_matrix, places: NDArray[np.int64]) -> dict[str, Any]:
    """Return Moran's I, its mean over exchanges of areas within regions, and the one-sided p.

    Args:
        values: (n,).
        weights: (n, n), see `neighbour_weights`.
        places: (P, n) exchanges, see `permutation.shuffles`.
    """
    observed = float(morans_i(values[None], weights)[0])
    exchanged = morans_i(values[places], weights)
    chance = float((1 + (exchanged >= observed).sum()) / (1 + len(exchanged)))
    return {"i": observed, "expected": float(exchanged.mean()), "p": chance}


@dataclass(frozen=True)
class Correlogram:
    """How alike areas are by distance.

    Attributes:
        distance: (K,) middle of each step, in metres.
        correlation: (K,) Moran's I of pairs at that distance, about their region's mean.
        pairs: (K,) pairs.
        spacing: median distance to the nearest area.
        extent: largest distance within a region.
    """

    distance: Floats
    correlation: Floats
    pairs: NDArray[np.int64]
    spacing: float
    extent: float

    def plain(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        return {
            "distance": self.distance.tolist(),
            "correlation": self.correlation.tolist(),
            "pairs": self.pairs.tolist(),
            "spacing": self.spacing,
        }


def correlogram(
    values: Floats, points: Floats, region: NDArray, rng: np.random.Generator, steps: int = 12
) -> Correlogram:
    """Return Moran's I by distance, from pairs within regions.

    Args:
        values: (n,) for example log rates.
        points: (n, 2 or 3) positions.
        region: (n,).
        rng: picks areas where a region has very many.
        steps: most steps of distance, each as wide as areas are apart.
    """
    apart, product, nearest, variance = [], [], [], []
    for name in np.unique(region):
        inside = np.flatnonzero(region == name)
        if len(inside) < 3:
            continue
        if len(inside) > _MOST_AREAS:
            inside = rng.choice(inside, _MOST_AREAS, replace=False)
        centred = values[inside] - values[inside].mean()
        first, second = np.triu_indices(len(inside), 1)
        apart.append(pdist(points[inside]))
        product.append(centred[first] * centred[second])
        variance.append(centred**2)
        nearest.append(cKDTree(points[inside]).query(points[inside], k=2)[0][:, 1])
    if not apart:
        nothing = np.zeros(0)
        return Correlogram(nothing, nothing, np.zeros(0, np.int64), 1.0, 1.0)
    distance: Floats = np.concatenate(apart)
    together: Floats = np.concatenate(product)
    spacing = max(float(np.median(np.concatenate(nearest))), 1e-9)
    step = (distance / spacing).astype(np.int64).clip(max=steps)
    count = np.bincount(step, minlength=steps + 1)[:steps]
    total = np.bincount(step, together, minlength=steps + 1)[:steps]
    spread = max(float(np.concatenate(variance).mean()), 1e-12)
    used = count > 0
    middle = (np.arange(steps, dtype=np.float64) + 0.5) * spacing
    correlation = total[used] / count[used] / spread
    return Correlogram(middle[used], correlation, count[used], spacing, float(distance.max()))


def block_side(found: Correlogram, alike: float = 0.1) -> float:
    """Return the side of a spatial block: the distance beyond which areas are no longer alike.

    The first step at which the correlation is below `alike`, at least two and at most a third of
    the extent of a region.

    Args:
        found: the correlogram of the target.
        alike: correlation that counts as none.
    """
    below = np.flatnonzero(found.correlation < alike)
    last = found.distance[-1] if len(found.distance) else found.spacing
    reach = float(found.distance[below[0]]) if below.size else float(last)
    return float(np.clip(reach, 2 * found.spacing, max(2 * found.spacing, found.extent / 3)))
