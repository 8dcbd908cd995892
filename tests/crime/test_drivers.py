"""Tiles that move the prediction of an area."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from shapely import box

from urbanssl.artifacts import write_json
from urbanssl.crime.drivers import MOST, find_drivers, surest_areas, tile_effects
from urbanssl.crime.study import object_features
from urbanssl.scenes.scene import Scene


def test_effects_of_means_are_what_a_linear_model_says():
    rows, weight = np.array([[1.0], [2.0], [6.0]]), np.array([1.0, 1.0, 2.0])
    effects = tile_effects(rows, weight, np.array([2.0]), ["mean"])
    assert effects == pytest.approx([2 * (3.75 - 14 / 3), 2 * (3.75 - 13 / 3), 2 * (3.75 - 1.5)])


def test_tile_with_what_the_model_counts_moves_its_area_up_and_others_down():
    rows = np.array([[0.0, 5.0], [400.0, 5.0], [0.0, 5.0]])
    slope = np.array([1.0, 3.0, 0.5, 0.0])
    effects = tile_effects(rows, np.ones(3), slope, ["mean", "std"], object_features)
    assert effects.argmax() == 1
    assert effects[1] > 0 > effects[0] == effects[2]


def made_up(regions):
    """Two areas a region, the second one with the surer prediction."""
    ids = [f"{region}{n}" for region in regions for n in range(2)]
    areas = gpd.GeoDataFrame(
        {"area_id": ids, "region": np.repeat(regions, 2)},
        geometry=[box(500000 + 200 * n, 0, 500200 + 200 * n, 100) for n in range(len(ids))],
        crs=32616,
    )
    rows = [
        {
            "area_id": area,
            "features": name,
            "scheme": scheme,
            "model": "logistic",
            "predicted": 0.5 + (0.01 + 0.4 * int(area[-1])) * (1 if name == "swav" else -1),
        }
        for area in ids
        for name in ("swav", "rcf")
        for scheme in ("region", "random")
    ]
    return areas, pd.DataFrame(rows)


def test_surest_area_of_every_region_is_taken_and_no_more_than_are_drawn():
    areas, predictions = made_up([f"r{n}" for n in range(MOST + 3)])
    found = surest_areas(predictions, areas, "swav")
    assert len(found) == MOST
    assert all(area.endswith("1") for area in found["area_id"])
    assert found["predicted"].tolist() == pytest.approx([0.91] * MOST)


@pytest.fixture
def run(tmp_path):
    """Find drivers of two regions whose areas have two tiles each."""
    areas, predictions = made_up(["east", "west"])
    areas.to_crs(4326).to_parquet(tmp_path / "areas.parquet")
    predictions.to_parquet(tmp_path / "predictions.parquet")
    array = tmp_path / "swav" / "s.npy"
    array.parent.mkdir()
    np.save(array, np.arange(16.0).reshape(8, 2))
    write_json(array.with_suffix(".json"), {"columns": ["swav0", "swav1"]})
    pd.DataFrame(
        {
            "tile_id": [f"s/i/{n}" for n in range(8)],
            "scene": "s",
            "affine": [[1.0, 0, 500000 + 100 * n, 0, -1.0, 100.0] for n in range(8)],
            "width": 100.0,
            "height": 100.0,
            "scale": 1.0,
            "crs": "EPSG:32616",
            "valid_share": 1.0,
            "georeferenced": True,
        }
    ).to_parquet(tmp_path / "tiles.parquet")

    def written(slopes):
        columns = ["features", "region", "column", "slope"]
        pd.DataFrame(slopes, columns=columns).to_parquet(tmp_path / "slopes.parquet")
        find_drivers(
            tmp_path / "slopes.parquet",
            tmp_path / "predictions.parquet",
            tmp_path / "areas.parquet",
            [array],
            [tmp_path / "tiles.parquet"],
            [Scene("s", (), frozenset({"study"}))],
            ["mean"],
            tmp_path / "drivers.parquet",
            {},
        )
        return pd.read_parquet(tmp_path / "drivers.parquet")

    return written


def test_each_area_is_explained_by_the_model_that_never_saw_its_region(run):
    found = run(
        [
            ("swav", "east", "swav1_mean", 0.0),
            ("swav", "east", "swav0_mean", 1.0),
            ("swav", "west", "swav0_mean", 0.0),
            ("swav", "west", "swav1_mean", -1.0),
        ]
    )
    own = found[found["share"] > 0.9]
    assert own["tile_id"].tolist() == ["s/i/2", "s/i/3", "s/i/6", "s/i/7"]
    assert own["shard_index"].tolist() == [2, 3, 6, 7]
    assert own["effect"].tolist() == pytest.approx([-1, 1, 1, -1], abs=0.1)


def test_nothing_is_written_where_nothing_was_judged(run):
    assert run([]).empty
    assert run([("coordinates", "east", "place_0", 1.0)]).empty
