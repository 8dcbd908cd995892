"""Boxes cut by a frame: what is left of them, and how much of them that is."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def clip_boxes(boxes: ArrayLike, width: float, height: float) -> tuple[Floats, Floats]:
    """Clip boxes to the frame 0, 0, width, height.

    Args:
        boxes: (N, 4) x1, y1, x2, y2.
        width: of the frame, in the boxes' unit.
        height: of the frame.

    Returns:
        The clipped boxes, (N, 4), and the visible share of each box's area, (N,), 0 to 1; boxes
        without area, and boxes outside (which become lines on the border), have share 0.
    """
    whole = np.asarray(boxes, np.float64).reshape(-1, 4)
    frame = np.array([width, height, width, height], np.float64)
    clipped = np.clip(whole, 0, frame)
    area, left = _area(whole), _area(clipped)
    share = np.divide(left, area, out=np.zeros_like(area), where=area > 0)
    return clipped, np.minimum(share, 1.0)


def _area(boxes: Floats) -> Floats:
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    product: Floats = sides[:, 0] * sides[:, 1]
    return product


def map_boxes(boxes: ArrayLike, affine: ArrayLike) -> Floats:
    """Return the upright boxes round boxes that an affine has moved.

    Args:
        boxes: (N, 4) x1, y1, x2, y2.
        affine: a, b, c, d, e, f with x' = a x + b y + c and y' = d x + e y + f.
    """
    whole = np.asarray(boxes, np.float64).reshape(-1, 4)
    a, b, c, d, e, f = np.asarray(affine, np.float64)
    x, y = whole[:, [0, 2, 0, 2]], whole[:, [1, 1, 3, 3]]
    u, v = a * x + b * y + c, d * x + e * y + f
    return np.stack([u.min(1), v.min(1), u.max(1), v.max(1)], axis=1)
