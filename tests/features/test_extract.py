"""Features of tiles."""

import numpy as np
import pandas as pd
import pytest
import torch

from urbanssl.artifacts import read_json, write_json
from urbanssl.classes import CLASSES
from urbanssl.errors import SceneError, SettingsError
from urbanssl.features.calibrate import Calibration
from urbanssl.features.coordinates import coordinates
from urbanssl.features.extract import extract, in_batches
from urbanssl.features.histogram import colour_histogram, histogram_columns
from urbanssl.features.objects import object_density
from urbanssl.features.rcf import (
    convolved_features,
    draw_filters,
    whitened_filters,
    write_filters,
)
from urbanssl.features.texture import texture, texture_columns


@pytest.fixture
def scene(tmp_path):
    """A scene of 40 tiles of 64 pixels of 1 m."""
    rng = np.random.default_rng(0)
    np.save(tmp_path / "tiles.npy", rng.integers(0, 256, (40, 64, 64, 3), dtype=np.uint8))
    pd.DataFrame(
        {
            "tile_id": [f"s/i/0_{n}" for n in range(40)],
            "scene": "s",
            "affine": [[1.0, 0, 500000 + 64 * n, 0, -1, 3600000] for n in range(40)],
            "width": 64.0,
            "height": 64.0,
            "scale": 1.0,
            "crs": "EPSG:32616",
            "west": -87.0,
            "east": -86.9,
            "south": 32.0,
            "north": 32.1,
            "georeferenced": True,
        }
    ).to_parquet(tmp_path / "tiles.parquet")
    write_filters([tmp_path / "tiles.npy"], 8, 0, tmp_path / "filters.npy")
    return tmp_path


def run(scene, name, **given):
    extract(
        name,
        [scene / "tiles.npy"],
        [scene / "tiles.parquet"],
        [scene / "out.npy"],
        [scene / "out.json"],
        **{
            "weights": None,
            "recipe": None,
            "boxes": (),
            "calibration": None,
            "classes": CLASSES,
            "filters": scene / "filters.npy",
            "about": {"seed": 0},
            **given,
        },
    )
    return np.load(scene / "out.npy"), read_json(scene / "out.json")["columns"]


@pytest.mark.parametrize("name", ["histogram", "texture", "rcf", "coordinates"])
def test_every_set_gives_one_named_row_of_floats_a_tile(scene, name):
    values, columns = run(scene, name)
    assert values.shape == (40, len(columns))
    assert values.dtype == np.float32
    assert np.isfinite(values).all()
    assert len(set(columns)) == len(columns)


def test_batches_give_what_single_tiles_give(scene):
    tiles = np.load(scene / "tiles.npy")
    alone = np.concatenate([texture(tiles[n : n + 1]) for n in range(40)])
    assert in_batches(tiles, texture) == pytest.approx(alone)


def test_random_filters_depend_on_the_seed_and_on_nothing_else(scene):
    def features(seed):
        write_filters([scene / "tiles.npy"], 8, seed, scene / "filters.npy")
        return run(scene, "rcf")[0]

    first, again, other = features(1), features(1), features(2)
    assert np.array_equal(first, again)
    assert not np.allclose(first, other)


def test_random_filters_come_from_the_training_tiles_alone():
    rng = np.random.default_rng(0)
    training = rng.integers(0, 256, (6, 32, 32, 3), dtype=np.uint8)
    study = [rng.integers(0, 256, (6, 32, 32, 3), dtype=np.uint8) for _ in range(2)]
    filters = draw_filters([training], 4, 0)
    assert np.array_equal(filters, draw_filters([training.copy()], 4, 0))
    assert not np.array_equal(filters, draw_filters([study[0]], 4, 0))


def test_strips_give_the_mean_over_whole_maps():
    rng = np.random.default_rng(0)
    tiles = rng.integers(0, 256, (2, 200, 150, 3), dtype=np.uint8)
    filters = torch.from_numpy(draw_filters([tiles], 16, 0))
    images = torch.from_numpy(tiles.transpose(0, 3, 1, 2).copy()).float() / 255
    answer = torch.nn.functional.conv2d(images, filters)
    for bias in (0.0, 0.3):
        both = [torch.relu(sign * answer - bias).mean(dim=(2, 3)) for sign in (1, -1)]
        assert convolved_features(images, filters, bias).numpy() == pytest.approx(
            torch.cat(both, dim=1).numpy(), rel=1e-4
        )


def test_filters_of_tiles_without_any_texture_stay_finite():
    assert np.isfinite(whitened_filters(np.full((10, 3, 3, 3), 7, np.uint8))).all()


def test_no_training_tiles_are_an_error(scene):
    with pytest.raises(SceneError, match="no training tiles"):
        write_filters([], 8, 0, scene / "none.npy")


def test_histogram_tells_colours_apart():
    red, blue = np.zeros((2, 1, 8, 8, 3), np.uint8)
    red[..., 0], blue[..., 2] = 250, 250
    names = histogram_columns()
    assert colour_histogram(red)[0, names.index("r3g0b0")] == 1
    assert colour_histogram(blue)[0, names.index("r0g0b3")] == 1
    assert colour_histogram(red)[0, names.index("level_r")] == pytest.approx(250 / 255)


def test_texture_tells_stripes_by_direction_and_width():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, np.arange(64) // 4 % 2 == 0] = 200
    upright, lying = texture(np.stack([stripes, stripes.transpose(1, 0, 2)]))
    names = texture_columns()
    assert upright[names.index("direction0")] > 0.99
    assert lying[names.index("direction4")] > 0.99
    assert upright[names.index("contrast4")] > upright[names.index("contrast8")]


def test_objects_count_by_calibrated_chance_per_square_kilometre():
    boxes = pd.DataFrame(
        {
            "tile_id": ["a", "a", "b", "elsewhere"],
            "class_name": ["ship", "ship", "plane", "ship"],
            "score": [0.9, 0.1, 0.5, 1.0],
        }
    )
    where = (["a", "b"], np.array([0.5, 2.0]), ["plane", "ship"])
    density = object_density(boxes, *where, Calibration(1.0, {"plane": 0.0, "ship": 0.0}))
    assert density == pytest.approx(np.array([[0, 2.0], [0.25, 0]]))
    surer = object_density(boxes, *where, Calibration(1.0, {"plane": 0.0, "ship": 5.0}))
    assert surer[0, 1] > 3


def test_objects_of_a_scene_use_the_ground_of_its_tiles(scene):
    pd.DataFrame({"tile_id": ["s/i/0_3"], "class_name": ["ship"], "score": [1.0]}).to_parquet(
        scene / "boxes.parquet"
    )
    write_json(scene / "c.json", {"slope": 0.0, "offset": {"ship": 0.0}})
    given = {"boxes": [scene / "boxes.parquet"], "calibration": scene / "c.json"}
    values, columns = run(scene, "objects", **given)
    assert columns == list(CLASSES)
    assert values[3, columns.index("ship")] == pytest.approx(0.5 / 0.064**2, rel=0.01)
    assert values.sum() == values[3, columns.index("ship")]


def test_objects_need_a_georeference(scene):
    table = pd.read_parquet(scene / "tiles.parquet").assign(georeferenced=False)
    table.to_parquet(scene / "tiles.parquet")
    pd.DataFrame({"tile_id": [], "class_name": [], "score": []}).to_parquet(scene / "b.parquet")
    with pytest.raises(SceneError, match="without a georeference"):
        run(scene, "objects", boxes=[scene / "b.parquet"], calibration=scene / "c.json")


def test_tile_without_a_place_has_no_coordinates(scene):
    table = pd.read_parquet(scene / "tiles.parquet")
    table.loc[0, "georeferenced"] = False
    values = coordinates(table)
    assert np.isnan(values[0]).all()
    assert values[1] == pytest.approx([-86.95, 32.05])


def test_missing_files_of_a_set_are_named(scene):
    with pytest.raises(SettingsError, match="needs calibration"):
        run(scene, "objects")
    with pytest.raises(SettingsError, match="needs recipe"):
        run(scene, "swav")


def test_table_of_another_scene_is_refused(scene):
    pd.read_parquet(scene / "tiles.parquet")[:-1].to_parquet(scene / "tiles.parquet")
    with pytest.raises(SceneError, match="40 tiles, its table has 39"):
        run(scene, "histogram")


def test_scenes_that_share_a_job_get_the_features_of_each_alone(scene):
    second = scene / "second"
    second.mkdir()
    tiles = np.load(scene / "tiles.npy")
    np.save(second / "tiles.npy", tiles[::-1])
    pd.read_parquet(scene / "tiles.parquet").to_parquet(second / "tiles.parquet")
    alone, _ = run(scene, "rcf")
    extract(
        "rcf",
        [scene / "tiles.npy", second / "tiles.npy"],
        [scene / "tiles.parquet", second / "tiles.parquet"],
        [scene / "out.npy", second / "out.npy"],
        [scene / "out.json", second / "out.json"],
        weights=None,
        recipe=None,
        boxes=(),
        calibration=None,
        classes=CLASSES,
        filters=scene / "filters.npy",
        about={"seed": 0},
    )
    assert np.array_equal(np.load(scene / "out.npy"), alone)
    assert np.load(second / "out.npy") == pytest.approx(alone[::-1], rel=1e-4, abs=1e-5)
