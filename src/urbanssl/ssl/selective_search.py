"""Selective Search: boxes of the regions of a hierarchy of segmentations, compiled by numba.

Source: J. R. R. Uijlings et al., "Selective Search for Object Recognition", IJCV 104(2), 2013,
sections 3.1 (grouping) and 3.2 (similarities, equations 2 to 5), with the choices of OpenCV's
`fast` mode that DETReg uses: HSV and Lab, k of 150, 300 and 450, sigma .8, regions of 100 pixels or
more, two groupings (colour + texture + size + fill, and the last three).

Boxes are OpenCV's to the pixel, but for rare ones (8 of 10,770 of real tiles). Neighbours are found
as it finds them: by the pixels left, above and above left of each pixel but those of the first row
and column.

The order of boxes in OpenCV is random: each region draws a uniform number times its level (1 for a
segment, 1 + the larger level of the parts for a union), the smallest come first, later copies of a
box are dropped. `urbanssl.ssl.box_order` draws it from the levels alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from urbanssl.compiled import compiled_fast
from urbanssl.ssl.felzenszwalb import Floats, Ints, edges_of, join_pixels, sort_positive
from urbanssl.ssl.search_views import Bytes, blurred, colours_of, resized, slopes_of

SIGMA = 0.8
SCALES = np.array([150.0, 300.0, 450.0], np.float32)
MIN_SIZE = 100
COLOUR_BINS = 25
TEXTURE_BINS = 10
DIRECTIONS = 8  # four slopes, up and down apart


@dataclass(frozen=True)
class Regions:
    """The boxes of one tile, each found at one or more levels of one or more hierarchies.

    Attributes:
        boxes: `(n, 4)` float32 x1, y1, x2, y2 in tile pixels, none twice.
        levels: `(m,)` float32, m >= n: the levels of the first box, then of the second, ...
        starts: `(n,)` int64, where the levels of each box start.
    """

    boxes: Floats
    levels: Floats
    starts: NDArray[np.int64]

    @property
    def highest(self) -> Floats:
        """The highest level of each box, `(n,)`."""
        return np.maximum.reduceat(self.levels, self.starts)


def search(tile: NDArray[np.uint8], size: int = 128) -> Regions:
    """Return the boxes that Selective Search finds on a tile; they do not depend on chance.

    Args:
        tile: `(H, W, 3)` uint8. Channels are used in the order they come, as DETReg does (it hands
            red-green-blue to a function that expects blue-green-red).
        size: side in pixels to which the tile is resized for the search.
    """
    height, width = tile.shape[:2]
    small = resized(tile, size)
    corners, levels = hierarchy(small)
    keys = corners.astype(np.int64) @ np.array([1 << 48, 1 << 32, 1 << 16, 1])
    order = np.lexsort((levels, keys))
    starts = np.flatnonzero(np.diff(keys[order], prepend=-1))
    scale = np.array([width, height, width, height], np.float32) / np.float32(size)
    return Regions(corners[order[starts]].astype(np.float32) * scale, levels[order], starts)


def ranked_order(regions: Regions) -> NDArray[np.int64]:
    """Return the order by descending level (as the paper means it), larger boxes first in ties."""
    area = (regions.boxes[:, 2:] - regions.boxes[:, :2]).prod(1)
    return np.lexsort((-area, -regions.highest))


def hierarchy(image: NDArray[np.uint8]) -> tuple[Ints, Floats]:
    """Return boxes `(n, 4)` int32 and levels `(n,)` of all regions of all groupings, with copies.

    Not compiled itself: numba's stored code does not notice edits of other modules, so compiled
    functions here call none of theirs.

    Args:
        image: `(H, W, 3)` uint8, blue-green-red.
    """
    height, width, _ = image.shape
    most = 4 * SCALES.size * 2 * (height * width // MIN_SIZE + 1)
    boxes = np.empty((most, 4), np.int32)
    levels = np.empty(most, np.float32)
    count = 0
    for converted in colours_of(image):
        words = words_of(converted, slopes_of(converted))
        ends, weights = edges_of(blurred(converted, SIGMA), False)
        order = sort_positive(weights)
        ends, weights = np.take(ends, order, 0), weights[order]
        segmented, numbers = join_pixels(ends, weights, height * width, SCALES, MIN_SIZE)
        for labels, regions in zip(segmented, numbers, strict=True):
            rects, sizes, near = outlines(labels.reshape(height, width), regions)
            histograms = histograms_of(labels, regions, words, sizes)
            for first in (0, 3 * COLOUR_BINS):
                count = group(
                    rects, sizes, near, histograms, first, height * width, boxes, levels, count
                )
    return boxes[:count], levels[:count]


@compiled_fast
def words_of(image: Bytes, slopes: Bytes) -> NDArray[np.int16]:
    """Return, for each pixel, the histogram bins it counts in.

    Args:
        image: `(H, W, C)` uint8.
        slopes: `(C, 4, 2, H, W)` uint8.

    Returns:
        `(H * W, C * 9)` int16: C colour bins, then 8 texture bins a channel.
    """
    height, width, channels = image.shape
    textures = slopes.reshape(channels * DIRECTIONS, height * width)
    words = np.empty((height * width, channels + textures.shape[0]), np.int16)
    for i in range(height):
        for j in range(width):
            for c in range(channels):
                word = c * COLOUR_BINS + (int(image[i, j, c]) * COLOUR_BINS >> 8)
                words[i * width + j, c] = word
        for t in range(textures.shape[0]):
            first = channels * COLOUR_BINS + t * TEXTURE_BINS
            for p in range(i * width, i * width + width):
                words[p, channels + t] = first + (int(textures[t, p]) * TEXTURE_BINS >> 8)
    return words


@compiled_fast
def outlines(labels: Ints, regions: int) -> tuple[Ints, Ints, NDArray[np.bool_]]:
    """Return boxes `(n, 4)`, sizes `(n,)` in pixels, neighbourhood `(n, n)` of labelled regions."""
    height, width = labels.shape
    rects = np.empty((regions, 4), np.int32)
    rects[:, 0], rects[:, 1], rects[:, 2], rects[:, 3] = width, height, 0, 0
    sizes = np.zeros(regions, np.int32)
    near = np.zeros((regions, regions), np.bool_)
    for i in range(height):
        for j in range(width):
            r = labels[i, j]
            sizes[r] += 1
            rects[r, 0], rects[r, 1] = min(rects[r, 0], j), min(rects[r, 1], i)
            rects[r, 2], rects[r, 3] = max(rects[r, 2], j + 1), max(rects[r, 3], i + 1)
            if i > 0 and j > 0:
                for up, left in ((0, 1), (1, 0), (1, 1)):
                    other = labels[i - up, j - left]
                    near[r, other] = near[other, r] = True
    for r in range(regions):
        near[r, r] = False
    return rects, sizes, near


@compiled_fast
def histograms_of(labels: Ints, regions: int, words: NDArray[np.int16], sizes: Ints) -> Floats:
    """Return `(n, bins)` histograms of regions; colour and texture each sum to 1."""
    columns = words.shape[1]
    channels = columns // (1 + DIRECTIONS)
    colours = channels * COLOUR_BINS
    counts = np.zeros((regions, colours + channels * DIRECTIONS * TEXTURE_BINS), np.int32)
    for p in range(labels.size):
        row = counts[labels[p]]
        for w in range(columns):
            row[words[p, w]] += 1
    histograms = np.empty(counts.shape, np.float32)
    for r in range(regions):
        for b in range(counts.shape[1]):
            total = sizes[r] * channels * (1 if b < colours else DIRECTIONS)
            histograms[r, b] = counts[r, b] / np.float32(total)
    return histograms


@compiled_fast
def likeness(
    a: int, b: int, rects: Ints, sizes: Ints, histograms: Floats, first: int, area: int
) -> float:
    """Return the sum of similarities of two regions (equations 2 to 5).

    Bins before `first` are left out: 0 takes colour and texture, otherwise texture alone. Sums
    order pairs as means do.
    """
    shared = np.float32(0)
    for bin_ in range(first, histograms.shape[1]):
        shared += min(histograms[a, bin_], histograms[b, bin_])
    both = sizes[a] + sizes[b]
    wide = max(rects[a, 2], rects[b, 2]) - min(rects[a, 0], rects[b, 0])
    high = max(rects[a, 3], rects[b, 3]) - min(rects[a, 1], rects[b, 1])
    size = 1 - both / area
    fill = min(1 - (wide * high - both) / area, 1.0)
    return shared + size + fill


@compiled_fast
def best_of(row: Floats) -> int:
    """Return the place of the largest number of a row."""
    best = 0
    for j in range(1, row.size):
        if row[j] > row[best]:
            best = j
    return best


@compiled_fast
def group(
    segment_rects: Ints,
    segment_sizes: Ints,
    near: NDArray[np.bool_],
    segment_histograms: Floats,
    first: int,
    area: int,
    boxes: Ints,
    levels: Floats,
    count: int,
) -> int:
    """Join the two most alike neighbours until one region is left (section 3.1).

    Boxes and levels of all regions are written from place `count` on; returns the next free place.
    """
    rects, sizes, histograms = segment_rects.copy(), segment_sizes.copy(), segment_histograms.copy()
    regions = sizes.size
    level = np.ones(regions, np.float32)
    alike = np.full((regions, regions), -1, np.float32)
    for a in range(regions):
        boxes[count], levels[count] = rects[a], 1
        count += 1
        for b in range(a):
            if near[a, b]:
                value = likeness(a, b, rects, sizes, histograms, first, area)
                alike[a, b] = alike[b, a] = value
    best = np.empty(regions, np.int32)
    for a in range(regions):
        best[a] = best_of(alike[a])
    for _ in range(regions - 1):
        a = 0
        for r in range(1, regions):
            if alike[r, best[r]] > alike[a, best[a]]:
                a = r
        b = best[a]
        if alike[a, b] < 0:
            break
        join_regions(a, b, rects, sizes, histograms, first)
        level[a] = max(level[a], level[b]) + 1
        boxes[count], levels[count] = rects[a], level[a]
        count += 1
        renew(a, b, alike, best, rects, sizes, histograms, first, area)
    return count


@compiled_fast
def join_regions(a: int, b: int, rects: Ints, sizes: Ints, histograms: Floats, first: int) -> None:
    """Put region b into region a: union of boxes, histograms averaged by size."""
    both = sizes[a] + sizes[b]
    share = np.float32(sizes[a] / both)
    for bin_ in range(first, histograms.shape[1]):
        histograms[a, bin_] = share * histograms[a, bin_] + (1 - share) * histograms[b, bin_]
    for c in range(2):
        rects[a, c] = min(rects[a, c], rects[b, c])
        rects[a, c + 2] = max(rects[a, c + 2], rects[b, c + 2])
    sizes[a] = both


@compiled_fast
def renew(
    a: int,
    b: int,
    alike: Floats,
    best: Ints,
    rects: Ints,
    sizes: Ints,
    histograms: Floats,
    first: int,
    area: int,
) -> None:
    """Bring the similarities up to date after region b went into region a."""
    regions = sizes.size
    for r in range(regions):
        if r != a and r != b and (alike[a, r] >= 0 or alike[b, r] >= 0):
            value = likeness(a, r, rects, sizes, histograms, first, area)
            alike[a, r] = alike[r, a] = value
        alike[b, r] = alike[r, b] = -1
    best[a], best[b] = best_of(alike[a]), best_of(alike[b])
    for r in range(regions):
        if best[r] == a or best[r] == b:
            best[r] = best_of(alike[r])
        elif alike[r, a] > alike[r, best[r]]:
            best[r] = a
