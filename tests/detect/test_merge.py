"""Merging: one object, one box, in its place."""

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest

from urbanssl.artifacts import table_about
from urbanssl.detect.fuse import cut_sides, fuse
from urbanssl.detect.merge import merge_scene
from urbanssl.errors import SceneError
from urbanssl.settings import PredictSettings

SIZE = 100


def grid(width, height, overlap):
    """Windows of tiles of 100 px over an image."""
    step = SIZE - overlap
    xs = [*range(0, max(width - SIZE, 1), step), max(width - SIZE, 0)]
    ys = [*range(0, max(height - SIZE, 1), step), max(height - SIZE, 0)]
    xs, ys = dict.fromkeys(xs), dict.fromkeys(ys)
    return np.array([(x, y, x + SIZE, y + SIZE) for y in ys for x in xs], float)


def seen(objects, windows, least=1):
    """Boxes, scores, labels and tiles that a perfect detector finds, each cut by its tile."""
    rows = []
    for t, window in enumerate(windows):
        for n, (x1, y1, x2, y2, label) in enumerate(objects):
            box = np.clip([x1, y1, x2, y2], np.tile(window[:2], 2), np.tile(window[2:], 2))
            if min(box[2] - box[0], box[3] - box[1]) >= least:
                rows.append((*box, 0.5 + 0.01 * (n + t), label, t))
    table = np.array(rows)
    return table[:, :4], table[:, 4], table[:, 5].astype(int), table[:, 6].astype(int)


def fused(objects, width, height, overlap):
    windows = grid(width, height, overlap)
    return fuse(*seen(objects, windows), windows, (width, height), 0.5)


@pytest.mark.parametrize("overlap", [0, 20, 48])
def test_every_object_comes_back_as_one_box(overlap):
    rng = np.random.default_rng(0)
    objects = []
    for row in range(12):
        for column in range(12):
            x, y = 40 * column + rng.integers(0, 12), 40 * row + rng.integers(0, 12)
            objects.append((x, y, x + rng.integers(9, 21), y + rng.integers(9, 21), row % 3))
    result = fused(objects, 480, 480, overlap)
    assert len(result.boxes) == len(objects)
    order = np.lexsort(result.boxes.T[::-1])
    expected = np.array(sorted(o[:4] for o in objects), float)
    np.testing.assert_allclose(result.boxes[order], expected)


@pytest.mark.parametrize("overlap", [0, 20, 48])
def test_an_object_larger_than_a_tile_is_joined_from_its_parts(overlap):
    objects = [(30, 40, 420, 330, 2), (440, 440, 460, 460, 2)]
    result = fused(objects, 480, 480, overlap)
    assert sorted(map(tuple, result.boxes)) == [(30, 40, 420, 330), (440, 440, 460, 460)]


def test_cut_boxes_that_end_short_of_the_border_are_joined_too():
    windows = grid(180, 100, 20)
    boxes = np.array([[40, 20, 98.5, 60], [81, 21, 140, 59]], float)
    result = fuse(
        boxes, np.array([0.9, 0.8]), np.zeros(2, int), np.arange(2), windows, (180, 100), 0.5
    )
    assert result.boxes.tolist() == [[40, 20, 140, 60]]
    assert result.scores.tolist() == [0.9]


def test_the_complete_box_wins_over_a_cut_one_with_a_higher_score():
    windows = grid(180, 100, 20)
    boxes = np.array([[85, 20, 100, 40], [85, 20, 112, 40]], float)
    result = fuse(
        boxes, np.array([0.9, 0.3]), np.zeros(2, int), np.arange(2), windows, (180, 100), 0.5
    )
    assert result.boxes.tolist() == [[85, 20, 112, 40]]
    assert result.scores.tolist() == [0.9]


def test_neighbouring_objects_and_other_classes_are_left_apart():
    objects = [(90, 10, 110, 30, 0), (90, 32, 110, 52, 0), (90, 10, 110, 30, 1)]
    assert len(fused(objects, 180, 100, 20).boxes) == 3


def test_duplicates_within_a_tile_go():
    windows = grid(100, 100, 20)
    boxes = np.array([[10, 10, 30, 30], [11, 10, 31, 30], [60, 60, 80, 80]], float)
    result = fuse(
        boxes,
        np.array([0.2, 0.6, 0.4]),
        np.zeros(3, int),
        np.zeros(3, int),
        windows,
        (100, 100),
        0.5,
    )
    assert result.scores.tolist() == [0.6, 0.4]
    assert result.members.tolist() == [-1, 0, 1]


def test_weighted_fusion_takes_the_mean_of_what_the_tiles_found():
    windows = grid(180, 100, 60)
    boxes = np.array([[50, 20, 90, 60], [54, 20, 94, 60], [62, 70, 68, 80]], float)
    scores, tiles = np.array([0.9, 0.3, 0.8]), np.array([0, 1, 1])
    result = fuse(boxes, scores, np.zeros(3, int), tiles, windows, (180, 100), 0.5, weighted=True)
    # Tiles 0 and 1 both show the first object; the second lies in both, and tile 0 missed it.
    np.testing.assert_allclose(result.boxes, [[51, 20, 91, 60], [62, 70, 68, 80]])
    np.testing.assert_allclose(result.scores, [0.6, 0.4])
    assert result.members.tolist() == [0, 0, 1]


def test_weighted_fusion_of_nothing_is_nothing():
    empty = np.empty(0, int)
    result = fuse(
        np.empty((0, 4)), np.empty(0), empty, empty, grid(180, 100, 20), (180, 100), 0.5, True
    )
    assert len(result.boxes) == len(result.scores) == 0


def test_the_border_of_the_image_cuts_nothing():
    box = np.array([[0, 30, 20, 60]], float)
    inner = np.array([[0, 0, 100, 100]], float)
    assert not cut_sides(box, inner, (180, 100)).any()
    assert cut_sides(np.array([[80, 30, 100, 60]], float), inner, (180, 100)).tolist() == [
        [0, 0, 1, 0]
    ]


def write_inputs(folder, crs, affines, objects):
    """A scene of one image a CRS, 180 x 100 px, tiles of 100 px resampled to 200."""
    tiles, boxes, catalogue = [], [], []
    windows = grid(180, 100, 20)
    for n, (epsg, affine) in enumerate(zip(crs, affines, strict=True)):
        image = f"im{n}"
        catalogue.append(
            {
                "scene": "s",
                "image": image,
                "width": 180,
                "height": 100,
                "crs": epsg,
                "affine": affine,
                "gsd_x": 0.5,
                "gsd_y": 0.5,
                "georeferenced": epsg is not None,
            }
        )
        ids = [f"s/{image}/0_{t}" for t in range(len(windows))]
        tiles += [
            {
                "tile_id": i,
                "scene": "s",
                "image": image,
                "x_off": w[0],
                "y_off": w[1],
                "width": 100.0,
                "height": 100.0,
                "to_image": [0.5, 0.0, w[0], 0.0, 0.5, w[1]],
            }
            for i, w in zip(ids, windows, strict=True)
        ]
        for box, score, _, t in zip(*seen(objects, windows), strict=True):
            local = (box - np.tile(windows[t][:2], 2)) * 2
            boxes.append((ids[t], "ship", score, *local))
    pd.DataFrame(catalogue).to_parquet(folder / "catalogue.parquet")
    pd.DataFrame(tiles).to_parquet(folder / "tiles.parquet")
    columns = ["tile_id", "class_name", "score", "x1", "y1", "x2", "y2"]
    pd.DataFrame(boxes, columns=columns).to_parquet(folder / "boxes.parquet")


def merged(folder, crs, affines, objects=((70, 20, 130, 60, 6),)):
    write_inputs(folder, crs, affines, objects)
    merge_scene(
        folder / "boxes.parquet",
        folder / "tiles.parquet",
        folder / "catalogue.parquet",
        "arm",
        PredictSettings(),
        folder / "s.parquet",
        folder / "s.gpkg",
        {"seed": 1},
    )
    return gpd.read_parquet(folder / "s.parquet"), gpd.read_file(folder / "s.gpkg", layer="boxes")


UTM = [0.5, 0.0, 500000.0, 0.0, -0.5, 4100000.0]


def test_boxes_lie_at_their_place_in_the_image_crs(tmp_path):
    boxes, package = merged(tmp_path, ["EPSG:32610"], [UTM])
    assert boxes[["x1", "y1", "x2", "y2"]].to_numpy().tolist() == [[70, 20, 130, 60]]
    assert boxes.total_bounds.tolist() == [500035, 4099970, 500065, 4099990]
    assert boxes.area_m2.tolist() == [60 * 40 * 0.25] == boxes.geometry.area.tolist()
    assert boxes.crs == package.crs == "EPSG:32610"
    assert package.total_bounds.tolist() == boxes.total_bounds.tolist()
    assert boxes[["scene", "image", "arm", "class_name"]].iloc[0].tolist() == [
        "s",
        "im0",
        "arm",
        "ship",
    ]
    about = table_about(tmp_path / "s.parquet")
    assert about["images"]["im0"] == {"width": 180, "height": 100, "gsd_x": 0.5, "gsd_y": 0.5}
    assert about["seed"] == 1
    assert about["scene"] == "s"
    assert boxes.tiles.tolist() == ["s/im0/0_0;s/im0/0_1"]


def test_images_of_several_crs_are_written_in_longitude_and_latitude(tmp_path):
    boxes, package = merged(tmp_path, ["EPSG:32610", "EPSG:32611"], [UTM, UTM])
    assert boxes.crs == package.crs == "EPSG:4326"
    assert boxes.geometry.bounds.minx.round(2).tolist() == [-123.0, -117.0]


def test_without_georeference_boxes_are_in_pixels_and_have_no_crs(tmp_path):
    boxes, package = merged(tmp_path, [None], [[1.0, 0, 0, 0, 1, 0]])
    assert boxes.geometry.isna().all()
    assert package.crs is None
    assert package.total_bounds.tolist() == [70, -60, 130, -20]


def test_an_image_without_georeference_among_others_has_boxes_without_geometry(tmp_path):
    boxes, package = merged(tmp_path, ["EPSG:32610", None], [UTM, [1.0, 0, 0, 0, 1, 0]])
    assert boxes.geometry.isna().tolist() == [False, True]
    assert boxes.crs == package.crs == "EPSG:32610"
    assert len(package) == 2


def test_a_scene_without_boxes_gives_empty_files(tmp_path):
    write_inputs(tmp_path, ["EPSG:32610"], [UTM], ((70, 20, 130, 60, 6),))
    empty = pd.read_parquet(tmp_path / "boxes.parquet").iloc[:0]
    empty.to_parquet(tmp_path / "boxes.parquet")
    merge_scene(
        tmp_path / "boxes.parquet",
        tmp_path / "tiles.parquet",
        tmp_path / "catalogue.parquet",
        "arm",
        PredictSettings(),
        tmp_path / "s.parquet",
        tmp_path / "s.gpkg",
        {},
    )
    assert len(gpd.read_parquet(tmp_path / "s.parquet")) == 0
    assert gpd.read_file(tmp_path / "s.gpkg").crs == "EPSG:32610"


def test_boxes_of_unknown_tiles_are_refused(tmp_path):
    write_inputs(tmp_path, ["EPSG:32610"], [UTM], ((70, 20, 130, 60, 6),))
    tiles = pd.read_parquet(tmp_path / "tiles.parquet")
    tiles.iloc[:1].to_parquet(tmp_path / "tiles.parquet")
    with pytest.raises(SceneError, match="s/im0/0_1"):
        merge_scene(
            tmp_path / "boxes.parquet",
            tmp_path / "tiles.parquet",
            tmp_path / "catalogue.parquet",
            "arm",
            PredictSettings(),
            tmp_path / "s.parquet",
            tmp_path / "s.gpkg",
            {},
        )
