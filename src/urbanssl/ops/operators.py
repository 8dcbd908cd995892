"""mmcv's compiled operators that detectors call, with mmcv's names and arguments.

Each does what the operator of the same name in mmcv 2.1 does (`mmcv/ops/csrc/pytorch/pybind.cpp`
lists them), through PyTorch and torchvision, on CPU and CUDA alike; deformable attention on CUDA
through Triton where that is installed.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor

from urbanssl.ops.deform_attn import (
    deformable_attention,
    deformable_attention_gradients,
    level_shapes,
    served_by_triton,
)


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int = 0) -> Tensor:
    """Return the places of the boxes that survive non-maximum suppression, best score first.

    Args:
        boxes: `(N, 4)` as x1, y1, x2, y2.
        scores: `(N,)`.
        iou_threshold: a box goes when its IoU with a better one is above this.
        offset: 0 or 1; sides are `x2 - x1 + offset`.
    """
    if offset:
        # Moving the far corner turns x2 - x1 into x2 - x1 + offset, in sides and overlaps alike.
        boxes = boxes + boxes.new_tensor([0.0, 0.0, offset, offset])
    return torchvision.ops.nms(boxes.float(), scores.float(), iou_threshold)


def roi_align_forward(
    input: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Fill `output` `(K, C, aligned_height, aligned_width)` with the average over each box's bins.

    Raises:
        NotImplementedError: with `pool_mode` 0 (max).
    """
    _refuse_max(pool_mode)
    size = (aligned_height, aligned_width)
    output.copy_(
        torchvision.ops.roi_align(input, rois, size, spatial_scale, sampling_ratio, aligned)
    )


def roi_align_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    grad_input: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Fill `grad_input` `(N, C, H, W)` with the gradient of `roi_align_forward`."""
    _refuse_max(pool_mode)
    with torch.enable_grad():
        image = torch.zeros_like(grad_input).requires_grad_()
        size = (aligned_height, aligned_width)
        pooled = torchvision.ops.roi_align(
            image, rois, size, spatial_scale, sampling_ratio, aligned
        )
    grad_input.copy_(torch.autograd.grad(pooled, image, grad_output)[0])


def _refuse_max(pool_mode: int) -> None:
    if pool_mode == 0:
        raise NotImplementedError(
            "roi_align with pool_mode='max' is not provided without compiled mmcv\n"
            "    -> use pool_mode='avg' (the default), or install compiled mmcv"
        )


def sigmoid_focal_loss_forward(
    input: Tensor, target: Tensor, weight: Tensor, output: Tensor, gamma: float, alpha: float
) -> None:
    """Fill `output` with the focal loss of every logit (Lin et al. 2017, equation 5).

    Args:
        input: logits `(N, C)`.
        target: `(N,)` labels; C stands for the background.
        weight: `(C,)` factor of each label, or empty.
        output: `(N, C)`, filled.
        gamma: exponent of the modulating factor.
        alpha: share of the positive term.
    """
    output.copy_(_focal_loss(input, target, weight, gamma, alpha))


def sigmoid_focal_loss_backward(
    input: Tensor, target: Tensor, weight: Tensor, grad_input: Tensor, gamma: float, alpha: float
) -> None:
    """Fill `grad_input` with the gradient of the summed loss of `sigmoid_focal_loss_forward`."""
    with torch.enable_grad():
        logits = input.detach().requires_grad_()
        total = _focal_loss(logits, target, weight, gamma, alpha).sum()
    grad_input.copy_(torch.autograd.grad(total, logits)[0])


def _focal_loss(
    logits: Tensor, target: Tensor, weight: Tensor, gamma: float, alpha: float
) -> Tensor:
    classes = logits.shape[1]
    hit = F.one_hot(target, classes + 1)[:, :classes].to(logits.dtype)
    entropy = F.binary_cross_entropy_with_logits(logits, hit, reduction="none")
    missed = (logits.sigmoid() - hit).abs()
    loss = entropy * missed**gamma * (alpha * hit + (1 - alpha) * (1 - hit))
    if weight.numel():
        factors = torch.cat([weight, weight.new_ones(1)])[target]
        loss = loss * factors[:, None]
    return loss


def ms_deform_attn_forward(
    value: Tensor,
    value_spatial_shapes: Tensor,
    value_level_start_index: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    im2col_step: int,
) -> Tensor:
    """Multi-scale deformable attention, see `urbanssl.ops.deform_attn`."""
    if served_by_triton(value):
        from urbanssl.ops.deform_attn_triton import attention_forward

        return attention_forward(
            value,
            value_spatial_shapes,
            value_level_start_index,
            sampling_locations,
            attention_weights,
        )
    shapes = level_shapes(value_spatial_shapes)
    return deformable_attention(value, shapes, sampling_locations, attention_weights)


def ms_deform_attn_backward(
    value: Tensor,
    value_spatial_shapes: Tensor,
    value_level_start_index: Tensor,
    sampling_locations: Tensor,
    attention_weights: Tensor,
    grad_output: Tensor,
    grad_value: Tensor,
    grad_sampling_loc: Tensor,
    grad_attn_weight: Tensor,
    im2col_step: int,
) -> None:
    """Fill the three gradients of multi-scale deformable attention."""
    if served_by_triton(value):
        from urbanssl.ops.deform_attn_triton import attention_backward

        gradients = attention_backward(
            value,
            value_spatial_shapes,
            value_level_start_index,
            sampling_locations,
            attention_weights,
            grad_output,
        )
    else:
        gradients = deformable_attention_gradients(
            value,
            level_shapes(value_spatial_shapes),
            sampling_locations,
            attention_weights,
            grad_output,
        )
    for place, gradient in zip(
        (grad_value, grad_sampling_loc, grad_attn_weight), gradients, strict=True
    ):
        place.copy_(gradient)


def get_compiler_version() -> str:
    """Say in mmcv's report of its environment that nothing was compiled."""
    return "none: operators by urbanssl.ops"


def get_compiling_cuda_version() -> str:
    """Say in mmcv's report of its environment that nothing was compiled."""
    return "none: operators by urbanssl.ops"
