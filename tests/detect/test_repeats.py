from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope

from urbanssl.detect import registration  # noqa: F401

from mmdet.registry import MODELS  # isort: skip

ROOT = Path(__file__).parents[2]


@pytest.fixture
def head():
    """The head of the tiny Deformable DETR, for two classes."""
    config = Config.fromfile(ROOT / "config" / "models" / "deformable_detr_tiny.py")
    model = config.model
    model.bbox_head.num_classes = 2
    with DefaultScope.overwrite_default_scope("mmdet"):
        return MODELS.build(model).bbox_head


def found_by(head):
    """What the head returns for sixty queries: two sure on one object, one on another."""
    logits = torch.full((60, 2), -9.0)
    logits[0, 0], logits[1, 0], logits[2, 0] = 3.0, 2.0, 1.0
    boxes = torch.rand(60, 4) * 0.1
    boxes[:3] = torch.tensor([[0.5, 0.5, 0.2, 0.2], [0.51, 0.5, 0.2, 0.2], [0.1, 0.1, 0.1, 0.1]])
    meta = {"img_shape": (100, 100), "scale_factor": (1.0, 1.0)}
    found = head._predict_by_feat_single(logits, boxes, meta, rescale=False)
    return found[found.scores > 0.5]


def test_a_second_query_on_the_same_object_is_dropped(head):
    assert found_by(head).scores.tolist() == pytest.approx([0.953, 0.731], abs=1e-3)


def test_without_nms_in_the_recipe_every_query_answers(head):
    head.test_cfg.pop("nms")
    assert len(found_by(head)) == 3
