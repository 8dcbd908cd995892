"""Random convolutional features (MOSAIKS): the cheap baseline that learned features must beat.

Filters are whitened patches of training imagery; a feature is the mean of what a filter answers
with, above zero and below. Nothing is trained.

Source: Rolf et al. (2021), A generalizable and accessible approach to machine learning with global
satellite imagery, Nature Communications 12, supplementary note 2; whitening after Coates and Ng
(2012), Learning feature representations with k-means, section 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from urbanssl.artifacts import written_whole
from urbanssl.errors import SceneError

Floats = NDArray[np.float32]

#: Side of a patch, as published.
PATCH = 3
#: Added to the eigenvalues of the whitening, as published.
ZCA_BIAS = 1e-3
#: Patches that the whitening is learned from.
PATCHES = 20_000
#: Images that patches are drawn from, at most: more only cost reading.
IMAGES = 400
#: Numbers of a strip of answers, a few MB.
_STRIP = 1 << 19


def whitened_filters(patches: NDArray, zca_bias: float = ZCA_BIAS) -> Floats:
    """Return filters: normalised patches, whitened twice (the second time stands for the image).

    Each patch loses its own mean and is divided by its norm; the covariance is about zero.

    Args:
        patches: (n, C, P, P), uint8 (0 to 255) or float (0 to 1).
        zca_bias: added to the eigenvalues.

    Returns:
        (n, C, P, P) float32, not normalised again.
    """
    scaled = patches / 255.0 if patches.dtype == np.uint8 else patches
    # Norms are compared with a floor in the precision of the patches, as in the original.
    flat = scaled.reshape(len(patches), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(flat, axis=1, keepdims=True)
    flat = flat / np.where(norm < 1e-8, 1.0, norm)
    wide = flat.astype(np.float64)
    values, vectors = np.linalg.eigh(wide.T @ wide / len(wide))
    whiten = (vectors / np.sqrt(np.maximum(values, 0) + zca_bias)) @ vectors.T
    return (wide @ whiten @ whiten).reshape(patches.shape).astype(np.float32)


def grab_patches(
    images: NDArray, patch: int, total: int, threads: int, seed: int
) -> tuple[NDArray, NDArray[np.int64]]:
    """Return patches drawn at random as the published pipeline draws them, and their order.

    The last rows and columns of an image are never drawn; that is part of the original.

    Args:
        images: (N, H, W, C).
        patch: side P in pixels.
        total: patches asked for; `total // threads` of each of the chunks of images.
        threads: number of chunks that images are dealt into (ceil(N / threads) images each).
        seed: of numpy's legacy generator.

    Returns:
        (n, C, P, P) patches, and the (n,) permutation that was applied to them.
    """
    numbers, height, width = len(images), images.shape[1], images.shape[2]
    size = -(-numbers // threads)
    starts = range(0, numbers, size)
    share = total // threads
    generator = np.random.RandomState(seed)
    generator.choice(100_000, len(starts), replace=False)
    middle, half = -(-patch // 2), patch / 2
    found = []
    for start in starts:
        chunk = images[start : start + size]
        image = generator.choice(len(chunk), share)
        row = generator.choice(height - patch - 1, total)[:share] + middle
        column = generator.choice(width - patch - 1, total)[:share] + middle
        top, left = (row - half).astype(int), (column - half).astype(int)
        found += [
            chunk[i, r : r + patch, c : c + patch].transpose(2, 0, 1)
            for i, r, c in zip(image, top, left, strict=True)
        ]
    order = generator.choice(len(found), len(found), replace=False)
    return np.stack(found)[order], order


def draw_filters(arrays: Sequence[NDArray], filters: int, seed: int) -> Floats:
    """Return filters from patches of training tiles, drawn evenly over all of them.

    Args:
        arrays: (N, S, S, 3) uint8 shards, memory-mapped: a few hundred tiles are read.
        filters: number of filters F.
        seed: of the draw.

    Returns:
        (F, 3, P, P) float32.

    Raises:
        SceneError: there is no training tile.
    """
    generator = np.random.default_rng(seed)
    counts = np.array([len(array) for array in arrays], dtype=np.int64)
    if counts.sum() == 0:
        raise SceneError.at(
            "features rcf", "no training tiles to draw filters from", "see pretrain.roles"
        )
    ends = np.cumsum(counts)
    chosen = generator.permutation(int(ends[-1]))[:IMAGES]
    share = -(-max(PATCHES, filters) // len(chosen))
    patches = []
    for index in np.sort(chosen):
        shard = int(np.searchsorted(ends, index, side="right"))
        tile = arrays[shard][index - (ends[shard] - counts[shard])]
        last = np.array(tile.shape[:2]) - PATCH + 1
        corners = generator.integers(0, last, size=(share, 2))
        windows = np.lib.stride_tricks.sliding_window_view(tile, (PATCH, PATCH), axis=(0, 1))
        patches.append(windows[corners[:, 0], corners[:, 1]])
    whitened = whitened_filters(np.concatenate(patches))
    return whitened[generator.permutation(len(whitened))[:filters]]


def convolved_features(
    images: torch.Tensor,
    filters: torch.Tensor,
    bias: float = 0.0,
    pool: int | None = None,
    stride: int | None = None,
    chunk: int = 1024,
) -> torch.Tensor:
    """Return pooled answers of filters, above and below zero.

    Args:
        images: (N, 3, H, W) in 0 to 1, not whitened.
        filters: (F, 3, P, P).
        bias: taken off before the rectification.
        pool: side of the pooling windows; None pools over the whole image.
        stride: between windows; the last, partial ones are averaged over their real size.
        chunk: filters worked on together; within a chunk come all positive answers, then all
            negative ones, so the order of features depends on it.

    Returns:
        (N, 2 F) for a pool over the whole, else (N, 2 F x windows), each answer row by row.
    """
    parts = []
    for some in filters.split(chunk):
        side = max(images.shape[-2:]) - some.shape[-1] + 1
        if pool is None or pool >= side:
            positive, negative = _whole_means(images, some, bias)
        else:
            answer = F.conv2d(images, some)
            positive = _pooled(F.relu(answer - bias), pool, stride or pool)
            negative = _pooled(F.relu(-answer - bias), pool, stride or pool)
        parts.append(torch.cat([positive, negative], dim=1).flatten(1))
    return torch.cat(parts, dim=1)


def _whole_means(
    images: torch.Tensor, filters: torch.Tensor, bias: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return means over the whole map, (N, F) each, in strips of rows that fit a core's cache.

    Whole maps of many filters do not, and writing them to memory took five times as long.
    """
    patch = filters.shape[-1]
    high, wide = (side - patch + 1 for side in images.shape[-2:])
    rows = max(1, _STRIP // (len(filters) * wide))
    above = torch.zeros(len(images), len(filters))
    below = torch.zeros_like(above)
    for place, image in enumerate(images.split(1)):
        for top in range(0, high, rows):
            last = min(top + rows, high) - 1
            strip = image[..., top : last + patch, :]
            answer = F.conv2d(strip, filters)[0]
            above[place] += F.relu(answer - bias).sum(dim=(1, 2))
            below[place] += F.relu(-answer - bias).sum(dim=(1, 2))
    return above / (high * wide), below / (high * wide)


def _pooled(maps: torch.Tensor, pool: int, stride: int) -> torch.Tensor:
    return F.avg_pool2d(maps, pool, stride, ceil_mode=True)


def rcf(tiles: NDArray, filters: Floats) -> Floats:
    """Return (B, 2 F) features of (B, S, S, 3) uint8 tiles: pooled over the whole tile.

    Every position is taken: the mean over every third pixel of rows and columns was off by a third
    of the spread between tiles, and a baseline must not be weakened.
    """
    images = torch.from_numpy(np.ascontiguousarray(tiles.transpose(0, 3, 1, 2))).float() / 255
    with torch.inference_mode():
        return convolved_features(images, torch.from_numpy(filters)).numpy()


def write_filters(arrays: Sequence[Path], filters: int, seed: int, output: Path) -> None:
    """Draw filters once for all scenes, stage `draw_filters`.

    Args:
        arrays: `tiles.npy` of the training scenes.
        filters: number of filters F.
        seed: of the draw.
        output: `.npy` to write, (F, 3, P, P) float32.

    Raises:
        SceneError: there is no training tile.
    """
    drawn = draw_filters([np.load(path, mmap_mode="r") for path in arrays], filters, seed)
    with written_whole(output) as temporary:
        np.save(temporary, drawn)
