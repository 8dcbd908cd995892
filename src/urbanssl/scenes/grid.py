"""Where tiles lie: offsets of a pixel grid, extent of an XYZ grid."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from urbanssl.scenes import mercator
from urbanssl.scenes.place import Place, is_geographic, lonlat

#: An image reaches into an XYZ tile if it covers more than this share of the tile's side.
_SLIVER = 2e-4
#: Points along each side of an image whose outline is projected.
_OUTLINE = 33


def offsets(length: int, size: int, overlap: int) -> NDArray[np.int64]:
    """Return where tiles begin along one side.

    The last tile is shifted inwards so that the side is covered to its end; a side shorter than a
    tile has one, at 0.

    Args:
        length: pixels of the side.
        size: pixels of a tile.
        overlap: pixels shared by neighbours, below `size`.
    """
    if length <= size:
        return np.zeros(1, np.int64)
    regular = np.arange(0, length - size, size - overlap, dtype=np.int64)
    return np.append(regular, length - size)


@dataclass(frozen=True)
class XyzRange:
    """The XYZ tiles that an image touches.

    Attributes:
        zoom: zoom level.
        x, y: the north-west tile; `x + columns` may pass `2**zoom` where the image lies over the
            date line.
        columns, rows: how many tiles there are.
    """

    zoom: int
    x: int
    y: int
    columns: int
    rows: int

    def affine(self, size: int) -> Affine:
        """Return the affine from pixels of the range (tiles of `size`) to EPSG:3857 metres."""
        left, _, _, top = mercator.xy_bounds(self.x, self.y, self.zoom).tolist()
        step = mercator.resolution(self.zoom, size)
        return Affine(step, 0, left, 0, -step, top)


def xyz_range(place: Place, width: int, height: int, zoom: int) -> XyzRange:
    """Return the XYZ tiles that an image touches.

    Args:
        place: its place on Earth.
        width: its columns.
        height: its rows.
        zoom: zoom level.

    Raises:
        ValueError: no part of the outline lies within the web-mercator world.
    """
    side = np.linspace(0, 1, _OUTLINE)
    one, zero = np.ones_like(side), np.zeros_like(side)
    across = np.concatenate([side, one, side, zero]) * width
    down = np.concatenate([zero, side, one, side]) * height
    a = place.affine
    x, y = a.a * across + a.b * down + a.c, a.d * across + a.e * down + a.f
    if place.crs is None:
        raise ValueError("the image has no georeference")
    lon, lat = lonlat(place.crs, x, y)
    known = np.isfinite(lon) & np.isfinite(lat)
    if not known.any():
        raise ValueError("no part of the image lies within the web-mercator world")
    lon, lat = lon[known], lat[known]
    if np.ptp(lon) > 180 and not is_geographic(place.crs):
        lon = np.where(lon < 0, lon + 360, lon)
    count = 2.0**zoom
    columns = (lon / 360 + 0.5) * count
    _, north = mercator.project(0.0, np.clip(lat, -89.9, 89.9))
    rows = np.clip((0.5 - north / mercator.CIRCUMFERENCE) * count, 0, count)
    (left, right), (top, bottom) = _cells(columns), _cells(rows)
    return XyzRange(zoom, left, top, right - left, bottom - top)


def _cells(along: NDArray[np.float64]) -> tuple[int, int]:
    """Return first cell and end, at least one cell, slivers left out."""
    first = math.floor(float(along.min()) + _SLIVER)
    end = math.ceil(float(along.max()) - _SLIVER)
    return first, max(end, first + 1)
