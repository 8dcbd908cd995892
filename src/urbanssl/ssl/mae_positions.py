"""MAE's fixed two-dimensional sine-cosine position embedding."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from urbanssl.errors import TrainingError


def sincos_positions(width: int, grid: int, extra: int = 1) -> NDArray[np.float64]:
    """Return the position embedding of a square grid of patches, row by row.

    The first half of the channels encodes the column, the second half the row; within a half all
    sines come first, then all cosines, at frequencies 10000^(-i / (half / 2)).
    He et al. 2022, section 3 and appendix A.1.

    Args:
        width: number of channels, a multiple of 4.
        grid: patches along a side.
        extra: all-zero rows in front (class token).

    Returns:
        `(extra + grid * grid, width)` float64.

    Raises:
        TrainingError: the width is no multiple of 4.
    """
    if width % 4:
        raise TrainingError.at("width", f"{width} is no multiple of 4", "take a multiple of 4")
    rows, columns = np.divmod(np.arange(grid * grid), grid)
    halves = [_encode(columns, width // 2), _encode(rows, width // 2)]
    return np.concatenate([np.zeros((extra, width)), np.concatenate(halves, axis=1)])


def _encode(places: NDArray[np.int64], width: int) -> NDArray[np.float64]:
    frequencies = 10000.0 ** (-np.arange(width // 2) / (width / 2))
    angles = places[:, None] * frequencies
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)
