"""HSV and Lab of 8-bit images as computer vision scales them, compiled by numba."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from urbanssl.compiled import compiled_fast

Bytes = NDArray[np.uint8]

_RAMP = np.arange(256) / 255.0
#: Linear light of an 8-bit sRGB value (IEC 61966-2-1).
_LINEAR = np.where(_RAMP <= 0.04045, _RAMP / 12.92, ((_RAMP + 0.055) / 1.055) ** 2.4)
#: Rows X / Xn, Y, Z / Zn of linear red, green, blue for the white point D65.
_XYZ = np.array(
    [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]
) / np.array([[0.950456], [1.0], [1.088754]])
_CURVE_STEPS = 8192
_CURVE_X = np.arange(_CURVE_STEPS + 2) / _CURVE_STEPS
#: The cube-root curve of CIE Lab, tabulated: linear below 0.008856.
_CURVE = np.where(_CURVE_X > 0.008856, np.cbrt(_CURVE_X), 7.787 * _CURVE_X + 16 / 116)


@compiled_fast
def hsv_of(image: Bytes) -> Bytes:
    """Return hue / 2 (0 to 179), saturation and value (0 to 255) of `(H, W, 3)` blue-green-red."""
    height, width, _ = image.shape
    hsv = np.empty_like(image)
    for i in range(height):
        for j in range(width):
            # Signed: differences of numba's unsigned integers wrap around.
            b, g, r = np.int64(image[i, j, 0]), np.int64(image[i, j, 1]), np.int64(image[i, j, 2])
            top = max(b, g, r)
            spread = top - min(b, g, r)
            hue = 0.0
            if spread > 0:
                if top == r:
                    hue = 60.0 * (g - b) / spread
                elif top == g:
                    hue = 120.0 + 60.0 * (b - r) / spread
                else:
                    hue = 240.0 + 60.0 * (r - g) / spread
            if hue < 0:
                hue += 360.0
            hsv[i, j, 0] = int(hue / 2 + 0.5) % 180
            hsv[i, j, 1] = int(255.0 * spread / top + 0.5) if top > 0 else 0
            hsv[i, j, 2] = top
    return hsv


@compiled_fast
def lab_of(image: Bytes) -> Bytes:
    """Return CIE Lab of `(H, W, 3)` blue-green-red: L x 2.55, a + 128, b + 128, rounded."""
    height, width, _ = image.shape
    lab = np.empty_like(image)
    f = np.empty(3)
    for i in range(height):
        for j in range(width):
            red, green = _LINEAR[image[i, j, 2]], _LINEAR[image[i, j, 1]]
            blue = _LINEAR[image[i, j, 0]]
            for c in range(3):
                at = (_XYZ[c, 0] * red + _XYZ[c, 1] * green + _XYZ[c, 2] * blue) * _CURVE_STEPS
                low = min(int(at), _CURVE_STEPS)
                f[c] = _CURVE[low] + (at - low) * (_CURVE[low + 1] - _CURVE[low])
            values = (
                (116 * f[1] - 16) * 2.55,
                500 * (f[0] - f[1]) + 128,
                200 * (f[1] - f[2]) + 128,
            )
            for c in range(3):
                lab[i, j, c] = int(min(max(values[c] + 0.5, 0.0), 255.0))
    return lab


@compiled_fast
def resized(image: Bytes, height: int, width: int) -> Bytes:
    """Resize `(H, W, C)` bilinearly (pixel centres at half, no smoothing, edges repeated)."""
    rows, columns, channels = image.shape
    output = np.empty((height, width, channels), np.uint8)
    for i in range(height):
        y = min(max((i + 0.5) * rows / height - 0.5, 0.0), rows - 1.0)
        i0 = int(y)
        i1, fy = min(i0 + 1, rows - 1), y - i0
        for j in range(width):
            x = min(max((j + 0.5) * columns / width - 0.5, 0.0), columns - 1.0)
            j0 = int(x)
            j1, fx = min(j0 + 1, columns - 1), x - j0
            for c in range(channels):
                upper = image[i0, j0, c] * (1 - fx) + image[i0, j1, c] * fx
                lower = image[i1, j0, c] * (1 - fx) + image[i1, j1, c] * fx
                output[i, j, c] = int(upper * (1 - fy) + lower * fy + 0.5)
    return output
