"""Where an image lies on Earth: its CRS and affine, pixel size in metres, bounds in lon/lat."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from affine import Affine
from numpy.typing import ArrayLike, NDArray
from pyproj import CRS, Geod, Transformer
from rasterio.io import DatasetReader
from rasterio.transform import from_gcps

Floats = NDArray[np.float64]

_EARTH = Geod(ellps="WGS84")


@dataclass(frozen=True)
class Place:
    """Where an image lies.

    Attributes:
        crs: `EPSG:...` or WKT; None for an image without a georeference.
        affine: from pixels (x right, y down, 0 at the image's corner) to the CRS; the identity for
            an image without a georeference.
        note: what was assumed, empty where nothing was.
    """

    crs: str | None
    affine: Affine
    note: str = ""

    @property
    def georeferenced(self) -> bool:
        """Whether pixels have a place on Earth."""
        return self.crs is not None


def place_of(dataset: DatasetReader) -> Place:
    """Return the place of an open raster, from its affine or else its ground control points.

    A CRS without a position, a position without a CRS, and a CRS of a drawing board (engineering)
    are no georeference; the note says so.
    """
    affine, crs = dataset.transform, dataset.crs
    points, points_crs = dataset.gcps
    if affine == Affine.identity() and len(points) >= 3 and points_crs:
        affine, crs = from_gcps(points), points_crs
        seen = np.array([affine @ (p.col, p.row) for p in points])
        miss = np.hypot(*(seen - [(p.x, p.y) for p in points]).T)
        cell = math.sqrt(abs(affine.determinant))
        residual = float(np.sqrt((miss**2).mean())) / cell if cell else math.inf
        note = f"placed by {len(points)} ground control points, {residual:.1f} pixels off (rms)"
        return Place(_crs_text(crs), affine, note)
    if crs and affine == Affine.identity():
        return Place(None, Affine.identity(), "a CRS but no position: taken as not georeferenced")
    if not crs and affine != Affine.identity():
        return Place(None, Affine.identity(), "a position but no CRS: taken as not georeferenced")
    if crs and not (crs.is_geographic or crs.is_projected):
        return Place(None, Affine.identity(), "its CRS is not of the Earth: not georeferenced")
    return Place(_crs_text(crs) if crs else None, affine)


def _crs_text(crs: object) -> str:
    text: str = crs.to_string()  # type: ignore[attr-defined]
    return text


@lru_cache(maxsize=64)
def transformer(source: str, target: str = "EPSG:4326") -> Transformer:
    """Return a transformer between two CRS; x is east and y is north whatever the CRS says."""
    return Transformer.from_crs(source, target, always_xy=True)


@lru_cache(maxsize=64)
def is_geographic(crs: str) -> bool:
    """Whether coordinates are degrees."""
    return bool(CRS.from_user_input(crs).is_geographic)


def lonlat(crs: str, x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
    """Return longitude and latitude (WGS 84 degrees); infinite where there is no such place."""
    lon, lat = transformer(crs).transform(np.asarray(x, float), np.asarray(y, float))
    return np.asarray(lon), np.asarray(lat)


def ground_distance(place: Place, width: int, height: int) -> tuple[float, float]:
    """Return metres on the ground of one pixel step to the right and down, at the image's centre.

    Geodesic on WGS 84, so that it holds for degrees and for web mercator alike. NaN where the
    image has no place on Earth.
    """
    if place.crs is None:
        return math.nan, math.nan
    column, row = width / 2, height / 2
    corners = [(column, row), (column + 1, row), (column, row + 1)]
    x, y = zip(*(place.affine @ corner for corner in corners), strict=True)
    lon, lat = lonlat(place.crs, x, y)
    if not (np.isfinite(lon).all() and np.isfinite(lat).all()):
        return math.nan, math.nan
    _, _, across = _EARTH.inv(lon[0], lat[0], lon[1], lat[1])
    _, _, down = _EARTH.inv(lon[0], lat[0], lon[2], lat[2])
    return float(across), float(down)


def corner_points(x: ArrayLike, y: ArrayLike, width: ArrayLike, height: ArrayLike) -> Floats:
    """Return eight points round each pixel window (corners and mid-sides), shape (N, 8, 2)."""
    x, y, width, height = (np.asarray(v, float)[:, None] for v in (x, y, width, height))
    across = np.array([0, 0.5, 1, 1, 1, 0.5, 0, 0])
    down = np.array([0, 0, 0, 0.5, 1, 1, 1, 0.5])
    return np.stack([x + across * width, y + down * height], axis=-1)


def lonlat_bounds(place: Place, points: Floats) -> Floats:
    """Return west, south, east, north (degrees) of windows, shape (N, 4).

    A window over the date line has west > east (RFC 7946, section 5.2). NaN without a georeference.

    Args:
        place: the place of the image.
        points: points round each window in image pixels, (N, K, 2).
    """
    if place.crs is None:
        return np.full((len(points), 4), np.nan)
    a = place.affine
    x = a.a * points[..., 0] + a.b * points[..., 1] + a.c
    y = a.d * points[..., 0] + a.e * points[..., 1] + a.f
    lon, lat = lonlat(place.crs, x, y)
    lat = np.clip(lat, -90, 90)
    if not is_geographic(place.crs):
        # A projected image is never half the world wide: a jump of longitude is the date line.
        over = np.ptp(lon, axis=1) > 180
        lon = np.where(over[:, None] & (lon < 0), lon + 360, lon)
    west, east = lon.min(axis=1), lon.max(axis=1)
    whole = east - west >= 360
    west, east = (
        np.where(whole, edge, _wrapped(side)) for edge, side in ((-180, west), (180, east))
    )
    west = np.where((west == 180) & ~whole, -180, west)
    return np.stack([west, lat.min(axis=1), east, lat.max(axis=1)], axis=1)


def _wrapped(lon: Floats) -> Floats:
    """Return longitudes within -180 to 180; 180 stays 180."""
    return np.where(np.abs(lon) <= 180, lon, (lon + 180) % 360 - 180)
