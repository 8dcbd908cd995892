"""Spatial autocorrelation."""

import numpy as np
import pytest
from towns import smooth

from urbanssl.crime.moran import block_side, correlogram, moran_test, morans_i, neighbour_weights
from urbanssl.crime.permutation import shuffles
from urbanssl.crime.place import local_plane, positions


@pytest.fixture
def grid():
    east, north = np.divmod(np.arange(400), 20)
    return np.column_stack([east, north]) * 100.0


def test_smooth_field_is_autocorrelated_and_noise_is_not(grid):
    rng = np.random.default_rng(0)
    region = np.zeros(400)
    near, places = neighbour_weights(grid, region), shuffles(region, 199, rng)
    field = moran_test(smooth(20, rng, 2), near, places)
    noise = moran_test(rng.normal(size=400), near, places)
    assert field["i"] > 0.5
    assert field["p"] == pytest.approx(1 / 200)
    assert abs(noise["i"]) < 0.1


def test_checkerboard_of_four_neighbours_is_perfectly_negative(grid):
    east, north = (grid / 100).astype(int).T
    near = neighbour_weights(grid + 1e-7 * grid[:, ::-1], np.zeros(400), 4)
    inner = (east > 0) & (east < 19) & (north > 0) & (north < 19)
    board = ((east + north) % 2 * 2.0 - 1)[None]
    assert (near @ board[0])[inner] == pytest.approx(-board[0][inner])
    assert morans_i(board, near)[0] < -0.8


def test_block_grows_with_the_reach_of_the_field(grid):
    rng = np.random.default_rng(1)
    sides = [
        block_side(correlogram(smooth(20, rng, reach), grid, np.zeros(400), rng))
        for reach in (0.3, 3.0)
    ]
    assert sides[0] == pytest.approx(200)
    assert sides[1] >= 400


def test_neighbours_are_of_the_same_region(grid):
    region = np.arange(400) % 2
    near = neighbour_weights(grid, region).tocoo()
    assert (region[near.row] == region[near.col]).all()
    assert (near.row != near.col).all()


def test_positions_are_metres_apart():
    x, y = np.array([-90.0, -90.0, -89.99]), np.array([35.0, 35.01, 35.0])
    points = positions(x, y, lonlat=True)
    plane = local_plane(x, y, np.zeros(3), lonlat=True)
    for other, metres in ((1, 1111.95), (2, 910.86)):
        assert np.linalg.norm(points[other] - points[0]) == pytest.approx(metres, rel=1e-3)
        assert np.linalg.norm(plane[other] - plane[0]) == pytest.approx(metres, rel=1e-3)
