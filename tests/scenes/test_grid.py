"""Grids cover what they are laid on, and no more."""

import numpy as np
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st

from urbanssl.scenes import mercator
from urbanssl.scenes.grid import offsets, xyz_range
from urbanssl.scenes.place import Place


@given(st.integers(1, 3000), st.integers(16, 512), st.data())
def test_tiles_cover_every_pixel_and_stay_inside(length, size, data):
    overlap = data.draw(st.integers(0, size - 1))
    # Near-total overlap of a long side is thousands of tiles: legal, but slow to check.
    overlap = min(overlap, size - max(1, size // 16))
    starts = offsets(length, size, overlap)
    assert starts[0] == 0
    assert (np.diff(starts) > 0).all()
    assert (np.diff(starts) <= size - overlap).all()
    assert starts[-1] + size == max(length, size)


def test_last_tile_is_shifted_inwards():
    assert offsets(100, 40, 10).tolist() == [0, 30, 60]
    assert offsets(101, 40, 10).tolist() == [0, 30, 60, 61]
    assert offsets(40, 40, 10).tolist() == [0]
    assert offsets(7, 40, 10).tolist() == [0]


@given(st.floats(-179.9, 179.9), st.floats(-85, 85), st.integers(0, 22))
def test_point_lies_within_the_bounds_of_its_tile(lon, lat, zoom):
    x, y = mercator.tile_at(lon, lat, zoom)
    west, south, east, north = mercator.bounds(x, y, zoom)
    assert west - 1e-9 <= lon <= east + 1e-9
    assert south - 1e-9 <= lat <= north + 1e-9


def test_latitudes_of_the_poles_are_refused():
    with pytest.raises(ValueError, match="latitude"):
        mercator.tile_at(0, 90, 3)
    assert mercator.tile_at(0, -85.0511287798065, 19)[1] == 2**19 - 1


def test_image_that_is_one_xyz_tile_touches_that_tile_alone():
    left, bottom, right, top = mercator.xy_bounds(132289, 212354, 19)
    affine = Affine((right - left) / 256, 0, left, 0, (bottom - top) / 256, top)
    cells = xyz_range(Place("EPSG:3857", affine), 256, 256, 19)
    assert (cells.x, cells.y, cells.columns, cells.rows) == (132289, 212354, 1, 1)


def test_image_over_the_date_line_has_a_short_range():
    # 20 km either side of 180 degrees, in UTM zone 60.
    affine = Affine(100, 0, 690000, 0, -100, 5800000)
    cells = xyz_range(Place("EPSG:32660", affine), 400, 100, 10)
    assert cells.columns <= 4
    assert cells.x < 2**10 <= cells.x + cells.columns
