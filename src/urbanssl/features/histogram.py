"""Colour histograms: what a tile's colours alone say."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: Steps of each channel in the joint histogram.
STEPS = 4


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
    count = len(tiles)
    step = (tiles >> 6).astype(np.int64)
    colour = (step[..., 0] * STEPS + step[..., 1]) * STEPS + step[..., 2]
    flat = colour.reshape(count, -1) + STEPS**3 * np.arange(count)[:, None]
    shares = np.bincount(flat.ravel(), minlength=count * STEPS**3).reshape(count, -1)
    pixels = tiles.reshape(count, -1, 3).astype(np.float32) / 255
    moments = [shares / pixels.shape[1], pixels.mean(axis=1), pixels.std(axis=1)]
    return np.hstack(moments).astype(np.float32)
