"""One box for one object: boxes of overlapping tiles matched, joined and thinned out.

Two boxes of neighbouring tiles show the same object if they agree where both tiles look: within the
shared zone, their IoU is high. A box that ends at the border of its tile is *cut*; the neighbour
may see all of the object (then the cut box goes) or its other end (then the two are joined). The
rest is thinned out class by class, over a grid of cells: by non-maximum suppression, or by weighted
box fusion (Solovyev et al. 2021, "Weighted boxes fusion", Image and Vision Computing 107, section
3), with tiles in the place of their models.

Without overlap a box that ends at a border is joined to one that begins there: two objects that
nearly touch across it (2 % of a tile's side apart) become one. Overlap avoids that.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from urbanssl.compiled import compiled

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

#: A side counts as cut if it is nearer to the tile's border than this share of the tile's side ...
NEAR_BORDER = 0.02
#: ... and than this share of the box's own side.
NEAR_OWN = 0.2
#: A cut box goes if this share of it lies in a box of its class that is kept.
COVERED = 0.7
#: Tiles that share less than this (pixels) only touch.
_TOUCH = 1.0


@dataclass(frozen=True)
class Fused:
    """What is left of the boxes of one image.

    Attributes:
        boxes: `(m, 4)` in image pixels.
        scores: `(m,)`, the highest of the boxes that went into one; with weighted fusion the mean
            over the tiles that show all of it, those that found nothing counting as 0.
        labels: `(m,)`.
        members: `(n,)` for each input box the row it went into, -1 where it was thinned out.
    """

    boxes: Floats
    scores: Floats
    labels: Ints
    members: Ints

    def parts(self) -> list[Ints]:
        """Return for each row the input boxes that went into it, in their order."""
        order = np.argsort(self.members, kind="stable")
        ends = np.searchsorted(self.members[order], np.arange(len(self.boxes) + 1))
        return [order[start:end] for start, end in itertools.pairwise(ends)]


def fuse(
    boxes: Floats,
    scores: Floats,
    labels: Ints,
    tiles: Ints,
    windows: Floats,
    extent: tuple[float, float],
    iou: float,
    weighted: bool = False,
) -> Fused:
    """Return one box for each object of an image.

    Args:
        boxes: `(n, 4)` x1, y1, x2, y2 in image pixels.
        scores: `(n,)`.
        labels: `(n,)` class numbers.
        tiles: `(n,)` row of `windows` that each box was found in.
        windows: `(t, 4)` x1, y1, x2, y2 of the tiles in image pixels.
        extent: width and height of the image in pixels.
        iou: IoU from which two boxes of a class are one object.
        weighted: of boxes that are one object take the mean, weighted by score, not the best one.
    """
    order = np.lexsort((labels, tiles))
    boxes, scores, labels, tiles = boxes[order], scores[order], labels[order], tiles[order]
    windows = np.clip(windows, 0, [*extent, *extent])
    cut = cut_sides(boxes, windows[tiles], extent)
    starts = np.searchsorted(tiles, np.arange(len(windows) + 1)).astype(np.int64)
    pairs = neighbours(windows)
    groups, absorbed = _match(boxes, labels, cut, starts, windows, pairs, iou)
    number, first, united, best, whole = _unite(
        groups, absorbed, boxes, scores, np.asarray(cut.any(axis=1))
    )
    rank = np.lexsort((-scores[best], ~whole))
    cell = float(np.median(windows[:, 2:] - windows[:, :2])) if len(windows) else 1.0
    kept, means, into = _suppress(
        united[rank],
        scores[best][rank],
        labels[first][rank],
        whole[rank],
        max(cell, 1.0),
        iou,
        COVERED,
        weighted,
    )
    row_of = np.full(len(united), -1, np.int64)
    row_of[rank[into >= 0]] = into[into >= 0]
    found, row = scores[best][rank[kept]], row_of[number]
    if weighted:
        found = _mean_scores(means, scores, tiles, row, windows)
    by_score = np.argsort(-found, kind="stable")
    place = np.full(len(kept) + 1, -1, np.int64)
    place[by_score] = np.arange(len(kept))
    members = np.empty(len(boxes), np.int64)
    members[order] = place[row]
    return Fused(means[by_score], found[by_score], labels[first][rank[kept]][by_score], members)


def _mean_scores(boxes: Floats, scores: Floats, tiles: Ints, row: Ints, windows: Floats) -> Floats:
    """Return for each box the mean over the tiles that show it of the best score found there.

    Args:
        boxes: `(m, 4)`.
        scores: `(n,)` of the members.
        tiles: `(n,)` where the members were found.
        row: `(n,)` the box that each member went into, -1 for none.
        windows: `(t, 4)` of the tiles.
    """
    kept = np.flatnonzero(row >= 0)
    order = kept[np.lexsort((-scores[kept], tiles[kept], row[kept]))]
    pairs = np.stack([row[order], tiles[order]])
    first = np.ones(len(order), np.bool_)
    first[1:] = (pairs[:, 1:] != pairs[:, :-1]).any(0)
    owner = row[order[first]]
    total = np.bincount(owner, scores[order[first]], len(boxes))
    tree = shapely.STRtree(shapely.box(*windows.T))
    showing, _ = tree.query(shapely.box(*boxes.T), predicate="covered_by")
    shown = np.maximum(
        np.bincount(showing, minlength=len(boxes)), np.bincount(owner, minlength=len(boxes))
    )
    return total / shown


def cut_sides(boxes: Floats, windows: Floats, extent: tuple[float, float]) -> Flags:
    """Return which sides (left, top, right, bottom) of boxes lie at an inner border of their tile.

    Args:
        boxes: `(n, 4)` in image pixels.
        windows: `(n, 4)` the window of each box's tile.
        extent: width and height of the image; its own border cuts nothing.
    """
    sides = np.tile(windows[:, 2:] - windows[:, :2], 2)
    own = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
    near = np.abs(boxes - windows) <= np.minimum(NEAR_BORDER * sides, NEAR_OWN * own)
    beyond = np.hstack([boxes[:, :2] < windows[:, :2], boxes[:, 2:] > windows[:, 2:]])
    inner = np.hstack([windows[:, :2] > 0.5, windows[:, 2:] < np.array(extent) - 0.5])
    return (near | beyond) & inner


def neighbours(windows: Floats) -> Ints:
    """Return the pairs `(p, 2)` of tiles that overlap or touch, first below second."""
    reach = shapely.box(*(windows + _TOUCH * np.array([-1, -1, 1, 1])).T)
    one, other = shapely.STRtree(reach).query(reach)
    return np.stack([one, other], axis=1)[one < other].astype(np.int64)


@compiled
def _overlap(a: Floats, b: Floats) -> tuple[float, float, float]:
    """Return intersection and union of two boxes, and the area of the first."""
    wide = min(a[2], b[2]) - max(a[0], b[0])
    high = min(a[3], b[3]) - max(a[1], b[1])
    inter = max(wide, 0.0) * max(high, 0.0)
    area = (a[2] - a[0]) * (a[3] - a[1])
    return inter, area + (b[2] - b[0]) * (b[3] - b[1]) - inter, area


@compiled
def _shared(a: Floats, b: Floats, zone: Floats) -> float:
    """Return the IoU of two boxes within a zone; where the zone is a line, that of their spans."""
    low, high = zone[:2], zone[2:]
    inter, union = 1.0, 1.0
    both = np.ones(2)
    for axis in range(2):
        if high[axis] - low[axis] <= _TOUCH:
            continue
        a1, a2 = max(a[axis], low[axis]), min(a[axis + 2], high[axis])
        b1, b2 = max(b[axis], low[axis]), min(b[axis + 2], high[axis])
        if a1 >= a2 or b1 >= b2:
            return 0.0
        inter *= max(min(a2, b2) - max(a1, b1), 0.0)
        both[0] *= a2 - a1
        both[1] *= b2 - b1
    union = both[0] + both[1] - inter
    return inter / union


@compiled
def _cut_towards(box: Floats, cut: Flags, window: Floats, other: Floats) -> bool:
    """Return whether a box is cut at a border of its tile beyond which the other tile goes on."""
    for axis in range(2):
        across = 1 - axis
        if box[across] >= other[across + 2] or box[across + 2] <= other[across]:
            continue
        low, high = window[axis], window[axis + 2]
        if cut[axis] and other[axis] < low - _TOUCH and other[axis + 2] >= low - _TOUCH:
            return True
        if cut[axis + 2] and other[axis + 2] > high + _TOUCH and other[axis] <= high + _TOUCH:
            return True
    return False


@compiled
def _root(parents: Ints, node: int) -> int:
    while parents[node] != node:
        parents[node] = parents[parents[node]]
        node = parents[node]
    return node


@compiled
def _match(
    boxes: Floats,
    labels: Ints,
    cut: Flags,
    starts: Ints,
    windows: Floats,
    pairs: Ints,
    iou: float,
) -> tuple[Ints, Flags]:
    """Match cut boxes with boxes of neighbouring tiles.

    Returns:
        the group of each box, and whether another box of its group shows the object better.
    """
    groups = np.arange(len(boxes))
    absorbed = np.zeros(len(boxes), np.bool_)
    zone = np.empty(4)
    for p in range(len(pairs)):
        s, t = pairs[p]
        for axis in range(2):
            zone[axis] = max(windows[s, axis], windows[t, axis])
            zone[axis + 2] = min(windows[s, axis + 2], windows[t, axis + 2])
        wide, high = zone[2] - zone[0], zone[3] - zone[1]
        line = wide <= _TOUCH or high <= _TOUCH
        if wide <= _TOUCH and high <= _TOUCH:
            continue
        for a in range(starts[s], starts[s + 1]):
            a_cut = _cut_towards(boxes[a], cut[a], windows[s], windows[t])
            best, best_value = -1, iou
            for b in range(starts[t], starts[t + 1]):
                if labels[b] != labels[a]:
                    continue
                value = _shared(boxes[a], boxes[b], zone)
                if value < best_value:
                    continue
                b_cut = _cut_towards(boxes[b], cut[b], windows[t], windows[s])
                if (a_cut and b_cut) or (not line and (a_cut or b_cut)):
                    best, best_value = b, value
            if best < 0 or _better(boxes, labels, starts[s], starts[s + 1], a, best, zone):
                continue
            b_cut = _cut_towards(boxes[best], cut[best], windows[t], windows[s])
            if a_cut and not b_cut:
                absorbed[a] = True
            if b_cut and not a_cut:
                absorbed[best] = True
            groups[_root(groups, a)] = _root(groups, best)
    return groups, absorbed


@compiled
def _better(
    boxes: Floats, labels: Ints, start: int, end: int, a: int, b: int, zone: Floats
) -> bool:
    """Return whether another box of a's tile agrees with b more than a does."""
    value = _shared(boxes[a], boxes[b], zone)
    for other in range(start, end):
        if labels[other] == labels[b] and _shared(boxes[other], boxes[b], zone) > value:
            return True
    return False


@compiled
def _unite(
    groups: Ints, absorbed: Flags, boxes: Floats, scores: Floats, cut: Flags
) -> tuple[Ints, Ints, Floats, Ints, Flags]:
    """Number the groups, and return a member, the box, the best member of each, and if it is whole.

    The box is the union of the members that no other shows better. A group is whole unless it is
    one box alone that is cut.
    """
    count = len(boxes)
    number = np.full(count, -1)
    numbers = np.empty(count, np.int64)
    first = np.empty(count, np.int64)
    best = np.empty(count, np.int64)
    sizes = np.zeros(count, np.int64)
    shown = np.zeros(count, np.int64)
    total = 0
    for i in range(count):
        root = _root(groups, i)
        if number[root] < 0:
            number[root] = total
            first[total] = best[total] = i
            total += 1
        numbers[i] = g = number[root]
        sizes[g] += 1
        shown[g] += not absorbed[i]
        if scores[i] > scores[best[g]]:
            best[g] = i
    united = np.empty((total, 4))
    united[:, :2], united[:, 2:] = np.inf, -np.inf
    whole = np.zeros(total, np.bool_)
    for i in range(count):
        g = numbers[i]
        whole[g] = sizes[g] > 1 or not cut[i]
        if absorbed[i] and shown[g] > 0:
            continue
        for c in range(2):
            united[g, c] = min(united[g, c], boxes[i, c])
            united[g, c + 2] = max(united[g, c + 2], boxes[i, c + 2])
    return numbers, first[:total], united, best[:total], whole


@compiled
def _suppress(
    boxes: Floats,
    scores: Floats,
    labels: Ints,
    whole: Flags,
    cell: float,
    iou: float,
    covered: float,
    weighted: bool,
) -> tuple[Ints, Floats, Ints]:
    """Keep the best of the boxes that are one object: greedily, over a grid of cells.

    Args:
        boxes: `(n, 4)`, best first.
        scores: `(n,)`.
        labels: `(n,)`.
        whole: `(n,)`; a box that is not whole also goes if a kept box covers it.
        cell: side of a cell in pixels.
        iou: IoU from which a box goes.
        covered: share of a cut box within a kept one from which it goes.
        weighted: a box that goes by its IoU draws the kept one towards it.

    Returns:
        The boxes that are kept, their corners, and for each box the kept one that it is part of,
        -1 where it went.
    """
    kept = np.empty(len(boxes), np.int64)
    means = boxes.copy()
    mass = scores.copy()
    into = np.full(len(boxes), -1, np.int64)
    if len(boxes) == 0:
        return kept, means, into
    left, top = boxes[:, 0].min(), boxes[:, 1].min()
    columns = int((boxes[:, 2].max() - left) / cell) + 1
    rows = int((boxes[:, 3].max() - top) / cell) + 1
    heads = np.full(columns * rows, -1, np.int64)
    items = [(np.int64(0), np.int64(0)) for _ in range(0)]
    count = 0
    for i in range(len(boxes)):
        c1, c2 = int((boxes[i, 0] - left) / cell), int((boxes[i, 2] - left) / cell)
        r1, r2 = int((boxes[i, 1] - top) / cell), int((boxes[i, 3] - top) / cell)
        gone = False
        for r in range(r1, r2 + 1):
            for c in range(c1, c2 + 1):
                item = heads[r * columns + c]
                while item >= 0 and not gone:
                    j, item = items[item]
                    if labels[i] != labels[j]:
                        continue
                    inter, union, area = _overlap(boxes[i], means[j])
                    alike = inter >= iou * union
                    gone = alike or (not whole[i] and inter >= covered * area)
                    if weighted and alike:
                        into[i] = into[j]
                        mass[j] += scores[i]
                        for side in range(4):
                            means[j, side] += (boxes[i, side] - means[j, side]) * (
                                scores[i] / mass[j]
                            )
        if gone:
            continue
        kept[count] = i
        into[i] = count
        count += 1
        for r in range(r1, r2 + 1):
            for c in range(c1, c2 + 1):
                items.append((np.int64(i), heads[r * columns + c]))
                heads[r * columns + c] = len(items) - 1
    return kept[:count], means[kept[:count]], into
