import json

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

from urbanssl.engine.batches import training_batches
from urbanssl.engine.detection_data import (
    TileItems,
    label_subset,
    labelled_items,
)
from urbanssl.errors import LabelError, TrainingError
from urbanssl.ops import bridge

PIPELINE = [
    {"type": "LoadTile"},
    {"type": "LoadAnnotations", "with_bbox": True},
    {"type": "RandomFlip", "prob": 0.5},
    {"type": "PackDetInputs"},
]


@pytest.fixture
def coco(tmp_path):
    """Two tiles of the shards: plane and a cut ship on the first, nothing on the second."""
    content = {
        "images": [
            {"id": 1, "file_name": "scene0/image/3_0", "scene": "scene0", "shard_index": 3},
            {"id": 2, "file_name": "scene1/image/4_0", "scene": "scene1", "shard_index": 4},
        ],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 9, "bbox": [1, 2, 3, 4], "iscrowd": 0},
            {"id": 2, "image_id": 1, "category_id": 5, "bbox": [8, 8, 4, 4], "iscrowd": 1},
        ],
        "categories": [{"id": 9, "name": "plane"}, {"id": 5, "name": "ship"}],
    }
    for image in content["images"]:
        image |= {"height": 16, "width": 16}
    path = tmp_path / "coco_train.json"
    path.write_text(json.dumps(content))
    return path


def items_of(coco, shards, fraction=1.0):
    return labelled_items(coco, shards, ("plane", "ship"), fraction, seed=0)


def test_labels_are_places_in_the_classes_and_cut_boxes_are_ignored(coco, shards):
    first, second = items_of(coco, shards)
    assert first["instances"] == [
        {"bbox": [1, 2, 4, 6], "bbox_label": 0, "ignore_flag": 0},
        {"bbox": [8, 8, 12, 12], "bbox_label": 1, "ignore_flag": 1},
    ]
    assert second["tile"] == (str(shards[1]), 4)


def test_class_or_scene_unknown_to_the_training_is_refused(coco, shards):
    with pytest.raises(LabelError, match=r"(?s)scene1.*ship"):
        labelled_items(coco, shards[:1], ("plane",), 1.0, seed=0)


def test_mmdet_transforms_give_the_same_sample_at_the_same_place(coco, shards):
    bridge.install()
    import mmdet.datasets.transforms  # noqa: F401

    with DefaultScope.overwrite_default_scope("mmdet"):
        data = TileItems(items_of(coco, shards), PIPELINE, ("plane", "ship"), seed=0)
    samples = [data[(position, 0)] for position in range(8)]
    again = data[(5, 0)]
    boxes = [sample["data_samples"].gt_instances.bboxes.tensor for sample in samples]
    assert samples[0]["inputs"].unique().tolist() == [3]
    assert torch.equal(boxes[5], again["data_samples"].gt_instances.bboxes.tensor)
    assert any(not torch.equal(boxes[0], box) for box in boxes), "no sample was ever flipped"
    assert len(samples[0]["data_samples"].ignored_instances.bboxes) == 1


def test_another_tile_is_drawn_where_the_pipeline_refuses_one(coco, shards):
    bridge.install()
    import mmdet.datasets.transforms  # noqa: F401

    needing = [*PIPELINE[:2], {"type": "RandomCrop", "crop_size": (16, 16)}, PIPELINE[-1]]
    with DefaultScope.overwrite_default_scope("mmdet"):
        items = items_of(coco, shards)
        data = TileItems(items, needing, ("plane", "ship"), seed=0)
        none = TileItems(items[1:], needing, ("plane", "ship"), seed=0)
    assert {data[(position, 1)]["inputs"].unique().item() for position in range(4)} == {3}
    with pytest.raises(TrainingError, match="refused 1000 tiles"):
        none[(0, 0)]


def test_label_subsets_are_nested_and_cover_the_classes():
    rng = np.random.default_rng(0)
    categories = rng.choice(5, size=200, p=[0.5, 0.3, 0.16, 0.03, 0.01])
    content = {
        "images": [{"id": n} for n in range(200)],
        "annotations": [{"image_id": n, "category_id": int(c)} for n, c in enumerate(categories)],
    }
    subsets = [label_subset(content, share, seed=4) for share in (0.01, 0.05, 0.1, 1.0)]
    assert [len(subset) for subset in subsets] == [2, 10, 20, 200]
    assert subsets[0] < subsets[1] < subsets[2] < subsets[3]
    assert {categories[n] for n in subsets[1]} == set(categories)
    assert label_subset(content, 0.1, seed=4) != label_subset(content, 0.1, seed=5)


@pytest.mark.parametrize(("empty", "tiles"), [(0.0, {0}), (1.0, {0, 1})])
def test_a_training_sees_no_more_tiles_without_objects_than_allowed(
    coco, shards, make_job, empty, tiles
):
    bridge.install()
    import mmdet.datasets.transforms  # noqa: F401

    recipe = Config({"default_scope": "mmdet", "train_pipeline": PIPELINE})
    job = make_job(stage="detector", coco_train=coco, classes=("plane", "ship"), empty=empty)
    seen = {
        sample.metainfo["img_id"] - 1
        for batch in training_batches(job, recipe, 0, 1)
        for sample in batch["data_samples"]
    }
    assert seen == tiles
    other = make_job(stage="detector", coco_train=coco, classes=("plane", "ship"), empty=0.5)
    assert other.fingerprint() != job.fingerprint()
