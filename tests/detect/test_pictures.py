"""Pictures of tiles: the right tiles, and boxes where they belong."""

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from urbanssl.detect.pictures import BAD, CONFUSED, GOOD, worst_and_best


@pytest.fixture
def run(tmp_path):
    """Four tiles with a ship each: found, missed, misplaced, and one without anything."""
    images = [
        {"id": n + 1, "file_name": f"s/i/0_{n}", "scene": "s", "shard_index": n, "block": "b"}
        for n in range(4)
    ]
    box = {"category_id": 1, "bbox": [10, 20, 30, 20], "area": 600, "iscrowd": 0, "ignore": 0}
    marks = [{"id": n + 1, "image_id": n + 1, **box} for n in range(3)]
    content = {"images": images, "annotations": marks, "categories": [{"id": 1, "name": "ship"}]}
    (tmp_path / "coco.json").write_text(json.dumps(content))
    found = [("s/i/0_0", "ship", 0.9, 10, 20, 40, 40), ("s/i/0_2", "ship", 0.95, 30, 30, 60, 50)]
    columns = ["tile_id", "class_name", "score", "x1", "y1", "x2", "y2"]
    pd.DataFrame(found, columns=columns).to_parquet(tmp_path / "boxes.parquet")
    (tmp_path / "s").mkdir()
    np.save(tmp_path / "s" / "tiles.npy", np.zeros((4, 64, 64, 3), np.uint8))
    return tmp_path


def colours(path):
    """Colours that occur in the left and the right half of a picture."""
    pixels = np.asarray(Image.open(path))
    half = pixels.shape[1] // 2
    return [
        {tuple(c) for c in part.reshape(-1, 3).tolist()}
        for part in (pixels[:, :half], pixels[:, half:])
    ]


def test_the_best_and_the_worst_tiles_are_drawn_with_found_and_missed_told_apart(run):
    args = [run / "boxes.parquet"], run / "coco.json", [run / "s" / "tiles.npy"], run / "out"
    worst_and_best(*args, n=1)
    assert sorted(p.name for p in (run / "out").iterdir()) == [
        "best_01_s-i-0_0.png",
        "worst_01_s-i-0_2.png",
    ]
    left, right = colours(run / "out" / "best_01_s-i-0_0.png")
    assert GOOD in left & right
    assert BAD not in left | right
    left, right = colours(run / "out" / "worst_01_s-i-0_2.png")
    assert BAD in left & right
    assert GOOD not in left | right


def test_an_object_taken_for_another_class_is_neither_missed_nor_false(run):
    content = json.loads((run / "coco.json").read_text())
    content["categories"].append({"id": 2, "name": "harbor"})
    (run / "coco.json").write_text(json.dumps(content))
    found = pd.read_parquet(run / "boxes.parquet")
    found.loc[1, ["class_name", "x1", "y1", "x2", "y2"]] = ["harbor", 11, 20, 41, 40]
    found.to_parquet(run / "boxes.parquet")
    args = [run / "boxes.parquet"], run / "coco.json", [run / "s" / "tiles.npy"], run / "out"
    worst_and_best(*args, n=1)
    left, right = colours(run / "out" / "worst_01_s-i-0_2.png")
    assert CONFUSED in left & right
    assert not {BAD, GOOD} & (left | right)


def test_no_tile_is_both_best_and_worst_and_empty_ones_are_left_out(run):
    args = [run / "boxes.parquet"], run / "coco.json", [run / "s" / "tiles.npy"], run / "out"
    worst_and_best(*args)
    names = [p.name.split("_", 2)[2] for p in (run / "out").iterdir()]
    assert sorted(names) == ["s-i-0_0.png", "s-i-0_1.png", "s-i-0_2.png"]


def test_without_detections_the_folder_is_there(run):
    pd.read_parquet(run / "boxes.parquet").iloc[:0].to_parquet(run / "boxes.parquet")
    (run / "coco.json").write_text(
        json.dumps({"images": [], "annotations": [], "categories": [{"id": 1, "name": "ship"}]})
    )
    worst_and_best(
        [run / "boxes.parquet"], run / "coco.json", [run / "s" / "tiles.npy"], run / "out"
    )
    assert list((run / "out").iterdir()) == []
