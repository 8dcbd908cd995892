"""Windows of tokens, relative positions between them, and absolute positions on other grids.

Source: Li et al. 2022, Exploring Plain Vision Transformer Backbones for Object Detection,
section 3; decomposed relative positions: Li et al. 2022, MViTv2, section 4.1, equation 4.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def window_partition(tokens: Tensor, window: int) -> tuple[Tensor, tuple[int, int]]:
    """Cut a grid of tokens into square windows, padding with zeros below and to the right.

    Args:
        tokens: `(B, H, W, C)`.
        window: side of a window in tokens.

    Returns:
        Windows `(B * rows * columns, window, window, C)` in the order image, row, column, and the
        padded height and width.
    """
    batch, height, width, channels = tokens.shape
    tokens = F.pad(tokens, (0, 0, 0, -width % window, 0, -height % window))
    rows, columns = tokens.shape[1] // window, tokens.shape[2] // window
    windows = tokens.view(batch, rows, window, columns, window, channels)
    windows = windows.permute(0, 1, 3, 2, 4, 5).reshape(-1, window, window, channels)
    return windows, (rows * window, columns * window)


def window_unpartition(
    windows: Tensor, window: int, padded: tuple[int, int], size: tuple[int, int]
) -> Tensor:
    """Put windows together again and cut the padding off.

    Args:
        windows: as returned by `window_partition`.
        window: side of a window.
        padded: padded height and width.
        size: height and width before padding.

    Returns:
        `(B, H, W, C)`.
    """
    rows, columns = padded[0] // window, padded[1] // window
    channels = windows.shape[-1]
    tokens = windows.view(-1, rows, columns, window, window, channels)
    tokens = tokens.permute(0, 1, 3, 2, 4, 5).reshape(-1, *padded, channels)
    return tokens[:, : size[0], : size[1]]


def relative_rows(queries: int, keys: int, table: Tensor) -> Tensor:
    """Return the embedding of every distance between two places on one axis.

    A table of another length than `2 * max(queries, keys) - 1` is resized linearly. With fewer
    keys than queries, or the other way, places are spread over the longer axis.

    Args:
        queries: number of query places.
        keys: number of key places.
        table: `(distances, C)`.

    Returns:
        `(queries, keys, C)`.
    """
    longest = max(queries, keys)
    if table.shape[0] != 2 * longest - 1:
        table = F.interpolate(table.T[None], size=2 * longest - 1, mode="linear")[0].T
    query_step, key_step = max(keys / queries, 1.0), max(queries / keys, 1.0)
    query_places = torch.arange(queries, device=table.device)[:, None] * query_step
    key_places = torch.arange(keys, device=table.device)[None] * key_step
    return table[(query_places - key_places + (keys - 1) * key_step).long()]


def relative_bias(
    query: Tensor,
    table_h: Tensor,
    table_w: Tensor,
    query_size: tuple[int, int],
    key_size: tuple[int, int],
) -> Tensor:
    """Return what relative positions add to the attention logits: `q . R_h + q . R_w`.

    Args:
        query: `(..., query height * query width, C)`, not scaled.
        table_h: embeddings of vertical distances, `(distances, C)`.
        table_w: embeddings of horizontal distances.
        query_size: height and width of the grid of queries.
        key_size: height and width of the grid of keys.

    Returns:
        `(..., queries, keys)`.
    """
    rows = relative_rows(query_size[0], key_size[0], table_h)
    columns = relative_rows(query_size[1], key_size[1], table_w)
    grid = query.unflatten(-2, query_size)
    by_row = torch.einsum("...hwc,hkc->...hwk", grid, rows)
    by_column = torch.einsum("...hwc,wkc->...hwk", grid, columns)
    bias = by_row[..., :, None] + by_column[..., None, :]
    return bias.flatten(-2).flatten(-3, -2)


def resize_positions(positions: Tensor, size: tuple[int, int], class_token: bool) -> Tensor:
    """Return absolute positions for a grid of another size (bicubic).

    Args:
        positions: `(1, tokens, C)` of a square grid, behind the class token's where there is one.
        size: height and width of the grid wanted.
        class_token: whether the first row is the class token's; it is dropped.

    Returns:
        `(1, height, width, C)`.
    """
    if class_token:
        positions = positions[:, 1:]
    side = round(positions.shape[1] ** 0.5)
    grid = positions.unflatten(1, (side, side))
    if (side, side) == tuple(size):
        return grid
    resized = F.interpolate(grid.permute(0, 3, 1, 2), size=size, mode="bicubic")
    return resized.permute(0, 2, 3, 1)
