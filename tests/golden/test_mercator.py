"""Web-mercator tiles beside mercantile (`mercator_tiles.npz`)."""

import numpy as np
import pytest

from urbanssl.scenes import mercator


def stacked(pair):
    return np.stack(pair, axis=-1)


def test_points_fall_in_the_tiles_of_mercantile(golden):
    vectors = golden("mercator_tiles.npz")
    lon, lat, zoom = vectors["lon"], vectors["lat"], vectors["zoom"]
    x, y = mercator.tile_at(lon, lat, zoom)
    vectors.compare("tile", stacked((x, y)), vectors["tile_xy"])
    vectors.compare("bounds", mercator.bounds(x, y, zoom), vectors["bounds"], atol=1e-9)
    vectors.compare(
        "xy_bounds", mercator.xy_bounds(x, y, zoom), vectors["xy_bounds"], rtol=1e-12, atol=1e-5
    )
    vectors.compare("quadkey", mercator.quadkey(x, y, zoom), vectors["quadkey"])
    vectors.compare("ul", stacked(mercator.upper_left(x, y, zoom)), vectors["ul"], atol=1e-9)
    ours = stacked(mercator.project(lon, lat))
    vectors.compare("xy", ours, vectors["xy"], rtol=1e-12, atol=1e-5)


def test_given_tiles_have_the_bounds_of_mercantile(golden):
    vectors = golden("mercator_tiles.npz")
    x, y, zoom = vectors["tiles"].T
    vectors.compare("tiles_bounds", mercator.bounds(x, y, zoom), vectors["tiles_bounds"], atol=1e-9)
    vectors.compare(
        "tiles_xy_bounds",
        mercator.xy_bounds(x, y, zoom),
        vectors["tiles_xy_bounds"],
        rtol=1e-12,
        atol=1e-5,
    )
    vectors.compare("tiles_quadkey", mercator.quadkey(x, y, zoom), vectors["tiles_quadkey"])


def test_edges_of_the_world_are_clamped_and_poles_refused(golden):
    """Where mercantile leaves the grid (row 2**zoom) or folds latitudes back, ours is strict."""
    vectors = golden("mercator_tiles.npz")
    lon, lat, zoom = vectors["edge_lonlatzoom"].T
    reference = vectors["edge_tile"]
    real = np.abs(lat) < 90
    for point in np.flatnonzero(~real):
        with pytest.raises(ValueError, match="latitude"):
            mercator.tile_at(lon[point], lat[point], int(zoom[point]))
    assert not vectors["edge_error"][real].any(), "an ordinary latitude is refused by the reference"
    ours = stacked(mercator.tile_at(lon[real], lat[real], zoom[real]))
    last = 2 ** zoom[real].astype(np.int64)[:, None] - 1
    vectors.compare("edge_tile", ours, np.minimum(reference[real], last))
    # The reference's `truncate` limits points to the world first; we clamp columns in any case.
    limited = np.clip(lon[real], -180, 180)
    truncated = stacked(mercator.tile_at(limited, lat[real], zoom[real]))
    expected = np.minimum(vectors["edge_tile_truncate"][real], last)
    vectors.compare("edge_tile_truncate", truncated, expected)
