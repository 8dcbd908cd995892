"""Multi-scale deformable attention: the sum over sampled points.

Source: Zhu et al. 2021, Deformable DETR, section 4.1, equation 3. Plain PyTorch here, the kernels
for CUDA in `urbanssl.ops.deform_attn_triton`; `attend` chooses.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def attend(
    value: Tensor, shapes: Tensor, starts: Tensor, locations: Tensor, weights: Tensor
) -> Tensor:
    """Return deformable attention, with its gradient, by the fastest code there is.

    Args:
        value: see `deformable_attention`.
        shapes: `(levels, 2)` heights and widths.
        starts: `(levels,)` where each level begins in `value`.
        locations: see `deformable_attention`.
        weights: see `deformable_attention`.
    """
    if served_by_triton(value):
        from urbanssl.ops.deform_attn_triton import TritonAttention

        output: Tensor = TritonAttention.apply(value, shapes, starts, locations, weights)
        return output
    return deformable_attention(value, level_shapes(shapes), locations, weights)


def served_by_triton(value: Tensor) -> bool:
    """Whether the Triton kernels take a tensor: it is on CUDA and Triton is installed."""
    return value.is_cuda and importlib.util.find_spec("triton") is not None


def deformable_attention(
    value: Tensor, shapes: Sequence[tuple[int, int]], locations: Tensor, weights: Tensor
) -> Tensor:
    """Sample each head's value maps at the given points and sum them with the given weights.

    Samples are bilinear with zeros outside the map; pixel centres lie at `(i + .5) / size`. The
    weights are used as they are, not normalised. Sums level by level, so that the samples of all
    levels never lie in memory together.

    Args:
        value: `(N, S, heads, d)`, the levels behind one another, each row by row; S is the sum of
            the level sizes.
        shapes: `(height, width)` of every level.
        locations: `(N, Q, heads, levels, points, 2)`, x then y, 0 to 1 across a level.
        weights: `(N, Q, heads, levels, points)`.

    Returns:
        `(N, Q, heads * d)`, the channels of one head side by side.
    """
    batch, length, heads, channels = value.shape
    queries, levels, points = locations.shape[1], locations.shape[3], locations.shape[4]
    maps = value.permute(0, 2, 3, 1).reshape(batch * heads, channels, length)
    # One copy for all levels: level, image x head, query, point.
    grids = (2 * locations - 1).permute(3, 0, 2, 1, 4, 5)
    grids = grids.reshape(levels, batch * heads, queries, points, 2)
    shares = weights.permute(3, 0, 2, 1, 4).reshape(levels, batch * heads, 1, queries, points)
    total: Tensor | None = None
    start = 0
    for level, (height, width) in enumerate(shapes):
        field = maps[:, :, start : start + height * width]
        sampled = F.grid_sample(
            field.reshape(batch * heads, channels, height, width),
            grids[level],
            mode="bilinear",
            padding_mode="zeros",
            align_corners=False,
        )
        part = (sampled * shares[level]).sum(-1)
        total = part if total is None else total + part
        start += height * width
    if total is None:
        raise ValueError("deformable attention needs at least one level, got none")
    return total.reshape(batch, heads * channels, queries).transpose(1, 2).contiguous()


def deformable_attention_gradients(
    value: Tensor,
    shapes: Sequence[tuple[int, int]],
    locations: Tensor,
    weights: Tensor,
    grad_output: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of `sum(output * grad_output)`.

    Args:
        value: see `deformable_attention`.
        shapes: see `deformable_attention`.
        locations: see `deformable_attention`.
        weights: see `deformable_attention`.
        grad_output: `(N, Q, heads * d)`.

    Returns:
        The gradients of value, locations and weights, each in the shape of its variable.
    """
    with torch.enable_grad():
        inputs = [tensor.detach().requires_grad_() for tensor in (value, locations, weights)]
        output = deformable_attention(inputs[0], shapes, inputs[1], inputs[2])
    grad_value, grad_locations, grad_weights = torch.autograd.grad(output, inputs, grad_output)
    return grad_value, grad_locations, grad_weights


def level_shapes(shapes: Tensor) -> list[tuple[int, int]]:
    """Return a `(levels, 2)` tensor of heights and widths as plain numbers."""
    return [(int(height), int(width)) for height, width in shapes.tolist()]
