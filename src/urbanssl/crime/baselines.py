"""What features must beat: the majority, the place alone, and cheap features of the pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

Floats = NDArray[np.float64]

#: Feature sets that were learned from images; every other set is a baseline.
LEARNED: tuple[str, ...] = ("swav", "mae", "detr", "vitdet", "objects")
#: Baselines that a claim must beat, where they were computed.
TO_BEAT: tuple[str, ...] = ("coordinates", "rcf", "histogram", "texture")


def is_learned(name: str) -> bool:
    """Return whether a feature set counts as learned, not as a baseline."""
    return name in LEARNED


def coordinate_features(points: Floats, most: int = 30) -> Floats:
    """Return (n, 3 + K) features of the place alone: the position, and nearness to landmarks.

    Landmarks are areas far from each other (farthest-point order), so a smooth map of crime, or a
    level for each city, can be learned from them. Neither rates nor images are looked at.

    Args:
        points: (n, 2 or 3) positions in metres.
        most: most landmarks.
    """
    centred = points - points.mean(axis=0)
    spread = max(float(np.abs(centred).max()), 1e-9)
    landmarks = _far_apart(points, max(2, min(most, len(points) // 4)))
    apart = cdist(points, points[landmarks])
    between = cKDTree(points[landmarks]).query(points[landmarks], k=2)[0][:, 1]
    width = max(1.5 * float(np.median(between)), 1e-9)
    return np.hstack([centred / spread, np.exp(-0.5 * (apart / width) ** 2)])


def _far_apart(points: Floats, count: int) -> NDArray[np.int64]:
    chosen = [int(np.argmin(((points - points.mean(axis=0)) ** 2).sum(axis=1)))]
    nearest = ((points - points[chosen[0]]) ** 2).sum(axis=1)
    while len(chosen) < min(count, len(points)):
        chosen.append(int(np.argmax(nearest)))
        nearest = np.minimum(nearest, ((points - points[chosen[-1]]) ** 2).sum(axis=1))
    return np.array(chosen)
