"""Proposals: the set is fixed, the order is drawn, the file can be read back."""

import numpy as np
import pandas as pd
import pytest

from urbanssl.artifacts import table_about
from urbanssl.errors import LabelError, SceneError
from urbanssl.settings_training import ProposalSettings
from urbanssl.ssl.box_order import draw_order
from urbanssl.ssl.felzenszwalb import edges_of, join_pixels, segment, sort_positive
from urbanssl.ssl.proposals import propose_boxes
from urbanssl.ssl.search_views import slopes_of
from urbanssl.ssl.selective_search import Regions, outlines, ranked_order, search


@pytest.fixture(scope="module")
def tile():
    """Two rectangles and a bar on noise."""
    rng = np.random.default_rng(0)
    picture = np.full((96, 96, 3), (90, 110, 80), np.uint8)
    picture[10:40, 12:50] = (200, 60, 50)
    picture[55:85, 30:60] = (40, 60, 190)
    picture[20:90, 75:85] = (230, 230, 220)
    return np.clip(picture + rng.normal(0, 3, picture.shape), 0, 255).astype(np.uint8)


def iou(box, boxes):
    low = np.maximum(box[:2], boxes[:, :2])
    high = np.minimum(box[2:], boxes[:, 2:])
    inter = np.clip(high - low, 0, None).prod(1)
    return inter / ((box[2:] - box[:2]).prod() + (boxes[:, 2:] - boxes[:, :2]).prod(1) - inter)


@pytest.fixture
def shard(tile, tmp_path):
    np.save(tmp_path / "tiles.npy", np.stack([tile, tile[::-1], tile[:, ::-1]]))
    names = [f"s/i/0_{n}" for n in range(3)]
    pd.DataFrame({"tile_id": names}).to_parquet(tmp_path / "tiles.parquet")
    return tmp_path / "tiles.npy", tmp_path / "tiles.parquet"


def proposed(shard, output, seed=0, threads=1, **settings):
    propose_boxes(*shard, ProposalSettings(**settings), seed, output, {"seed": seed}, threads)
    return pd.read_parquet(output)


def test_shapes_drawn_are_found_in_tile_pixels(tile):
    boxes = search(tile).boxes
    for box in ((12, 10, 50, 40), (30, 55, 60, 85), (75, 20, 85, 90)):
        assert iou(np.array(box, float), boxes).max() > 0.8


def test_boxes_are_unique_inside_the_tile_and_the_whole_tile_is_one(tile):
    regions = search(tile, 64)
    boxes = regions.boxes
    assert len(np.unique(boxes, axis=0)) == len(boxes) == len(regions.highest)
    assert boxes.min() == 0
    assert boxes.max() == 96
    assert (boxes[:, 2:] > boxes[:, :2]).all()
    assert (iou(np.array([0.0, 0, 96, 96]), boxes) == 1).any()
    assert regions.levels.min() == 1


def test_a_tile_of_one_colour_has_one_box():
    regions = search(np.full((64, 64, 3), 77, np.uint8))
    assert regions.boxes.tolist() == [[0, 0, 64, 64]]


def test_the_order_leans_to_low_levels():
    levels = np.repeat([1.0, 10.0], 50)
    rng = np.random.default_rng(1)
    first = np.stack([draw_order(levels, rng)[:30] for _ in range(200)])
    assert (first < 50).mean() > 0.8
    assert (first >= 50).any()


def test_a_box_comes_as_early_as_the_earliest_of_its_regions():
    """Two regions of level 4 and one of level 1: P(a before b) is known."""
    rng = np.random.default_rng(2)
    levels, starts = np.array([4.0, 4.0, 1.0]), np.array([0, 2])
    first = [draw_order(levels, rng, starts)[0] for _ in range(20000)]
    # P(min(4u, 4v) < w) = integral over w of 1 - (1 - w / 4)^2 = 1 / 4 - 1 / 48
    assert np.mean(np.array(first) == 0) == pytest.approx(1 / 4 - 1 / 48, abs=0.01)


def test_ranked_order_puts_high_levels_first():
    boxes = np.array([[0, 0, 1, 1], [0, 0, 2, 2], [0, 0, 9, 9], [0, 0, 3, 3]], np.float32)
    levels, starts = np.array([1, 1, 3, 2, 3], np.float32), np.array([0, 1, 3, 4])
    assert ranked_order(Regions(boxes, levels, starts)).tolist() == [3, 1, 2, 0]


def test_file_holds_every_tile_with_ranks_from_zero(shard, tmp_path):
    boxes = proposed(shard, tmp_path / "p.parquet")
    assert boxes.columns.tolist() == [
        "tile_id",
        "rank",
        "level",
        *["x1", "y1", "x2", "y2"],
        "levels",
    ]
    for _, rows in boxes.groupby("tile_id", observed=True):
        assert rows["rank"].tolist() == list(range(len(rows)))
        assert [max(each) for each in rows["levels"]] == rows["level"].tolist()
    assert boxes.tile_id.unique().tolist() == ["s/i/0_0", "s/i/0_1", "s/i/0_2"]
    assert table_about(tmp_path / "p.parquet") == {"seed": 0}


def test_seed_and_nothing_else_changes_the_order(shard, tmp_path):
    one = proposed(shard, tmp_path / "a.parquet")
    pd.testing.assert_frame_equal(one, proposed(shard, tmp_path / "b.parquet", threads=3))
    other = proposed(shard, tmp_path / "c.parquet", seed=1)
    assert not one[["x1", "y1"]].equals(other[["x1", "y1"]])
    key = ["tile_id", "x1", "y1", "x2", "y2"]
    pd.testing.assert_frame_equal(
        one.sort_values(key)[[*key, "level"]].reset_index(drop=True),
        other.sort_values(key)[[*key, "level"]].reset_index(drop=True),
    )


@pytest.mark.parametrize("method", ["random", "grid"])
def test_ablations_stay_inside_the_tile(shard, tmp_path, method):
    boxes = proposed(shard, tmp_path / "p.parquet", method=method)
    corners = boxes[["x1", "y1", "x2", "y2"]].to_numpy()
    assert len(boxes) >= 3 * 100
    assert corners.min() >= 0
    assert corners.max() <= 96
    assert (corners[:, 2:] > corners[:, :2]).all()


@pytest.fixture
def shard_in_scene(shard):
    """The three tiles side by side in an image of half their resolution."""
    tiles = pd.read_parquet(shard[1]).assign(scene="s", image="i")
    tiles["to_image"] = [[0.5, 0.0, 48.0 * n, 0.0, 0.5, 0.0] for n in range(3)]
    tiles.to_parquet(shard[1])
    return shard


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_boxes_of_a_file_go_to_the_tiles_that_show_most_of_them(shard_in_scene, tmp_path, suffix):
    rows = pd.DataFrame(
        [
            ("s", "i", 5, 5, 15, 25, 0.2),
            ("s", "i", 44, 10, 54, 20, 0.5),
            ("s", "i", 20, 20, 40, 40, 0.9),
            ("other", "i", 1, 1, 20, 20, 1.0),
        ],
        columns=["scene", "image", "x1", "y1", "x2", "y2", "score"],
    )
    path = tmp_path / f"boxes{suffix}"
    rows.to_csv(path, index=False) if suffix == ".csv" else rows.to_parquet(path)
    boxes = proposed(
        shard_in_scene, tmp_path / "p.parquet", method="file", file=str(path), order="ranked"
    )
    assert boxes[["tile_id", "rank", "x1", "y1", "x2", "y2"]].astype(str).to_numpy().tolist() == [
        ["s/i/0_0", "0", "40.0", "40.0", "80.0", "80.0"],
        ["s/i/0_0", "1", "10.0", "10.0", "30.0", "50.0"],
        ["s/i/0_1", "0", "0.0", "20.0", "12.0", "40.0"],
    ]


def test_a_file_of_boxes_that_cannot_be_used_says_all_that_is_wrong(shard_in_scene, tmp_path):
    pd.DataFrame({"image": ["i"], "x1": ["here"], "y1": [0], "x2": [3]}).to_csv(tmp_path / "b.csv")
    with pytest.raises(LabelError, match=r"`scene`: missing(.|\n)*`y2`(.|\n)*'here' in row 1"):
        proposed(shard_in_scene, tmp_path / "p", method="file", file=str(tmp_path / "b.csv"))


def test_shard_and_table_of_different_length_are_refused(shard, tmp_path):
    pd.DataFrame({"tile_id": ["s/i/0_0"]}).to_parquet(shard[1])
    with pytest.raises(SceneError, match=r"3 tiles.*1 rows"):
        proposed(shard, tmp_path / "p.parquet")


def test_radix_sort_is_numpys_stable_sort():
    values = np.abs(np.random.default_rng(3).normal(0, 50, 5000)).astype(np.float32)
    values[::7] = values[3]
    assert np.array_equal(sort_positive(values), np.argsort(values, kind="stable"))


def test_segments_are_numbered_in_order_and_none_is_too_small(tile):
    labels = segment(tile, 100.0, 0.8, 60)
    _, first, sizes = np.unique(labels, return_index=True, return_counts=True)
    assert (np.diff(first) > 0).all()
    assert sizes.min() >= 60
    assert labels.max() >= 3


@pytest.mark.parametrize("noise", [2, 40])
def test_segments_of_several_scales_are_those_of_each_scale_alone(tile, noise):
    noisy = tile + np.random.default_rng(0).normal(0, noise, tile.shape)
    ends, weights = edges_of(noisy.astype(np.float32), False)
    order = sort_positive(weights)
    ends, weights = ends[order], weights[order]
    scales = np.array([20.0, 50.0, 200.0], np.float32)
    together, counts = join_pixels(ends, weights, 96 * 96, scales, 30)
    for n in range(3):
        alone, count = join_pixels(ends, weights, 96 * 96, scales[n : n + 1], 30)
        assert np.array_equal(together[n], alone[0])
        assert counts[n] == count[0]
    assert counts[0] > counts[2]


def test_neighbours_are_those_that_opencv_finds():
    """Left, above and above left, but from no pixel of the first row or column."""
    columns = np.repeat(np.array([[0, 0, 1, 1, 2, 2]], np.int32), 5, axis=0)
    _, sizes, near = outlines(columns, 3)
    assert sizes.tolist() == [10, 10, 10]
    assert near.tolist() == [[False, True, False], [True, False, True], [False, True, False]]
    corner = np.array([[0, 1, 1], [1, 1, 1], [1, 1, 1]], np.int32)  # met from (1, 1) alone
    assert outlines(corner, 2)[2].tolist() == [[False, True], [True, False]]
    first_row = np.array([[0, 1], [2, 2]], np.int32)
    assert outlines(first_row, 3)[2].tolist() == [
        [False, False, True],
        [False, False, True],
        [True, True, False],
    ]


def test_slopes_tell_directions_apart():
    """A step up along x, y or a diagonal is steepest in its own direction, as a rise."""
    i, j = np.mgrid[:64, :64]
    steps = {0: j > 32, 1: i > 32, 2: i + j > 64, 3: j - i < 0}
    for direction, step in steps.items():
        image = np.where(step[..., None], 200, 60).astype(np.uint8).repeat(3, axis=2)
        middle = slopes_of(image)[0, :, :, 24:40, 24:40].astype(float)
        rises = middle.max(axis=(2, 3)) - middle.min(axis=(2, 3))
        assert rises.max(axis=1).argmax() == direction
        assert rises[direction].argmax() == 0  # a rise, not a fall
