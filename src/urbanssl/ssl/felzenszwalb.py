"""Graph-based segmentation (Felzenszwalb and Huttenlocher 2004), compiled by numba.

Source: P. F. Felzenszwalb and D. P. Huttenlocher, "Efficient Graph-Based Image Segmentation",
IJCV 59(2), 2004: the predicate of section 3.1 (equations 3 and 4) and algorithm 1. Edge weights are
Euclidean distances of colours in grey levels (0 to 255), edges join the 4 or 8 nearest pixels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from urbanssl.compiled import compiled_fast

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]


def segment(
    image: NDArray[np.generic],
    k: float,
    sigma: float,
    min_size: int,
    diagonal: bool = True,
) -> Ints:
    """Segment an image into regions of even colour.

    Args:
        image: `(H, W, C)`, any number type, values 0 to 255.
        k: the larger, the larger the regions (grey levels, `k` of the paper).
        sigma: standard deviation of the Gaussian blur beforehand, pixels.
        min_size: smaller regions are joined to the neighbour across their weakest edge, pixels.
        diagonal: join a pixel to its 8 neighbours, otherwise to 4.

    Returns:
        `(H, W)` int32 labels, 0 to n - 1 in the order of first appearance.
    """
    blurred = gaussian_filter(image.astype(np.float32), (sigma, sigma, 0))
    ends, weights = edges_of(blurred, diagonal)
    order = sort_positive(weights)
    height, width = image.shape[:2]
    ends, weights = np.take(ends, order, 0), weights[order]
    labels, _ = join_pixels(ends, weights, height * width, np.array([k], np.float32), min_size)
    return labels.reshape(height, width)


@compiled_fast
def edges_of(image: Floats, diagonal: bool) -> tuple[Ints, Floats]:
    """Return the edges between neighbouring pixels.

    Args:
        image: `(H, W, C)` float32.
        diagonal: with the diagonal neighbours.

    Returns:
        `(E, 2)` int32 flat pixel indices and `(E,)` float32 colour distances.
    """
    height, width, channels = image.shape
    kinds = 4 if diagonal else 2
    ends = np.empty((kinds * height * width, 2), np.int32)
    weights = np.empty(kinds * height * width, np.float32)
    count = 0
    for kind in range(kinds):
        down = 0 if kind == 0 else (-1 if kind == 3 else 1)
        right = 0 if kind == 1 else 1
        for i in range(max(0, -down), height - max(0, down)):
            for j in range(width - right):
                total = np.float32(0)
                for c in range(channels):
                    gap = image[i, j, c] - image[i + down, j + right, c]
                    total += gap * gap
                ends[count, 0] = i * width + j
                ends[count, 1] = (i + down) * width + j + right
                weights[count] = np.sqrt(total)
                count += 1
    return ends[:count], weights[:count]


@compiled_fast
def sort_positive(values: Floats) -> Ints:
    """Return the stable ascending order of float32 numbers that are not negative.

    A radix sort over the bits: those of non-negative IEEE numbers ascend with the numbers.
    """
    bits = values.view(np.uint32)
    order = np.arange(values.size).astype(np.int32)
    moved = np.empty_like(order)
    for shift in (0, 11, 22):
        starts = np.zeros(2049, np.int64)
        for value in bits:
            starts[((value >> np.uint32(shift)) & np.uint32(2047)) + 1] += 1
        for b in range(2048):
            starts[b + 1] += starts[b]
        for index in order:
            b = (bits[index] >> np.uint32(shift)) & np.uint32(2047)
            moved[starts[b]] = index
            starts[b] += 1
        order, moved = moved, order
    return order


@compiled_fast
def root_of(parents: Ints, node: int) -> int:
    """Return the root of a node's tree, halving the path on the way."""
    while parents[node] != node:
        parents[node] = parents[parents[node]]
        node = parents[node]
    return node


@compiled_fast
def unite(parents: Ints, sizes: Ints, a: int, b: int) -> int:
    """Join the trees of two roots, the smaller below the larger; return the root."""
    if sizes[a] < sizes[b]:
        a, b = b, a
    parents[b] = a
    sizes[a] += sizes[b]
    return a


@compiled_fast
def join_pixels(
    ends: Ints, weights: Floats, pixels: int, scales: Floats, min_size: int
) -> tuple[Ints, Ints]:
    """Join pixels along edges (algorithm 1), then regions that are too small.

    Edges ascend in weight. Two regions are joined if the edge is no heavier than the heaviest edge
    inside each, plus k over its size (equations 3 and 4). A larger k joins what a smaller one joins
    until that refuses an edge for the first time; up to there, about half of the edges of a tile,
    the regions are found once for both.

    Args:
        ends: `(E, 2)` int32 pixels.
        weights: `(E,)` float32.
        pixels: their number.
        scales: `(K,)` float32, k of the paper, ascending.
        min_size: smaller regions are joined to the neighbour across their weakest edge, pixels.

    Returns:
        `(K, pixels)` int32 labels in order of first appearance, and `(K,)` their numbers.
    """
    labels = np.empty((scales.size, pixels), np.int32)
    counts = np.zeros(scales.size, np.int32)
    # What all scales so far agree on, and the edge after it.
    common_parents = np.arange(pixels).astype(np.int32)
    common_sizes = np.ones(pixels, np.int32)
    common_heaviest = np.zeros(pixels, np.float32)
    start = 0
    # Edges between regions; those within one, nearly all, are met once.
    between = np.empty(weights.size, np.int32)
    for s in range(scales.size):
        k = scales[s]
        parents, sizes = common_parents.copy(), common_sizes.copy()
        heaviest = common_heaviest.copy()
        left = 0
        for e in range(start, weights.size):
            a, b = root_of(parents, ends[e, 0]), root_of(parents, ends[e, 1])
            if a == b:
                continue
            weight = weights[e]
            if weight <= heaviest[a] + k / np.float32(sizes[a]) and weight <= heaviest[
                b
            ] + k / np.float32(sizes[b]):
                heaviest[unite(parents, sizes, a, b)] = weight
                continue
            if left == 0:
                common_parents[:], common_sizes[:] = parents, sizes
                common_heaviest[:] = heaviest
                start = e
            between[left] = e
            left += 1
        for e in between[:left]:
            a, b = root_of(parents, ends[e, 0]), root_of(parents, ends[e, 1])
            if a != b and (sizes[a] < min_size or sizes[b] < min_size):
                unite(parents, sizes, a, b)
        numbers = np.full(pixels, -1, np.int32)
        for p in range(pixels):
            root = root_of(parents, p)
            if numbers[root] < 0:
                numbers[root] = counts[s]
                counts[s] += 1
            labels[s, p] = numbers[root]
    return labels, counts
