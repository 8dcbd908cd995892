"""Pooling tiles to areas."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from shapely import box

from urbanssl.artifacts import write_json
from urbanssl.errors import AreaError
from urbanssl.features.pool import Shares, pool, pool_areas, tile_shares, weighted_quantile
from urbanssl.scenes.scene import Scene
from urbanssl.settings import FeatureSettings


def tiles(offsets, size=100, crs="EPSG:32616", georeferenced=True):
    """Tiles of `size` pixels of 1 m whose corners are `offsets` east and south of a point."""
    return pd.DataFrame(
        {
            "tile_id": [f"s/i/{n}" for n in range(len(offsets))],
            "affine": [[1.0, 0, 500000 + x, 0, -1.0, 3600000 - y] for x, y in offsets],
            "width": size,
            "height": size,
            "scale": 1.0,
            "crs": crs,
            "valid_share": 1.0,
            "georeferenced": georeferenced,
        }
    )


def areas(boxes, ids=None):
    shapes = [box(500000 + w, 3600000 - s, 500000 + e, 3600000 - n) for w, n, e, s in boxes]
    ids = ids or [f"a{n}" for n in range(len(boxes))]
    return gpd.GeoDataFrame({"area_id": ids}, geometry=shapes, crs=32616).to_crs(4326)


def test_tile_across_a_border_is_shared_by_the_ground_in_each_area():
    found = tile_shares(
        tiles([(0, 0)]), areas([(0, 0, 25, 100), (25, 0, 100, 100)]), np.array([""])
    )
    share = dict(zip(found.area.tolist(), found.weight.tolist(), strict=True))
    assert share == {0: pytest.approx(0.25, abs=1e-3), 1: pytest.approx(0.75, abs=1e-3)}


def test_overlapping_tiles_do_not_count_coverage_twice():
    found = tile_shares(tiles([(0, 0), (50, 0)]), areas([(0, 0, 300, 100)]), np.array(["", ""]))
    assert found.cover[0] == pytest.approx(0.5, abs=1e-3)


def test_area_without_imagery_has_cover_zero_and_no_features():
    found = tile_shares(tiles([(0, 0)]), areas([(5000, 0, 5100, 100)]), np.array([""]))
    assert found.cover[0] == 0
    assert np.isnan(pool(np.ones((1, 2)), found, 1, ["mean"])["mean"]).all()


def test_shares_agree_between_tiles_in_utm_and_web_mercator():
    utm = tiles([(0, 0)])
    mercator = gpd.GeoSeries([box(500000, 3599900, 500100, 3600000)], crs=32616).to_crs(3857)
    west, south, east, north = mercator.total_bounds
    other = utm.assign(
        crs="EPSG:3857",
        affine=[[(east - west) / 100, 0, west, 0, (south - north) / 100, north]],
    )
    ground = areas([(0, 0, 40, 100)])
    one = tile_shares(utm, ground, np.array([""]))
    two = tile_shares(other, ground, np.array([""]))
    assert one.weight[0] == pytest.approx(two.weight[0], abs=5e-3)


def test_statistics_are_weighted_by_the_share():
    shares = Shares(np.array([0, 0]), np.array([0, 1]), np.array([3.0, 1.0]), np.ones(1))
    pooled = pool(np.array([[0.0], [4.0]]), shares, 1, ["mean", "std", "max"])
    assert pooled["mean"][0, 0] == pytest.approx(1.0)
    assert pooled["std"][0, 0] == pytest.approx(np.sqrt(3.0))
    assert pooled["max"][0, 0] == 4.0


def test_weighted_quantile_of_equal_weights_is_the_median():
    rows = np.arange(5.0)[:, None]
    assert weighted_quantile(rows, np.ones(5), 0.5)[0] == 2.0


def run(tmp_path, frame, scene, ground, width=2, **settings):
    np.save(tmp_path / "f.npy", np.ones((len(frame), 2), np.float32))
    write_json(tmp_path / "f.json", {"columns": [f"c{n}" for n in range(width)]})
    frame.to_parquet(tmp_path / "tiles.parquet")
    ground.to_parquet(tmp_path / "areas.parquet")
    pool_areas(
        [tmp_path / "f.npy"],
        [tmp_path / "f.json"],
        [tmp_path / "tiles.parquet"],
        tmp_path / "areas.parquet",
        [scene],
        FeatureSettings(**settings),
        tmp_path / "out.parquet",
        {},
    )
    return pd.read_parquet(tmp_path / "out.parquet")


def test_area_below_min_cover_is_flagged(tmp_path):
    scene = Scene("s", (), frozenset({"study"}))
    ground = areas([(0, 0, 100, 100), (100, 0, 600, 100)])
    out = run(tmp_path, tiles([(0, 0), (100, 0)]), scene, ground, min_cover=0.5)
    assert out["covered"].tolist() == [True, False]
    assert out["tiles"].tolist() == [1, 1]
    assert list(out.columns[4:]) == ["c0_mean", "c1_mean", "c0_std", "c1_std"]


def test_scene_that_names_its_area_gives_it_all_tiles_even_without_georeference(tmp_path):
    scene = Scene("s", (), frozenset({"study"}), area="a1")
    ground = areas([(0, 0, 100, 100), (5000, 0, 5100, 100)])
    out = run(tmp_path, tiles([(0, 0), (0, 0)], georeferenced=False), scene, ground)
    assert out["tiles"].tolist() == [0, 2]
    assert out["cover"].tolist() == [0.0, 1.0]


def test_columns_that_do_not_fit_the_array_are_refused(tmp_path):
    scene = Scene("s", (), frozenset({"study"}))
    with pytest.raises(AreaError, match="extract the features of this scene again"):
        run(tmp_path, tiles([(0, 0)]), scene, areas([(0, 0, 9, 9)]), width=3)


def test_quantiles_and_extremes_of_an_area_are_those_of_its_tiles():
    values = np.arange(101.0)[:, None]
    shares = Shares(np.zeros(101, int), np.arange(101), np.ones(101), np.ones(1))
    pooled = pool(values, shares, 1, ["min", "q10", "q90", "max"])
    found = [pooled[name][0, 0] for name in ("min", "q10", "q90", "max")]
    assert found == pytest.approx([0, 10, 90, 100], abs=0.5)


def test_quantiles_weigh_tiles_by_their_share():
    rows, weight = np.array([[0.0], [1.0]]), np.array([9.0, 1.0])
    assert weighted_quantile(rows, weight, 0.4)[0] == 0
    assert weighted_quantile(rows, weight, 0.96)[0] == 1
