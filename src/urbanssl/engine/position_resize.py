"""Position embeddings of one grid of patches, resized to another."""

from __future__ import annotations

import math

import torch
from torch.nn import functional

from urbanssl.errors import WeightsError


def resize_positions(
    positions: torch.Tensor, tokens: int, extra: int | None = None
) -> torch.Tensor:
    """Return position embeddings for another number of tokens.

    The grid part is resized by bicubic interpolation (a = -0.75, half-pixel centres, no
    antialiasing), as MAE's fine-tuning does; the extra tokens (class) are kept.

    Args:
        positions: `(1, extra + g * g, D)`.
        tokens: how many tokens are wanted, `extra + n * n`.
        extra: how many of them are not of the grid; None finds out: what is over a square.

    Returns:
        `(1, tokens, D)`.

    Raises:
        WeightsError: the numbers of tokens are not `extra` + a square.
    """
    if extra is None:
        extra = extra_tokens(positions.shape[1])
    old, new = math.isqrt(positions.shape[1] - extra), math.isqrt(tokens - extra)
    if old * old != positions.shape[1] - extra or new * new != tokens - extra:
        raise WeightsError.at(
            "position embedding",
            f"{positions.shape[1]} tokens cannot become {tokens} (extra tokens: {extra})",
            "only square grids are resized",
        )
    if old == new:
        return positions
    head, grid = positions[:, :extra], positions[:, extra:]
    grid = grid.reshape(1, old, old, -1).permute(0, 3, 1, 2)
    grid = functional.interpolate(grid, size=(new, new), mode="bicubic", align_corners=False)
    return torch.cat([head, grid.permute(0, 2, 3, 1).flatten(1, 2)], dim=1)


def extra_tokens(tokens: int) -> int:
    """Return how many of a number of tokens are over a square grid (class, distillation)."""
    for extra in (0, 1, 2):
        if math.isqrt(tokens - extra) ** 2 == tokens - extra:
            return extra
    raise WeightsError.at(
        "position embedding", f"{tokens} tokens are no square grid", "only square grids are resized"
    )
