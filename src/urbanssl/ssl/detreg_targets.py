"""From proposals to DETReg's detection targets: which boxes, and how a transform moves them.

Source: Bar et al. 2022, DETReg, section 3.1 and its code's data set (described in words in the
golden vectors' notes). Boxes are x1, y1, x2, y2 in pixels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.floating]


def first_proposals(proposals: Boxes, count: int) -> Boxes:
    """Return the first boxes in the order the search gave them, neither sorted nor filtered."""
    return proposals[:count]


def flip_boxes(boxes: Boxes, width: float) -> Boxes:
    """Return the boxes of an image mirrored left to right."""
    flipped = boxes[:, [2, 1, 0, 3]].copy()
    flipped[:, [0, 2]] = width - flipped[:, [0, 2]]
    return flipped


def crop_boxes(boxes: Boxes, region: tuple[int, int, int, int]) -> tuple[Boxes, NDArray[np.int64]]:
    """Return the boxes inside a region, in its pixels, and which of the boxes they are.

    Args:
        boxes: `(N, 4)`.
        region: top, left, height and width in pixels.

    Returns:
        Boxes clipped to the region, without those of no width or height, and their numbers.
    """
    top, left, height, width = region
    moved = boxes - np.asarray([left, top, left, top], dtype=boxes.dtype)
    limit = np.asarray([width, height, width, height], dtype=boxes.dtype)
    clipped = np.clip(moved, 0, limit)
    kept = np.flatnonzero((clipped[:, 2:] > clipped[:, :2]).all(1))
    return clipped[kept], kept


def resized_size(size: tuple[int, int], short: int, longest: int) -> tuple[int, int]:
    """Return the height and width of an image resized by its short side.

    Args:
        size: height and width.
        short: wanted length of the short side.
        longest: the long side must not exceed this; the short side shrinks where it would.
    """
    low, high = min(size), max(size)
    if high / low * short > longest:
        short = round(longest * low / high)
    if size[0] <= size[1]:
        return short, int(short * size[1] / size[0])
    return int(short * size[0] / size[1]), short


def resize_boxes(boxes: Boxes, before: tuple[int, int], after: tuple[int, int]) -> Boxes:
    """Return the boxes of an image resized from one (height, width) to another."""
    ratios = np.asarray([after[1] / before[1], after[0] / before[0]] * 2, dtype=boxes.dtype)
    return boxes * ratios


def box_areas(boxes: Boxes) -> NDArray[np.floating]:
    """Return width times height of every box."""
    areas: NDArray[np.floating] = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return areas


def normalise_boxes(boxes: Boxes, size: tuple[int, int]) -> Boxes:
    """Return boxes as centre and size, divided by the width and height of the image.

    Args:
        boxes: `(N, 4)`.
        size: height and width of the image.
    """
    scale = np.asarray([size[1], size[0]] * 2, dtype=boxes.dtype)
    centre, extent = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    return np.concatenate([centre, extent], axis=1) / scale
