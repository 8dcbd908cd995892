"""The stand-in for mmcv's compiled operators does what the operators do."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest
import torch

from urbanssl.ops import bridge, operators

bridge.install()

from mmcv.ops import RoIAlign, nms, sigmoid_focal_loss, soft_nms  # noqa: E402
from mmcv.ops import multi_scale_deform_attn as mmcv_attention  # noqa: E402
from mmdet.models.losses.focal_loss import py_sigmoid_focal_loss  # noqa: E402


def in_fresh_python(code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout + done.stderr


def plain_nms(boxes, scores, threshold, offset):
    kept = []
    for place in np.argsort(-scores, kind="stable"):
        x1, y1, x2, y2 = boxes[place]
        for other in kept:
            u1, v1, u2, v2 = boxes[other]
            inner = max(0, min(x2, u2) - max(x1, u1) + offset) * max(
                0, min(y2, v2) - max(y1, v1) + offset
            )
            areas = (x2 - x1 + offset) * (y2 - y1 + offset)
            areas += (u2 - u1 + offset) * (v2 - v1 + offset)
            if inner / (areas - inner) > threshold:
                break
        else:
            kept.append(place)
    return kept


@pytest.mark.parametrize("offset", [0, 1])
def test_nms_keeps_what_its_definition_keeps_best_score_first(offset):
    draw = np.random.default_rng(0)
    corner = draw.uniform(0, 40, (60, 2)).astype("f")
    boxes = np.concatenate([corner, corner + draw.uniform(3, 20, (60, 2))], 1).astype("f")
    scores = draw.permutation(60).astype("f") / 60
    for threshold in (0.3, 0.5):
        _, kept = nms(boxes, scores, threshold, offset=offset)
        assert kept.tolist() == plain_nms(boxes, scores, threshold, offset)


def test_roi_align_and_its_gradient_equal_torchvisions():
    images = torch.randn(2, 3, 16, 16, requires_grad=True)
    boxes = torch.tensor([[0, 1.0, 2, 12, 13], [1, 0, 0, 31, 20]])
    results = []
    for use_torchvision in (False, True):
        layer = RoIAlign((3, 4), 0.5, 2, use_torchvision=use_torchvision)
        pooled = layer(images, boxes)
        gradient = torch.autograd.grad((pooled * torch.arange(12.0).view(3, 4)).sum(), images)
        results.append((pooled, *gradient))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_focal_loss_and_its_gradient_equal_the_formula_with_background_as_last_label():
    logits = torch.randn(6, 4, dtype=torch.float64, requires_grad=True)
    target = torch.tensor([0, 1, 2, 3, 4, 4])
    ours = sigmoid_focal_loss(logits, target, 2.0, 0.25, None, "none")
    one_hot = torch.eye(5, dtype=torch.float64)[target][:, :4]
    theirs = py_sigmoid_focal_loss(logits, one_hot, reduction="none")
    torch.testing.assert_close(ours, theirs)
    grads = [torch.autograd.grad(loss.sum(), logits)[0] for loss in (ours, theirs)]
    torch.testing.assert_close(*grads)


def test_attention_of_mmcvs_module_operators_and_stand_in_for_cuda_agree():
    shapes, starts = torch.tensor([[5, 6], [3, 2]]), torch.tensor([0, 30])
    value = torch.randn(2, 36, 2, 4, dtype=torch.float64, requires_grad=True)
    spots = torch.rand(2, 7, 2, 2, 3, 2, dtype=torch.float64, requires_grad=True)
    shares = torch.rand(2, 7, 2, 2, 3, dtype=torch.float64, requires_grad=True)
    inputs = (value, spots, shares)
    plain = mmcv_attention.multi_scale_deformable_attn_pytorch(value, shapes, spots, shares)
    stand_in = mmcv_attention.MultiScaleDeformableAttnFunction.apply(
        value, shapes, starts, spots, shares, 64
    )
    given = [each.detach() for each in (value, shapes, starts, spots, shares)]
    torch.testing.assert_close(stand_in, plain)
    torch.testing.assert_close(operators.ms_deform_attn_forward(*given, 64), plain)
    upstream = torch.randn_like(plain)
    by_operator = [torch.zeros_like(each) for each in inputs]
    operators.ms_deform_attn_backward(*given, upstream, *by_operator, 64)
    by_stand_in = torch.autograd.grad(stand_in, inputs, upstream)
    expected = torch.autograd.grad(plain, inputs, upstream)
    for found in (by_operator, by_stand_in):
        for ours, theirs in zip(found, expected, strict=True):
            torch.testing.assert_close(ours, theirs)


def test_operator_that_is_not_provided_says_which_and_what_to_do():
    with pytest.raises(NotImplementedError, match=r"'softnms'(.|\n)*install compiled mmcv"):
        soft_nms(torch.rand(3, 4), torch.rand(3))


def test_max_pooling_of_boxes_is_refused():
    layer = RoIAlign(2, pool_mode="max", use_torchvision=False)
    with pytest.raises(NotImplementedError, match="pool_mode"):
        layer(torch.zeros(1, 1, 4, 4), torch.zeros(1, 5))


def test_compiled_mmcv_is_used_where_it_loads():
    said = in_fresh_python("""
        import sys, types, importlib.machinery, importlib.abc
        class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
            def find_spec(self, name, path, target=None):
                if name == "mmcv._ext":
                    return importlib.machinery.ModuleSpec(name, self)
            def create_module(self, spec):
                return types.ModuleType("compiled")
            def exec_module(self, module):
                pass
        sys.meta_path.insert(0, Finder())
        from urbanssl.ops import bridge, operators
        print(bridge.install(), sys.modules["mmcv._ext"].__name__)
    """)
    assert "False mmcv._ext" in said or "False compiled" in said


def test_compiled_mmcv_that_does_not_load_is_replaced_with_a_warning():
    said = in_fresh_python("""
        import sys, importlib.machinery, importlib.abc
        class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
            def find_spec(self, name, path, target=None):
                if name == "mmcv._ext":
                    return importlib.machinery.ModuleSpec(name, self)
            def create_module(self, spec):
                return None
            def exec_module(self, module):
                raise ImportError("undefined symbol: _ZN2at")
        sys.meta_path.insert(0, Finder())
        from urbanssl.ops import bridge, operators
        print(bridge.install(), type(sys.modules["mmcv._ext"]).__name__)
    """)
    assert "True Bridge" in said
    assert "undefined symbol" in said
