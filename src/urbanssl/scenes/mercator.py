"""Web-mercator tile mathematics, vectorised.

The numbers are those of mercantile 1.2.1 (checked by `tests/golden/test_mercator.py`), except where
that is wrong: a latitude a hair inside the southern limit gives row `2**zoom - 1` here, never the
row below the world, and latitudes beyond +-90 are refused instead of folded back.

Tiles are counted from the north-west corner of the world: x to the east, y to the south.
Source: OGC 17-083r2 (WebMercatorQuad), annex D.1; EPSG Guidance Note 7-2, method 1024.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Radius of the sphere, metres (the semi-major axis of WGS 84).
RADIUS = 6378137.0

#: Circumference of that sphere, metres: the side of the projected world.
CIRCUMFERENCE = 2 * np.pi * RADIUS

#: Points this near to a tile's west or north border (share of the world) belong to the next tile.
_NUDGE = 1e-14


def tile_at(lon: ArrayLike, lat: ArrayLike, zoom: ArrayLike) -> tuple[Ints, Ints]:
    """Return the tile that a point lies in.

    Args:
        lon: degrees east; values beyond +-180 are put into the first or last column.
        lat: degrees north, within +-90; beyond +-85.0511 they are put into the first or last row.
        zoom: zoom level, at least 0.

    Returns:
        x and y, int64, each 0 to `2**zoom - 1`, of the arguments' broadcast shape.

    Raises:
        ValueError: a latitude is not strictly between -90 and 90.
    """
    lon, lat = np.asarray(lon, np.float64), np.asarray(lat, np.float64)
    if bad := lat[~(np.abs(lat) < 90)].ravel().tolist():
        raise ValueError(f"latitude {bad[0]} is not between -90 and 90: there is no such tile")
    sine = np.sin(np.radians(lat))
    across = lon / 360 + 0.5
    down = 0.5 - 0.25 * np.log((1 + sine) / (1 - sine)) / np.pi
    return _cell(across, zoom), _cell(down, zoom)


def _cell(share: Floats, zoom: ArrayLike) -> Ints:
    count = np.left_shift(np.int64(1), np.asarray(zoom, np.int64))
    cell = np.floor((share + _NUDGE) * count)
    return np.clip(cell, 0, count - 1).astype(np.int64)


def upper_left(x: ArrayLike, y: ArrayLike, zoom: ArrayLike) -> tuple[Floats, Floats]:
    """Return longitude and latitude (degrees) of a tile's north-west corner."""
    count = np.exp2(np.asarray(zoom, np.float64))
    lon = np.asarray(x, np.float64) / count * 360 - 180
    lat = np.degrees(np.arctan(np.sinh(np.pi * (1 - 2 * np.asarray(y, np.float64) / count))))
    return lon, lat


def bounds(x: ArrayLike, y: ArrayLike, zoom: ArrayLike) -> Floats:
    """Return west, south, east, north of tiles in degrees, shape (..., 4)."""
    x, y = np.asarray(x), np.asarray(y)
    west, north = upper_left(x, y, zoom)
    east, south = upper_left(x + 1, y + 1, zoom)
    return np.stack(np.broadcast_arrays(west, south, east, north), axis=-1)


def xy_bounds(x: ArrayLike, y: ArrayLike, zoom: ArrayLike) -> Floats:
    """Return left, bottom, right, top of tiles in EPSG:3857 metres, shape (..., 4)."""
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    side = CIRCUMFERENCE / np.exp2(np.asarray(zoom, np.float64))
    left, top = x * side - CIRCUMFERENCE / 2, CIRCUMFERENCE / 2 - y * side
    return np.stack(np.broadcast_arrays(left, top - side, left + side, top), axis=-1)


def project(lon: ArrayLike, lat: ArrayLike) -> tuple[Floats, Floats]:
    """Return EPSG:3857 x, y in metres; y is +-infinity at and beyond the poles."""
    lon, lat = np.asarray(lon, np.float64), np.asarray(lat, np.float64)
    x = RADIUS * np.radians(lon)
    inside = np.where(np.abs(lat) < 90, lat, 0.0)
    y = RADIUS * np.log(np.tan(np.pi / 4 + np.radians(inside) / 2))
    return x, np.where(np.abs(lat) < 90, y, np.copysign(np.inf, lat))


def quadkey(x: ArrayLike, y: ArrayLike, zoom: ArrayLike) -> NDArray[np.str_]:
    """Return Bing Maps quadkeys: one digit a level, x bit + 2 * y bit, the highest first."""
    cells = np.broadcast_arrays(np.asarray(x), np.asarray(y), np.asarray(zoom))
    keys = [
        "".join(str((i >> bit & 1) + 2 * (j >> bit & 1)) for bit in reversed(range(z)))
        for i, j, z in zip(*(cell.ravel().tolist() for cell in cells), strict=True)
    ]
    return np.array(keys, dtype=str).reshape(cells[0].shape)


def resolution(zoom: int, size: int) -> float:
    """Return the side of a pixel in EPSG:3857 metres for tiles of `size` pixels."""
    return float(CIRCUMFERENCE / 2**zoom / size)
