"""From the drawn ground to the picture: texture, shadow, palette, haze, blur, sensor noise.

The arithmetic on pixels is in integers or in OpenCV's 8-bit functions, so a seed gives the same
bytes whatever runs beside it.
"""

from __future__ import annotations

import cv2
import numpy as np
from numba import njit

from urbanssl.synthetic.look import Look

#: Brightness taken by full shadow, of 256, per band: the sky lights shadows blue.
_TAKEN = (168, 160, 138)

_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_STEP = np.uint64(0x9E3779B97F4A7C15)


@njit(cache=True, nogil=True, inline="always")
def _random_bits(state: np.uint64) -> np.uint64:
    """Return 64 random bits of a counter: SplitMix64 (Steele, Lea and Flood, OOPSLA 2014)."""
    mixed = (state ^ (state >> np.uint64(30))) * _MIX_1
    mixed = (mixed ^ (mixed >> np.uint64(27))) * _MIX_2
    return mixed ^ (mixed >> np.uint64(31))


@njit(cache=True, nogil=True, inline="always")
def _byte(value: np.int32) -> np.uint8:
    return np.uint8(min(np.int32(255), max(np.int32(0), value)))


@njit(cache=True, nogil=True, inline="always")
def _lit(colour: np.uint32, shift: np.int32, dark: np.int32, taken: int) -> np.uint8:
    """Return the lowest byte of a colour with its texture, in the light that the shadow leaves."""
    value = np.int32(colour & np.uint32(255)) + shift
    return _byte((value * (np.int32(65536) - dark * np.int32(taken))) >> np.int32(16))


# Bands lie apart and loops run along a row without branches, so that they compile to vectors.
@njit(cache=True, nogil=True)
def _surface(
    ground: np.ndarray,
    shade: np.ndarray,
    patches: np.ndarray,
    key: np.uint64,
    picture: np.ndarray,
) -> None:
    """Paint the ground's texture and shadow; `ground` has colour and roughness in 32 bits."""
    height, width = shade.shape
    for y in range(height):
        start = key + np.uint64(y) * np.uint64(width) * _STEP
        colours, shades, tufts = ground[y], shade[y], patches[y]
        red, green, blue = picture[0, y], picture[1, y], picture[2, y]
        for x in range(width):
            bits = _random_bits(start + np.uint64(x + 1) * _STEP)
            grain = np.int32(bits & np.uint64(255)) - np.int32(128)
            texture = grain * np.int32(2) + (np.int32(tufts[x]) - np.int32(128)) * np.int32(3)
            colour = colours[x]
            shift = (texture * np.int32(colour >> np.uint32(24))) >> np.int32(12)
            dark = np.int32(shades[x])
            dark += dark >> np.int32(7)
            red[x] = _lit(colour, shift, dark, _TAKEN[0])
            green[x] = _lit(colour >> np.uint32(8), shift, dark, _TAKEN[1])
            blue[x] = _lit(colour >> np.uint32(16), shift, dark, _TAKEN[2])


@njit(cache=True, nogil=True)
def _sensor(picture: np.ndarray, tones: np.ndarray, key: np.uint64, strength: int) -> None:
    """Put the picture through the tone curve, add noise: the sum of two random bytes a band."""
    _, height, width = picture.shape
    level = np.int32(strength)
    bits = np.empty(width, np.uint64)
    toned = np.empty(width, np.uint8)
    for y in range(height):
        start = key + np.uint64(y) * np.uint64(width) * _STEP
        for x in range(width):
            bits[x] = _random_bits(start + np.uint64(x + 1) * _STEP)
        for band in range(3):
            row, curve, place = picture[band, y], tones[band], np.uint64(16 * band)
            for x in range(width):
                toned[x] = curve[row[x]]
            for x in range(width):
                first = np.int32((bits[x] >> place) & np.uint64(255))
                second = np.int32((bits[x] >> (place + np.uint64(8))) & np.uint64(255))
                wave = (first + second - np.int32(255)) * level
                row[x] = _byte(np.int32(toned[x]) + ((wave + np.int32(32768)) >> np.int32(16)))


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
        `(H, W, 3)` uint8, each band in one piece.
    """
    height, width = shade.shape
    keys = rng.integers(0, 2**63, 2, dtype=np.uint64)
    picture = np.empty((3, height, width), dtype=np.uint8)
    ground = canvas.view(np.uint32)[:, :, 0]
    _surface(ground, shade, _patches(height, width, rng), keys[0], picture)
    for band in picture:
        cv2.GaussianBlur(band, (3, 3), look.blur, dst=band)
    # The sum of two even bytes has a standard deviation of 104.5.
    _sensor(picture, _tone_curve(look), keys[1], round(65536 * look.noise / 104.5))
    return np.moveaxis(picture, 0, 2)


def _patches(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Return smooth noise of two sizes, uint8: tufts of about 2 m and patches of about 20 m."""
    half = (height // 2 + 1, width // 2 + 1)
    layers: list[np.ndarray] = []
    for size in (3, 36):
        coarse = rng.integers(0, 256, (half[0] // size + 3, half[1] // size + 3), dtype=np.uint8)
        shape = (coarse.shape[1] * size, coarse.shape[0] * size)
        fine = np.asarray(cv2.resize(coarse, shape, interpolation=cv2.INTER_LINEAR))
        layers.append(fine[: half[0], : half[1]])
    both = cv2.addWeighted(layers[0], 0.6, layers[1], 0.4, 0)
    double = cv2.resize(both, (2 * half[1], 2 * half[0]), interpolation=cv2.INTER_LINEAR)
    return np.asarray(double)[:height, :width]


def _tone_curve(look: Look) -> np.ndarray:
    """Return `(3, 256)` uint8: what every value becomes by gain, offset, gamma and haze."""
    values = np.arange(256) * np.array(look.gain)[:, None] + np.array(look.offset)[:, None]
    curved = 255 * (np.clip(values, 0, 255) / 255) ** look.gamma
    veiled = curved * (1 - look.haze) + np.array([[196], [204], [214]]) * look.haze
    return np.clip(np.rint(veiled), 0, 255).astype(np.uint8)
