"""Multi-scale deformable attention on CUDA: Triton kernels, forward and backward.

Source: Zhu et al. 2021, Deformable DETR, section 4.1, equation 3. Values may be float32, bfloat16,
float16 or float64; sums are taken in float32 (float64 for float64), and locations keep their own
precision: in bfloat16 a point of a map of 100 pixels would move by a quarter of a pixel.

A program takes 16 queries of one head of one image, all their levels and points. The backward pass
adds to the gradient of the values atomically, in an order that differs from run to run, so its last
digits may too (so do mmcv's).
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import once_differentiable

_QUERIES = 16


@triton.jit
def _points_of(
    locations: tl.tensor,
    weights: tl.tensor,
    place: tl.tensor,
    wide: tl.tensor,
    high: tl.tensor,
    asked: tl.tensor,
) -> Any:
    """Load points: their pixel before (x, y), the share of the pixel after, and their weight."""
    precision = locations.dtype.element_ty
    x = tl.load(locations + 2 * place, mask=asked, other=0.0).to(precision) * wide - 0.5
    y = tl.load(locations + 2 * place + 1, mask=asked, other=0.0).to(precision) * high - 0.5
    weight = tl.load(weights + place, mask=asked, other=0.0).to(precision)
    left, top = tl.floor(x), tl.floor(y)
    return left, top, x - left, y - top, weight


@triton.jit
def _corner(
    value: tl.tensor,
    x: tl.tensor,
    y: tl.tensor,
    wide: tl.tensor,
    high: tl.tensor,
    step: tl.tensor,
    channel: tl.tensor,
    asked: tl.tensor,
) -> Any:
    """Load the values at a pixel, zeros outside the map; return them, their places and a mask."""
    inside = (x >= 0) & (y >= 0) & (x < wide) & (y < high)
    row = tl.where(inside, y, 0.0).to(tl.int64) * wide + tl.where(inside, x, 0.0).to(tl.int64)
    place = row[:, None] * step + channel[None, :]
    mask = inside[:, None] & asked
    return tl.load(value + place, mask=mask, other=0.0), place, mask


@triton.jit
def _forward(
    value: tl.tensor,
    shapes: tl.tensor,
    starts: tl.tensor,
    locations: tl.tensor,
    weights: tl.tensor,
    output: tl.tensor,
    length: tl.tensor,
    queries: tl.tensor,
    heads: tl.tensor,
    LEVELS: tl.constexpr,
    POINTS: tl.constexpr,
    CHANNELS: tl.constexpr,
    PADDED: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    """Write the output `(N, Q, heads, d)` of a block of queries of one head of one image."""
    query = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    head, image = tl.program_id(1), tl.program_id(2).to(tl.int64)
    channel = tl.arange(0, PADDED)
    known = query < queries
    asked = known[:, None] & (channel < CHANNELS)[None, :]
    row = (image * queries + query) * heads + head
    step = heads * CHANNELS
    precision = locations.dtype.element_ty
    total = tl.zeros((BLOCK, PADDED), precision)
    for level in range(LEVELS):
        high, wide = tl.load(shapes + 2 * level), tl.load(shapes + 2 * level + 1)
        field = value + (image * length + tl.load(starts + level)) * step + head * CHANNELS
        for point in tl.static_range(POINTS):
            place = (row * LEVELS + level) * POINTS + point
            x, y, right, down, weight = _points_of(locations, weights, place, wide, high, known)
            for corner in tl.static_range(4):
                dx, dy = corner % 2, corner // 2
                found, _, _ = _corner(field, x + dx, y + dy, wide, high, step, channel, asked)
                share = (right if dx else 1 - right) * (down if dy else 1 - down)
                total += found.to(precision) * (share * weight)[:, None]
    tl.store(
        output + row[:, None] * CHANNELS + channel[None, :],
        total.to(output.dtype.element_ty),
        mask=asked,
    )


@triton.jit
def _backward(
    value: tl.tensor,
    shapes: tl.tensor,
    starts: tl.tensor,
    locations: tl.tensor,
    weights: tl.tensor,
    upstream: tl.tensor,
    grad_value: tl.tensor,
    grad_locations: tl.tensor,
    grad_weights: tl.tensor,
    length: tl.tensor,
    queries: tl.tensor,
    heads: tl.tensor,
    LEVELS: tl.constexpr,
    POINTS: tl.constexpr,
    CHANNELS: tl.constexpr,
    PADDED: tl.constexpr,
    BLOCK: tl.constexpr,
) -> None:
    """Add to the gradient of the values; write those of locations and weights."""
    query = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    head, image = tl.program_id(1), tl.program_id(2).to(tl.int64)
    channel = tl.arange(0, PADDED)
    known = query < queries
    asked = known[:, None] & (channel < CHANNELS)[None, :]
    row = (image * queries + query) * heads + head
    step = heads * CHANNELS
    precision = locations.dtype.element_ty
    above = tl.load(
        upstream + row[:, None] * CHANNELS + channel[None, :], mask=asked, other=0.0
    ).to(precision)
    for level in range(LEVELS):
        high, wide = tl.load(shapes + 2 * level), tl.load(shapes + 2 * level + 1)
        start = (image * length + tl.load(starts + level)) * step + head * CHANNELS
        for point in tl.static_range(POINTS):
            place = (row * LEVELS + level) * POINTS + point
            x, y, right, down, weight = _points_of(locations, weights, place, wide, high, known)
            along_x, along_y = tl.zeros_like(right), tl.zeros_like(right)
            along_weight = tl.zeros_like(right)
            for corner in tl.static_range(4):
                dx, dy = corner % 2, corner // 2
                found, there, mask = _corner(
                    value + start, x + dx, y + dy, wide, high, step, channel, asked
                )
                across = right if dx else 1 - right
                below = down if dy else 1 - down
                share = (across * below * weight)[:, None]
                tl.atomic_add(grad_value + start + there, above * share, mask, sem="relaxed")
                seen = tl.sum(above * found.to(precision), axis=1)
                along_weight += seen * across * below
                along_x += seen * below * (1 if dx else -1)
                along_y += seen * across * (1 if dy else -1)
            tl.store(grad_weights + place, along_weight, mask=known)
            tl.store(grad_locations + 2 * place, along_x * weight * wide, mask=known)
            tl.store(grad_locations + 2 * place + 1, along_y * weight * high, mask=known)


def attention_forward(
    value: Tensor, shapes: Tensor, starts: Tensor, locations: Tensor, weights: Tensor
) -> Tensor:
    """Sample each head's value maps at the given points and sum them with the given weights.

    Args:
        value: `(N, S, heads, d)` of any floating type.
        shapes: `(levels, 2)` integers: height and width of every level.
        starts: `(levels,)` integers: where each level begins in S.
        locations: `(N, Q, heads, levels, points, 2)`, x then y, 0 to 1 across a level.
        weights: `(N, Q, heads, levels, points)`.

    Returns:
        `(N, Q, heads * d)` in the type of `value`.
    """
    value, locations, weights = _prepared(value, locations, weights)
    batch, queries, heads, channels = *locations.shape[:3], value.shape[3]
    output = value.new_empty(batch, queries, heads * channels)
    _forward[_grid(locations)](
        value, shapes.contiguous(), starts.contiguous(), locations, weights, output,
        value.shape[1], queries, heads, **_constants(value, locations),
    )  # fmt: skip
    return output


def attention_backward(
    value: Tensor,
    shapes: Tensor,
    starts: Tensor,
    locations: Tensor,
    weights: Tensor,
    upstream: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the gradients of `sum(output * upstream)` by value, locations and weights.

    Args:
        value: see `attention_forward`.
        shapes: see `attention_forward`.
        starts: see `attention_forward`.
        locations: see `attention_forward`.
        weights: see `attention_forward`.
        upstream: `(N, Q, heads * d)`.

    Returns:
        Each in the shape and type of its variable.
    """
    types = (value.dtype, locations.dtype, weights.dtype)
    value, locations, weights = _prepared(value, locations, weights)
    grad_value = torch.zeros_like(value, dtype=locations.dtype)
    grad_locations, grad_weights = torch.empty_like(locations), torch.empty_like(weights)
    _backward[_grid(locations)](
        value, shapes.contiguous(), starts.contiguous(), locations, weights,
        upstream.contiguous(), grad_value, grad_locations, grad_weights,
        value.shape[1], locations.shape[1], locations.shape[2], **_constants(value, locations),
    )  # fmt: skip
    gradients = (grad_value, grad_locations, grad_weights)
    first, second, third = (g.to(kind) for g, kind in zip(gradients, types, strict=True))
    return first, second, third


class TritonAttention(torch.autograd.Function):
    """Deformable attention by the kernels, with its gradient; arguments as `attention_forward`."""

    @staticmethod
    def forward(
        ctx: Any, value: Tensor, shapes: Tensor, starts: Tensor, locations: Tensor, weights: Tensor
    ) -> Tensor:
        """Return the output, keeping what the gradient needs."""
        ctx.save_for_backward(value, shapes, starts, locations, weights)
        return attention_forward(value, shapes, starts, locations, weights)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of value, locations and weights."""
        value, shapes, starts, locations, weights = ctx.saved_tensors
        gradients = attention_backward(value, shapes, starts, locations, weights, upstream)
        return gradients[0], None, None, gradients[1], gradients[2]


def _prepared(value: Tensor, locations: Tensor, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the inputs contiguous, locations and weights in the precision of the sums."""
    precision = torch.float64 if value.dtype == torch.float64 else torch.float32
    return (
        value.contiguous(),
        locations.to(precision).contiguous(),
        weights.to(precision).contiguous(),
    )


def _grid(locations: Tensor) -> tuple[int, int, int]:
    batch, queries, heads = locations.shape[:3]
    return -(-queries // _QUERIES), heads, batch


def _constants(value: Tensor, locations: Tensor) -> dict[str, int]:
    channels = value.shape[3]
    return {
        "LEVELS": locations.shape[3],
        "POINTS": locations.shape[4],
        "CHANNELS": channels,
        "PADDED": triton.next_power_of_2(channels),
        "BLOCK": _QUERIES,
    }
