"""Boxes of scenes on tiles, as COCO and for whole scenes."""

from types import SimpleNamespace

import pandas as pd
import pytest
from pycocotools.coco import COCO

from urbanssl.artifacts import read_json
from urbanssl.labels.coco import assemble_coco
from urbanssl.settings import LabelSettings


def a_box(x1, y1, x2, y2, name="ship", image="i", difficult=False):
    return (image, name, x1, y1, x2, y2, None, difficult, "labels.txt:1")


def a_tile(x, y, split="train", block="b0", scale=1.0, scene="s", image="i"):
    """A tile of 64 pixels whose corner lies at x, y of the image."""
    side = 64 / scale
    to_image = [1 / scale, 0, x, 0, 1 / scale, y]
    return (f"{scene}/{image}/{y}_{x}", scene, image, side, to_image, block, split)


@pytest.fixture
def assemble(tmp_path):
    def run(boxes, tiles, scene="s", extra=(), **labels):
        sets = [(boxes, tiles), *extra]
        box_paths, tables, splits = [], [], []
        for number, (some_boxes, some_tiles) in enumerate(sets):
            columns = [
                "image",
                "class_name",
                "x1",
                "y1",
                "x2",
                "y2",
                "polygon",
                "difficult",
                "source",
            ]
            box_paths.append(tmp_path / f"b{number}.parquet")
            frame = pd.DataFrame(some_boxes, columns=columns).astype({"difficult": bool})
            frame.to_parquet(box_paths[-1])
            columns = ["tile_id", "scene", "image", "width", "to_image", "block", "split"]
            frame = pd.DataFrame(some_tiles, columns=columns)
            tables.append(tmp_path / f"t{number}.parquet")
            frame.drop(columns=["block", "split"]).to_parquet(tables[-1])
            splits.append(frame[["tile_id", "scene", "block", "split"]])
        split_table = tmp_path / "splits.parquet"
        pd.concat(splits).to_parquet(split_table)
        outputs = {name: tmp_path / f"coco_{name}.json" for name in ("train", "val", "test")}
        whole = tmp_path / "scene_boxes.parquet"
        settings = LabelSettings(**labels)
        assemble_coco(box_paths, tables, split_table, settings, outputs, whole, {"seed": 5})
        return SimpleNamespace(
            **{name: read_json(path) for name, path in outputs.items()},
            whole=pd.read_parquet(whole),
            path=outputs["train"],
        )

    return run


def test_box_is_in_tile_pixels(assemble):
    found = assemble([a_box(110, 220, 130, 230)], [a_tile(100, 200)]).train
    (annotation,) = found["annotations"]
    assert annotation["bbox"] == [10, 20, 20, 10]
    assert (annotation["area"], annotation["iscrowd"], annotation["ignore"]) == (200, 0, 0)
    (image,) = found["images"]
    assert image["file_name"] == "s/i/200_100"
    assert (image["width"], image["shard_index"], image["block"]) == (64, 0, "b0")


def test_scale_of_a_resampled_tile_is_applied(assemble):
    found = assemble([a_box(110, 220, 130, 240)], [a_tile(100, 200, scale=0.5)]).train
    assert found["annotations"][0]["bbox"] == [5, 10, 10, 10]
    assert found["images"][0]["width"] == 64


@pytest.mark.parametrize(
    ("inside", "kept", "ignored"), [(20, 1, 0), (14, 1, 0), (13, 1, 1), (2, 1, 1), (1, 0, 0)]
)
def test_box_cut_by_the_tile_edge_counts_when_70_percent_show(assemble, inside, kept, ignored):
    found = assemble([a_box(64 - inside, 5, 84 - inside, 15)], [a_tile(0, 0)]).train
    assert len(found["annotations"]) == kept
    if kept:
        annotation = found["annotations"][0]
        assert annotation["iscrowd"] == annotation["ignore"] == ignored
        assert annotation["bbox"] == [64 - inside, 5, inside, 10]
    assert sum(found["info"]["counts"].values()) == 1


def test_difficult_and_tiny_boxes_are_to_be_ignored(assemble):
    boxes = [a_box(5, 5, 15, 15, difficult=True), a_box(20, 20, 21, 30)]
    found = assemble(boxes, [a_tile(0, 0, scale=0.5)]).train
    assert [annotation["ignore"] for annotation in found["annotations"]] == [1, 1]
    assert found["info"]["counts"] == {"ignored: difficult": 1, "ignored: under a pixel": 1}


def test_categories_count_from_one_in_the_order_of_the_classes(assemble):
    boxes = [a_box(5, 5, 15, 15, "plane"), a_box(5, 5, 15, 15, "ship")]
    found = assemble(boxes, [a_tile(0, 0)], classes=("ship", "plane")).train
    assert found["categories"] == [{"id": 1, "name": "ship"}, {"id": 2, "name": "plane"}]
    assert [annotation["category_id"] for annotation in found["annotations"]] == [2, 1]


def test_every_tile_of_a_split_is_there_and_none_of_the_buffer(assemble):
    tiles = [a_tile(0, 0), a_tile(64, 0, "val"), a_tile(128, 0, "test"), a_tile(192, 0, "none")]
    found = assemble([], tiles)
    for split, name in (("train", "0_0"), ("val", "0_64"), ("test", "0_128")):
        content = getattr(found, split)
        assert [image["file_name"] for image in content["images"]] == [f"s/i/{name}"]
        assert content["annotations"] == []
    assert found.val["images"][0]["shard_index"] == 1
    assert found.whole.empty
    assert {"scene", "ignore", "block"} <= set(found.whole.columns)


def test_boxes_stay_with_their_image_and_scene(assemble):
    other = ([a_box(1, 1, 9, 9, "plane")], [a_tile(0, 0, scene="r")])
    tiles = [a_tile(0, 0), a_tile(0, 0, image="j")]
    found = assemble([a_box(5, 5, 25, 15)], tiles, extra=[other]).train
    names = {image["id"]: image["file_name"] for image in found["images"]}
    assert [names[a["image_id"]] for a in found["annotations"]] == ["s/i/0_0", "r/i/0_0"]


def test_scene_boxes_count_when_one_test_tile_shows_enough(assemble):
    boxes = [
        a_box(50, 5, 70, 15),  # 70 % on the first tile, 50 % on the second
        a_box(100, 5, 140, 15),  # 60 % on the second, the rest on a training tile
        a_box(200, 5, 210, 15),  # on a training tile
        a_box(5, 30, 15, 40, difficult=True),
    ]
    tiles = [
        a_tile(0, 0, "test", "b1"),
        a_tile(60, 0, "test", "b2"),
        a_tile(124, 0, "train", "b3"),
        a_tile(188, 0, "train", "b3"),
    ]
    whole = assemble(boxes, tiles).whole
    assert whole.x1.tolist() == [50, 100, 5]
    assert whole.ignore.tolist() == [False, True, True]
    assert whole.block.tolist() == ["b1", "b2", "b1"]


def test_pycocotools_reads_the_file(assemble):
    found = assemble([a_box(5, 5, 15, 15, "plane")], [a_tile(0, 0), a_tile(64, 0)])
    coco = COCO(str(found.path))
    assert len(coco.getImgIds()) == 2
    assert coco.loadAnns(coco.getAnnIds(catIds=coco.getCatIds(["plane"])))[0]["id"] == 1
