"""From the drawn ground to the picture: texture, shadow, palette, haze, blur, sensor noise.

The arithmetic on pixels is in integers or in OpenCV's 8-bit functions, so a seed gives the same
bytes whatever runs beside it.
"""

from __future__ import annotations

import cv2
import numpy as np
from numba import njit

from urbanssl.synthetic.look import Look

#: Brightness left in full shadow, of 256: the sky lights shadows blue.
_SHADOW_LEFT = np.array([88, 96, 118], dtype=np.int64)


@njit(cache=True, nogil=True)
def _surface(
    canvas: np.ndarray,
    shade: np.ndarray,
    grain: np.ndarray,
    patches: np.ndarray,
    left: np.ndarray,
    picture: np.ndarray,
) -> None:
    height, width = shade.shape
    for y in range(height):
        for x in range(width):
            rough = np.int64(canvas[y, x, 3])
            texture = (np.int64(grain[y, x]) - 128) * 2 + (np.int64(patches[y, x]) - 128) * 3
            shift = (texture * rough) >> 12
            dark = np.int64(shade[y, x])
            for band in range(3):
                value = np.int64(canvas[y, x, band]) + shift
                value = (value * (65280 - dark * (256 - left[band]))) // 65280
                picture[y, x, band] = min(255, max(0, value))


@njit(cache=True, nogil=True)
def _sensor(picture: np.ndarray, first: np.ndarray, second: np.ndarray, strength: int) -> None:
    height, width, bands = picture.shape
    for y in range(height):
        for x in range(width):
            for band in range(bands):
                wave = np.int64(first[y, x, band]) + np.int64(second[y, x, band]) - 255
                value = np.int64(picture[y, x, band]) + ((wave * strength + 32768) >> 16)
                picture[y, x, band] = min(255, max(0, value))


def develop(
    canvas: np.ndarray, shade: np.ndarray, look: Look, rng: np.random.Generator
) -> np.ndarray:
    """Take the picture of a drawn region.

    Args:
        canvas: `(H, W, 4)` uint8: red, green, blue and roughness of the ground.
        shade: `(H, W)` uint8: 0 in the sun, 255 in full shadow.
        look: the region's look.
        rng: source of texture and noise.

    Returns:
        `(H, W, 3)` uint8.
    """
    height, width = shade.shape
    picture = np.empty((height, width, 3), dtype=np.uint8)
    grain = rng.integers(0, 256, (height, width), dtype=np.uint8)
    _surface(canvas, shade, grain, _patches(height, width, rng), _SHADOW_LEFT, picture)
    picture = cv2.GaussianBlur(picture, (3, 3), look.blur)
    picture = cv2.LUT(picture, _tone_curve(look)[None])
    # The sum of two even bytes has a standard deviation of 104.5.
    strength = round(65536 * look.noise / 104.5)
    first = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    second = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    _sensor(picture, first, second, strength)
    return picture


def _patches(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Smooth noise of two sizes: tufts of about 2 m and patches of about 20 m."""
    total = np.zeros((height, width), dtype=np.uint8)
    for size, share in ((7, 0.6), (72, 0.4)):
        coarse = rng.integers(0, 256, (height // size + 3, width // size + 3), dtype=np.uint8)
        fine = cv2.resize(
            coarse, (coarse.shape[1] * size, coarse.shape[0] * size), interpolation=cv2.INTER_LINEAR
        )
        total = cv2.addWeighted(total, 1.0, fine[:height, :width], share, 0)
    return total


def _tone_curve(look: Look) -> np.ndarray:
    """Return `(256, 3)` uint8: what every value becomes by gain, offset, gamma and haze."""
    values = np.arange(256)[:, None] * np.array(look.gain) + np.array(look.offset)
    curved = 255 * (np.clip(values, 0, 255) / 255) ** look.gamma
    veiled = curved * (1 - look.haze) + np.array([196, 204, 214]) * look.haze
    return np.clip(np.rint(veiled), 0, 255).astype(np.uint8)
