"""The same place is never in two splits, nor the same picture."""

import numpy as np
import pandas as pd
import pytest
import shapely

from urbanssl.artifacts import table_about
from urbanssl.errors import SceneError
from urbanssl.scenes.splits import draw_blocks, split_tiles, without_neighbours
from urbanssl.settings import SplitSettings

#: Metres in a degree of latitude, near enough for test tiles on the equator.
DEGREE = 110_574.0


def grid(scene, count=16, step=45.0, size=60.0, lon=-87.0, lat=0.0):
    """Tiles of `size` metres on a grid of `step` metres: neighbours overlap."""
    rows, cols = (a.ravel() for a in np.mgrid[:count, :count])
    west, north = lon + cols * step / 111_320, lat - rows * step / DEGREE
    ids = [f"{scene}/i/{r}_{c}" for r, c in zip(rows, cols, strict=True)]
    return pd.DataFrame(
        {
            "tile_id": ids,
            "scene": scene,
            "image": "i",
            "west": west,
            "south": north - size / DEGREE,
            "east": west + size / 111_320,
            "north": north,
            "sha256": ids,
            "georeferenced": True,
        }
    )


def flat(scene, images, tiles=4):
    """Tiles of images without a georeference."""
    table = grid(scene, 1).iloc[:0]
    rows = [(f"{scene}/{i}/0_{t}", scene, f"{i}") for i in range(images) for t in range(tiles)]
    table = pd.DataFrame(rows, columns=["tile_id", "scene", "image"]).reindex(columns=table.columns)
    return table.assign(sha256=table.tile_id, georeferenced=False)


@pytest.fixture
def split(tmp_path):
    def run(*tables, seed=0, **settings):
        paths = []
        for number, table in enumerate(tables):
            paths.append(tmp_path / f"{number}.parquet")
            table.to_parquet(paths[-1])
        output = tmp_path / "splits.parquet"
        split_tiles(paths, SplitSettings(**settings), seed, output, {})
        return pd.read_parquet(output)

    return run


def ground(tables):
    every = pd.concat(tables)
    x, y = every[["west", "east"]] * 111_320, every[["south", "north"]] * DEGREE
    return shapely.box(x.west, y.south, x.east, y.north)


@pytest.mark.parametrize("buffer", [0.0, 20.0, 50.0])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_tiles_of_two_splits_never_touch_and_keep_the_buffer(split, buffer, seed):
    table = grid("a")
    found = split(table, seed=seed, buffer=buffer, block=173)
    assert found.tile_id.tolist() == table.tile_id.tolist()
    boxes = ground([table])
    names = found.split.to_numpy()
    for one, other in (("train", "test"), ("train", "val"), ("val", "test")):
        left, right = boxes[names == one], boxes[names == other]
        if len(left) and len(right):
            nearest = min(shapely.distance(left, box).min() for box in right)
            assert nearest > max(buffer * 0.98, 0.1)
    assert {"train", "test"} <= set(names)


def test_overlapping_scenes_share_their_blocks(split):
    one, two = grid("a", 12), grid("b", 12, lon=-87.0 + 200 / 111_320)
    names = split(one, two, block=150, buffer=10)
    boxes, split_of = ground([one, two]), names.split.to_numpy()
    tree = shapely.STRtree(boxes)
    for left, right in tree.query(boxes, predicate="overlaps").T:
        pair = {split_of[left], split_of[right]} - {"none"}
        assert len(pair) <= 1


def test_scenes_either_side_of_a_zone_border_share_their_blocks(split):
    # 90 W divides zones 15 and 16.
    one, two = grid("a", 8, lon=-90.003), grid("b", 8, lon=-90.0015)
    names = split(one, two, block=150, buffer=10)
    assert len({block.split("/")[0] for block in names.block}) == 1


def test_shares_of_blocks_are_met(split):
    names = split(grid("a", 40), block=150, buffer=0, val=0.1, test=0.25)
    share = names[names.split != "none"].groupby("split").block.nunique() / names.block.nunique()
    assert share.test == pytest.approx(0.25, abs=0.02)
    assert share.val == pytest.approx(0.1, abs=0.02)


def test_image_without_georeference_is_one_block(split):
    names = split(flat("a", 40), flat("b", 20))
    assert (names.groupby("block").split.nunique() == 1).all()
    assert names.block.nunique() == 60
    assert set(names.split) == {"train", "val", "test"}
    for scene in "ab":
        assert "test" in set(names[names.scene == scene].split), "each scene is tested"


@pytest.mark.parametrize("images", [3, 4, 5])
def test_each_split_gets_a_block_when_there_are_three(split, images):
    assert set(split(flat("a", images)).split) == {"train", "val", "test"}


def test_two_blocks_are_train_and_test(split):
    assert set(split(flat("a", 2)).split) == {"train", "test"}


def test_one_block_is_for_training(split):
    assert set(split(flat("a", 1)).split) == {"train"}


def test_same_picture_is_never_in_two_splits(split, tmp_path):
    table = flat("a", 30)
    table["sha256"] = [f"same{n % 7}" for n in range(len(table))]
    table.loc[60:, "sha256"] = table.tile_id[60:]
    names = split(table)
    names = names.assign(sha256=table.sha256.to_numpy())
    kept = names[names.split != "none"]
    assert (kept.groupby("sha256").split.nunique() == 1).all()
    counts = table_about(tmp_path / "splits.parquet")["counts"]["dropped"]
    assert counts["duplicate of another split"] == (names.split == "none").sum() > 0


def test_drawing_depends_on_the_seed_alone(split):
    first, again = split(flat("a", 60), seed=4), split(flat("a", 60), seed=4)
    assert first.equals(again)
    assert not first.split.equals(split(flat("a", 60), seed=5).split)


def test_adding_a_scene_moves_few_blocks():
    settings = SplitSettings()
    table = flat("m", 100).assign(block=lambda t: t.scene + "/" + t.image)
    more = pd.concat([table, flat("z", 30).assign(block=lambda t: t.scene + "/" + t.image)])
    before, after = draw_blocks(table, settings, 0), draw_blocks(more, settings, 0)
    assert sum(before[block] != after[block] for block in before) <= 2


def test_training_gives_way_to_val_and_val_to_test():
    boxes = np.array([[0, 0, 10, 10], [15, 0, 25, 10], [30, 0, 40, 10]], float)
    zone = np.array(["EPSG:32616"] * 3, object)
    names = np.array(["train", "val", "test"], object)
    assert without_neighbours(names, zone, boxes, 4).tolist() == ["train", "val", "test"]
    assert without_neighbours(names, zone, boxes, 6).tolist() == ["train", "none", "test"]
    elsewhere = np.array(["EPSG:32616", "EPSG:32617", "EPSG:32617"], object)
    assert without_neighbours(names, elsewhere, boxes, 6).tolist() == ["train", "none", "test"]


def test_nothing_left_for_training_is_an_error(split):
    with pytest.raises(SceneError, match=r"splits\.buffer"):
        split(grid("a", 6), buffer=1000, block=100)


def test_no_labelled_tiles_is_an_error(tmp_path):
    with pytest.raises(SceneError, match="no labelled tiles"):
        split_tiles([], SplitSettings(), 0, tmp_path / "s.parquet", {})
