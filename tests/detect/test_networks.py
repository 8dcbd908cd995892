"""Parts of the detectors that the golden vectors do not reach."""

import random

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from torch import nn

from urbanssl.detect import registration
from urbanssl.detect.layer_decay import LayerDecayConstructor
from urbanssl.detect.sfp import SimpleFeaturePyramid
from urbanssl.detect.transpose import RandomTranspose
from urbanssl.detect.two_stage_head import not_ignored
from urbanssl.detect.vit import ViTDetBackbone
from urbanssl.ssl.detreg_embedding import crop_patches

from mmdet.structures.bbox import HorizontalBoxes  # isort: skip

assert registration.__doc__


def small_vit():
    return ViTDetBackbone(
        img_size=64,
        patch_size=16,
        embed_dims=16,
        depth=2,
        num_heads=2,
        window_size=2,
        global_blocks=(1,),
        pretrain_img_size=64,
    )


def test_transpose_takes_boxes_along():
    image = np.zeros((20, 30, 3), dtype=np.uint8)
    image[4:8, 10:25] = 255
    results = {
        "img": image,
        "img_shape": (20, 30),
        "gt_bboxes": HorizontalBoxes(torch.tensor([[10.0, 4, 25, 8]])),
    }
    results = RandomTranspose(prob=1.0)(results)
    x1, y1, x2, y2 = results["gt_bboxes"].tensor[0].int().tolist()
    assert results["img_shape"] == results["img"].shape[:2] == (30, 20)
    assert (results["img"][y1:y2, x1:x2] == 255).all()
    assert (results["img"] == 255).sum() == 3 * (x2 - x1) * (y2 - y1)


def test_transpose_happens_as_often_as_told():
    random.seed(0)
    swap = RandomTranspose(prob=0.3)
    done = 0
    for _ in range(400):
        item = {
            "img": np.zeros((2, 3, 3)),
            "img_shape": (2, 3),
            "gt_bboxes": HorizontalBoxes(torch.zeros(0, 4)),
        }
        done += swap(item)["img_shape"] == (3, 2)
    assert 90 < done < 150


def test_optimiser_has_a_rate_for_every_layer_and_no_decay_on_norms():
    model = nn.ModuleDict({"backbone": small_vit(), "head": nn.Linear(16, 2)})
    wrapper = ConfigDict(optimizer={"type": "AdamW", "lr": 1.0, "weight_decay": 0.1})
    build = LayerDecayConstructor(wrapper, {"decay_rate": 0.5, "num_layers": 2})
    optimizer = build(model).optimizer
    found = {}
    names = {id(value): name for name, value in model.named_parameters()}
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            found[names[id(parameter)]] = (group["lr"], group["weight_decay"])
    assert set(found) == set(names.values())
    assert found["backbone.pos_embed"] == (0.125, 0.0)
    assert found["backbone.patch_embed.proj.weight"] == (0.125, 0.1)
    assert found["backbone.blocks.0.attn.qkv.weight"] == (0.25, 0.1)
    assert found["backbone.blocks.0.norm1.weight"] == (0.25, 0.0)
    assert found["backbone.blocks.1.attn.rel_pos_h"] == (0.5, 0.1)
    assert found["head.bias"] == (1.0, 0.1)


def test_crop_outside_the_image_is_black_and_never_empty():
    image = torch.full((3, 40, 60), 200, dtype=torch.uint8)
    boxes = torch.tensor(
        [
            [-20.0, -20, 20, 20],
            [70, 50, 90, 70],
            [5, 5, 5.2, 5.3],
            [-80, 5, -60, 10],
            [50, 5, 70, 15],
        ]
    )
    patches = crop_patches(image, boxes, 16)
    assert patches.shape == (5, 3, 16, 16)
    assert (patches[0, :, :6, :6] == 0).all()
    assert (patches[0, :, 10:, 10:] == 200).all()
    assert (patches[1] == 0).all()
    assert (patches[2] == 200).all()
    assert (patches[3] == 0).all()
    assert (patches[4, :, :, :7] == 200).all()
    assert (patches[4, :, :, 9:] == 0).all()


@pytest.mark.parametrize("size", [(64, 64), (48, 80)])
def test_backbone_and_pyramid_take_images_of_other_sizes(size):
    maps = small_vit()(torch.zeros(2, 3, *size))
    levels = SimpleFeaturePyramid(16, 8, extra_level=True)(maps)
    rows, columns = size[0] // 16, size[1] // 16
    shapes = [tuple(level.shape[-2:]) for level in levels]
    assert shapes[:3] == [(4 * rows, 4 * columns), (2 * rows, 2 * columns), (rows, columns)]
    assert len(levels) == 5


def test_prediction_on_an_ignored_object_is_no_background():
    boxes = torch.tensor([[0.25, 0.25, 0.2, 0.2], [0.75, 0.75, 0.2, 0.2], [0.5, 0.25, 0.5, 0.2]])
    meta = {"img_shape": (100, 100), "ignored": torch.tensor([[10.0, 10, 40, 40]])}
    assert not_ignored(boxes, meta).tolist() == [0, 1, 1]
    assert not_ignored(boxes, {"img_shape": (100, 100)}).tolist() == [1, 1, 1]
