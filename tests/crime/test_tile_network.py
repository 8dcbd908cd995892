"""The predecessor's baseline: a small network on raw tiles."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from shapely import box
from towns import run_judge

from urbanssl.artifacts import write_json
from urbanssl.crime.tile_network import area_chance, small_tiles, train_tile_network, trained
from urbanssl.errors import AreaError
from urbanssl.features.pool import Shares
from urbanssl.scenes.scene import Scene
from urbanssl.settings import CrimeSettings

SIDE, REGIONS = 4, 3


def bright(share, rng, count):
    """Tiles with more or fewer bright spots."""
    return np.where(rng.random((count, 3, 48, 48)) < share, 230, 60).astype(np.uint8)


def test_network_learns_what_is_seen_in_the_tiles_of_high_areas():
    rng = np.random.default_rng(0)
    high = np.arange(40) % 2 == 0
    tiles = np.concatenate([bright(0.5 if label else 0.2, rng, 2) for label in high])
    shares = Shares(np.repeat(np.arange(40), 2), np.arange(80), np.ones(80), np.ones(40))
    train = np.arange(40) < 30
    network = trained(tiles, shares, high, train, 30, 0)
    chance = area_chance(network, tiles, shares, ~train)
    assert chance[high[~train]].min() > chance[~high[~train]].max()


def test_tile_shared_with_a_held_out_area_is_not_learned_from():
    tiles = np.zeros((2, 3, 48, 48), np.uint8)
    shares = Shares(np.array([0, 1, 1]), np.array([0, 0, 1]), np.ones(3), np.ones(2))
    train, label = np.array([True, False]), np.array([True, False])
    plain = trained(tiles, shares, label, train, 3, 0)
    never = trained(tiles, shares, label, np.array([False, False]), 3, 0)
    for one, other in zip(plain.parameters(), never.parameters(), strict=True):
        assert (one == other).all()


def test_areas_weigh_their_tiles_by_the_share_in_them():
    tiles = np.concatenate([bright(0.1, np.random.default_rng(n), 1) for n in range(2)])
    area, tile, weight = np.array([0, 1, 2, 2]), np.array([0, 1, 0, 1]), np.array([1, 1, 3, 1.0])
    shares = Shares(area, tile, weight, np.ones(3))
    network = trained(tiles, shares, np.ones(3, bool), np.zeros(3, bool), 1, 0)
    one, two, both = area_chance(network, tiles, shares, np.ones(3, bool))
    assert both == pytest.approx((3 * one + two) / 4)


def test_small_tiles_keep_the_mean_of_what_they_cover():
    tiles = np.random.default_rng(0).integers(0, 256, (3, 96, 96, 3), dtype=np.uint8)
    small = small_tiles(tiles, batch=2)
    assert small.shape == (3, 3, 48, 48)
    assert small.mean(axis=(2, 3)) == pytest.approx(tiles.mean(axis=(1, 2)), abs=0.5)


def region_of(number, rng):
    """16 areas of one tile each: the areas and the rows of their tiles."""
    row, column = np.divmod(np.arange(SIDE**2), SIDE)
    corners = np.column_stack([500000 + 50000 * number + 100 * column, 3600000 - 100 * row])
    squares = gpd.GeoSeries([box(x, y - 100, x + 100, y) for x, y in corners], crs=32616)
    rate, middle = rng.lognormal(5, 1, SIDE**2), squares.centroid.to_crs(4326)
    areas = gpd.GeoDataFrame(
        {
            "area_id": [f"{number}{n:02d}" for n in range(SIDE**2)],
            "region": f"r{number}",
            "count": rate / 100,
            "population": 1000.0,
            "rate_shrunk": rate,
            "reported": True,
            "centre_x": middle.x,
            "centre_y": middle.y,
        },
        geometry=squares.to_crs(4326),
    )
    tiles = pd.DataFrame(
        {
            "tile_id": [f"s{number}/i/{n}" for n in range(SIDE**2)],
            "affine": [[100 / 48, 0, x, 0, -100 / 48, y] for x, y in corners],
            "width": 48.0,
            "height": 48.0,
            "scale": 1.0,
            "crs": "EPSG:32616",
            "valid_share": 1.0,
            "georeferenced": True,
        }
    )
    return areas, tiles


@pytest.fixture
def study(tmp_path):
    """Three regions whose brightness is no sign of crime, and the network's predictions."""
    rng = np.random.default_rng(3)
    areas, arrays, tables = [], [], []
    for number in range(REGIONS):
        ground, tiles = region_of(number, rng)
        areas.append(ground)
        arrays.append(tmp_path / f"{number}.npy")
        np.save(arrays[-1], bright(0.3, rng, SIDE**2).transpose(0, 2, 3, 1))
        tables.append(tmp_path / f"{number}.parquet")
        tiles.to_parquet(tables[-1])
    table = pd.concat(areas, ignore_index=True)
    table.to_parquet(tmp_path / "table.parquet")
    write_json(tmp_path / "table.json", {"crs": "EPSG:4326"})
    pooled = pd.DataFrame({"area_id": table["area_id"], "cover": 1.0, "tiles": 1, "covered": True})
    for n in range(3):
        pooled[f"f{n}_mean"] = rng.normal(size=len(table))
    features = tmp_path / "features_swav.parquet"
    pooled.to_parquet(features)
    paths = (tmp_path / "table.parquet", tmp_path / "table.json")
    train_tile_network(
        *paths,
        features,
        arrays,
        tables,
        [Scene(f"s{n}", (), frozenset({"study"})) for n in range(REGIONS)],
        CrimeSettings(network_steps=2),
        0,
        tmp_path / "network.parquet",
        {},
    )
    return (*paths, {"swav": features})


def test_network_stands_beside_the_features_on_the_same_folds(tmp_path, study):
    found, _ = run_judge(tmp_path, study, network=tmp_path / "network.parquet")
    rows = {r["scheme"]: r for r in found["scores"] if r["features"] == "raw tiles"}
    assert set(rows) == {"random", "region"}
    assert 0 <= rows["region"]["auc"] <= 1
    pairs = {(p["features"], p["scheme"]) for p in found["paired"] if p["baseline"] == "raw tiles"}
    assert pairs == {("swav", "random"), ("swav", "region")}
    assert "raw tiles" not in str(found["verdict"])


def test_network_of_other_folds_is_refused(tmp_path, study):
    rows = pd.read_parquet(tmp_path / "network.parquet")
    rows.assign(fold=(rows["fold"] + 1) % 3).to_parquet(tmp_path / "network.parquet")
    with pytest.raises(AreaError, match="other folds"):
        run_judge(tmp_path, study, network=tmp_path / "network.parquet")
