"""What Selective Search looks at: a tile in two colour spaces, blurred, and its slopes.

Pictures are OpenCV's, so that boxes are those of its Selective Search. Source of the choices: the
`fast` mode of OpenCV contrib (see `urbanssl.ssl.selective_search`).
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]


def resized(tile: Bytes, size: int) -> Bytes:
    """Resize `(H, W, 3)` to `(size, size, 3)` bilinearly, without smoothing."""
    return np.asarray(cv2.resize(np.ascontiguousarray(tile), (size, size)), np.uint8)


def colours_of(image: Bytes) -> tuple[Bytes, Bytes]:
    """Return `(H, W, 3)` uint8 blue-green-red in HSV (hue / 2) and in CIE Lab (scaled to bytes)."""
    hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
    lab = cv2.cvtColor(image, cv2.COLOR_BGR2Lab)
    return np.asarray(hsv, np.uint8), np.asarray(lab, np.uint8)


def blurred(image: Bytes, sigma: float) -> Floats:
    """Return `(H, W, C)` float32, blurred by a Gaussian of `sigma` pixels."""
    return np.asarray(cv2.GaussianBlur(image.astype(np.float32), (0, 0), sigma), np.float32)


def slopes_of(image: Bytes) -> Bytes:
    """Return how steeply each channel rises and falls in four directions (section 3.2).

    Scharr derivatives along x and y, and along the diagonals: those of the image turned by 45
    degrees, turned back. What lies outside of the turned image is black, and its border a slope.

    Args:
        image: `(H, W, 3)` uint8.

    Returns:
        `(3, 4, 2, H, W)` uint8: positive and negative parts, each stretched from its least to its
        largest value over the image.
    """
    height, width, channels = image.shape
    half = (width + height) / math.sqrt(8)
    wide, high = (
        math.ceil(side / 2 + half) - math.floor(side / 2 - half) + 1 for side in (width, height)
    )
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), 45.0, 1.0)
    turn[:, 2] += ((wide - width) / 2, (high - height) / 2)
    back = cv2.getRotationMatrix2D((wide // 2, high // 2), -45.0, 1.0)
    x, y = (wide - width) // 2, (high - height) // 2
    # Four channels are moved faster than three, or than one three times.
    padded = cv2.cvtColor(image, cv2.COLOR_BGR2BGRA)
    turned = cv2.warpAffine(padded, turn, (wide, high))
    slopes = [cv2.Scharr(padded, cv2.CV_32F, *along) for along in ((1, 0), (0, 1))]
    for along in ((1, 0), (0, 1)):
        slope = cv2.Scharr(turned, cv2.CV_32F, *along)
        slopes.append(cv2.warpAffine(slope, back, (wide, y + height))[y:, x : x + width])
    parts = np.empty((channels, 4, 2, height, width), np.uint8)
    for d, slope in enumerate(slopes):
        for c in range(channels):
            channel = np.ascontiguousarray(slope[..., c])
            for sign, part in enumerate((np.maximum(channel, 0), np.minimum(channel, 0))):
                cv2.normalize(part, parts[c, d, sign], 0, 255, cv2.NORM_MINMAX, cv2.CV_8U)
    return parts
