"""Colour histograms: what a tile's colours alone say."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: Steps of each channel in the joint histogram.
STEPS = 4
_VALUES = np.arange(256) / 255


def histogram_columns() -> list[str]:
    """Return the names of the columns of `colour_histogram`."""
    joint = [f"r{r}g{g}b{b}" for r in range(STEPS) for g in range(STEPS) for b in range(STEPS)]
    moments = [f"{what}_{channel}" for what in ("level", "contrast") for channel in "rgb"]
    return joint + moments


def colour_histogram(tiles: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return (B, 70) shares of 4 x 4 x 4 colours, then mean and spread of each channel (0 to 1).

    Args:
        tiles: (B, S, S, 3) uint8.
    """
    return np.stack([_of_tile(tile.reshape(-1, 3)) for tile in tiles]).astype(np.float32)


def _of_tile(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    red, green, blue = (pixels >> 6).T
    shares = np.bincount((red << 4) | (green << 2) | blue, minlength=STEPS**3) / len(pixels)
    levels = [np.bincount(channel, minlength=256) / len(pixels) for channel in pixels.T]
    mean = np.array([level @ _VALUES for level in levels])
    square = np.array([level @ _VALUES**2 for level in levels])
    return np.concatenate([shares, mean, np.sqrt(np.maximum(square - mean**2, 0))])
