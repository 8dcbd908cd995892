"""Texture without learning: directions of edges, local binary patterns, contrast by distance.

Sources: Dalal and Triggs (2005), Histograms of oriented gradients, section 6 (directions weighted
by strength); Ojala et al. (2002), Multiresolution gray-scale and rotation invariant texture
classification with local binary patterns, section 2.3 (uniform patterns, radius 1).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Steps of the direction of edges, over half a turn.
DIRECTIONS = 9
#: Distances in pixels at which contrast is measured.
LAGS = (1, 2, 4, 8, 16)
#: The eight neighbours of a pixel, around it (row, column).
_AROUND = ((-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1))


def texture_columns() -> list[str]:
    """Return the names of the columns of `texture`."""
    return (
        [f"direction{n}" for n in range(DIRECTIONS)]
        + ["edge_strength", "edge_spread"]
        + [f"pattern{n}" for n in range(10)]
        + [f"contrast{lag}" for lag in LAGS]
    )


def texture(tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return (B, 26) texture features of (B, S, S, 3) uint8 tiles."""
    return np.stack([_of_tile(tile) for tile in tiles]).astype(np.float32)


def _of_tile(tile: NDArray[np.uint8]) -> NDArray[np.float32]:
    grey = tile.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32) / 255
    return np.concatenate([_edges(grey), _patterns(grey), _contrast(grey)])


def _edges(grey: NDArray[Any]) -> NDArray[np.float32]:
    down = grey[2:, 1:-1] - grey[:-2, 1:-1]
    right = grey[1:-1, 2:] - grey[1:-1, :-2]
    strength = np.hypot(down, right)
    turn = np.arctan2(down, right) % np.pi
    step = np.minimum((turn * (DIRECTIONS / np.pi)).astype(np.int64), DIRECTIONS - 1)
    summed = np.bincount(step.ravel(), strength.ravel(), DIRECTIONS)
    share = summed / max(float(summed.sum()), 1e-9)
    return np.append(share, [strength.mean(), strength.std()]).astype(np.float32)


def _patterns(grey: NDArray[Any]) -> NDArray[np.float32]:
    """Shares of the ten rotation-invariant uniform patterns: 0 to 8 neighbours, and the rest."""
    high, wide = grey.shape
    middle = grey[1:-1, 1:-1]
    bits = np.stack(
        [grey[1 + r : high - 1 + r, 1 + c : wide - 1 + c] >= middle for r, c in _AROUND]
    )
    changes = (bits != np.roll(bits, 1, axis=0)).sum(axis=0)
    pattern = np.where(changes <= 2, bits.sum(axis=0), 9)
    return (np.bincount(pattern.ravel(), minlength=10) / pattern.size).astype(np.float32)


def _contrast(grey: NDArray[Any]) -> NDArray[np.float32]:
    """Mean absolute difference of pixels some way apart, along rows and columns."""
    found = [
        (np.abs(grey[lag:] - grey[:-lag]).mean() + np.abs(grey[:, lag:] - grey[:, :-lag]).mean())
        / 2
        for lag in LAGS
    ]
    return np.array(found, np.float32)
