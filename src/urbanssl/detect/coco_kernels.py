"""The loops of scoring, compiled: matching, average precision from matches, mistakes.

Rules as in pycocotools' COCOeval: thresholds of IoU are met from 1 - 1e-10 down, a detection takes
the box of highest IoU that is free (the last of equals), boxes to ignore only if no other fits,
boxes of crowds any number of times; what matches a box to ignore, or matches none and lies outside
the range of areas, counts neither way.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from urbanssl.compiled import compiled

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

#: States of a detection.
WRONG, RIGHT, NEITHER = 0, 1, 2
#: IoU of a hit, and of a box that is at least near an object (TIDE, see mistakes.py).
HIT, NEAR = 0.5, 0.1
#: States of a labelled box among the mistakes.
_FREE, _FOUND, _CONFUSED = 0, 1, 2


@compiled
def box_iou(found: Floats, truth: Floats, crowd: bool) -> float:
    """Return the IoU of two boxes x, y, width, height; of a crowd, the share of `found` inside."""
    wide = min(found[0] + found[2], truth[0] + truth[2]) - max(found[0], truth[0])
    high = min(found[1] + found[3], truth[1] + truth[3]) - max(found[1], truth[1])
    if wide <= 0 or high <= 0:
        return 0.0
    inter = wide * high
    area = found[2] * found[3]
    return inter / (area if crowd else area + truth[2] * truth[3] - inter)


@compiled
def match(
    groups: Ints,
    found: Floats,
    found_area: Floats,
    truth: Floats,
    truth_area: Floats,
    crowd: Flags,
    ranges: Floats,
    thresholds: Floats,
) -> NDArray[np.uint8]:
    """Match detections with labelled boxes, group by group (an image and a class).

    Args:
        groups: `(g, 4)` first and end row of `found`, first and end row of `truth`.
        found: `(n, 4)` x, y, width, height, by descending score within a group.
        found_area: `(n,)`.
        truth: `(m, 4)`.
        truth_area: `(m,)`.
        crowd: `(m,)` boxes to ignore.
        ranges: `(a, 2)` areas, ends included.
        thresholds: `(t,)` of IoU.

    Returns:
        `(a, t, n)` states: 0 wrong, 1 right, 2 counts neither way.
    """
    states = np.zeros((len(ranges), len(thresholds), len(found)), np.uint8)
    for g in range(len(groups)):
        d1, d2, t1, t2 = groups[g]
        ious = np.empty((d2 - d1, t2 - t1))
        for d in range(d2 - d1):
            for t in range(t2 - t1):
                ious[d, t] = box_iou(found[d1 + d], truth[t1 + t], crowd[t1 + t])
        for a in range(len(ranges)):
            low, high = ranges[a]
            left_out = np.empty(t2 - t1, np.bool_)
            for t in range(t2 - t1):
                area = truth_area[t1 + t]
                left_out[t] = crowd[t1 + t] or area < low or area > high
            for k in range(len(thresholds)):
                _match_group(ious, left_out, crowd[t1:t2], thresholds[k], states[a, k, d1:d2])
                for d in range(d1, d2):
                    outside = found_area[d] < low or found_area[d] > high
                    if states[a, k, d] == WRONG and outside:
                        states[a, k, d] = NEITHER
    return states


@compiled
def _match_group(
    ious: Floats, left_out: Flags, crowd: Flags, threshold: float, states: NDArray[np.uint8]
) -> None:
    """Match the detections of one image and class at one threshold; fills `states`."""
    taken = np.zeros(ious.shape[1], np.bool_)
    least = min(threshold, 1 - 1e-10)
    for d in range(ious.shape[0]):
        best = -1
        for wanted in (False, True):
            value = least
            for t in range(ious.shape[1]):
                if left_out[t] != wanted or (taken[t] and not crowd[t]):
                    continue
                if ious[d, t] >= value:
                    best, value = t, ious[d, t]
            if best >= 0:
                break
        if best >= 0:
            taken[best] = True
            states[d] = NEITHER if left_out[best] else RIGHT


@compiled
def precision_at(
    states: NDArray[np.uint8], weights: Floats, positives: float, levels: Floats
) -> Floats:
    """Return the interpolated precision at levels of recall (zeros beyond the highest recall).

    Args:
        states: `(n,)` of one class, by descending score.
        weights: `(n,)` how often each counts.
        positives: number of labelled boxes, weighted, above 0.
        levels: `(r,)` ascending levels of recall.
    """
    recall, precision = np.empty(len(states)), np.empty(len(states))
    right = wrong = 0.0
    for d in range(len(states)):
        if states[d] == RIGHT:
            right += weights[d]
        elif states[d] == WRONG:
            wrong += weights[d]
        recall[d] = right / positives
        precision[d] = right / (right + wrong + 2.220446049250313e-16)
    for d in range(len(states) - 2, -1, -1):
        precision[d] = max(precision[d], precision[d + 1])
    result = np.zeros(len(levels))
    d = 0
    for r in range(len(levels)):
        while d < len(states) and recall[d] < levels[r]:
            d += 1
        if d == len(states):
            break
        result[r] = precision[d]
    return result


@compiled
def precisions(
    states: NDArray[np.uint8], starts: Ints, weights: Floats, positives: Floats, levels: Floats
) -> Floats:
    """Return the precision at levels of recall for every range, threshold and class.

    Args:
        states: `(a, t, n)`, sorted by class, then by descending score.
        starts: `(c + 1,)` where each class starts.
        weights: `(n,)`.
        positives: `(a, c)`.
        levels: `(r,)`.

    Returns:
        `(a, t, c, r)`; -1 for classes without labelled boxes.
    """
    ranges, thresholds, _ = states.shape
    classes = len(starts) - 1
    result = np.full((ranges, thresholds, classes, len(levels)), -1.0)
    for a in range(ranges):
        for k in range(thresholds):
            for c in range(classes):
                if positives[a, c] > 0:
                    part = slice(starts[c], starts[c + 1])
                    result[a, k, c] = precision_at(
                        states[a, k, part], weights[part], positives[a, c], levels
                    )
    return result


@compiled
def hits(states: NDArray[np.uint8], starts: Ints, rank: Ints, most: int) -> Ints:
    """Return how many detections are right for every range, threshold and class.

    Args:
        states: `(a, t, n)`, sorted by class.
        starts: `(c + 1,)` where each class starts.
        rank: `(n,)` place among the detections of its image and class, from 0.
        most: detections of a higher rank are left out.

    Returns:
        `(a, t, c)`.
    """
    ranges, thresholds, _ = states.shape
    result = np.zeros((ranges, thresholds, len(starts) - 1), np.int64)
    for a in range(ranges):
        for k in range(thresholds):
            for c in range(len(starts) - 1):
                for d in range(starts[c], starts[c + 1]):
                    result[a, k, c] += states[a, k, d] == RIGHT and rank[d] < most
    return result


@compiled
def count_mistakes(
    groups: Ints,
    found: Floats,
    found_class: Ints,
    truth: Floats,
    truth_class: Ints,
    ignore: Flags,
    classes: int,
) -> tuple[Ints, Ints]:
    """Return the confusion matrix and the number of each kind of error, see mistakes.py.

    Args:
        groups: `(g, 4)` first and end row of `found`, first and end row of `truth`, by image.
        found: `(n, 4)` x, y, width, height, by descending score within an image.
        found_class: `(n,)`.
        truth: `(m, 4)`.
        truth_class: `(m,)`.
        ignore: `(m,)`.
        classes: number of classes.
    """
    confusion = np.zeros((classes + 1, classes + 1), np.int64)
    errors = np.zeros(6, np.int64)
    fate = np.zeros(len(truth), np.int64)
    for g in range(len(groups)):
        d1, d2, t1, t2 = groups[g]
        hit = np.zeros(d2 - d1, np.bool_)
        for d in range(d1, d2):
            best, value = -1, HIT
            for t in range(t1, t2):
                if truth_class[t] == found_class[d] and fate[t] == _FREE and not ignore[t]:
                    iou = box_iou(found[d], truth[t], False)
                    if iou >= value:
                        best, value = t, iou
            if best >= 0:
                fate[best] = _FOUND
                hit[d - d1] = True
                confusion[truth_class[best], truth_class[best]] += 1
        for d in range(d1, d2):
            if hit[d - d1]:
                continue
            same, same_at, other, other_at, ignored = 0.0, -1, 0.0, -1, 0.0
            for t in range(t1, t2):
                iou = box_iou(found[d], truth[t], ignore[t])
                if ignore[t]:
                    ignored = max(ignored, iou)
                elif truth_class[t] == found_class[d]:
                    if iou > same:
                        same, same_at = iou, t
                elif iou > other:
                    other, other_at = iou, t
            if ignored >= HIT and same < HIT and other < HIT:
                continue
            row = classes
            if same >= HIT:
                kind = 3
            elif other >= HIT:
                kind = 0
                if fate[other_at] == _FREE:
                    fate[other_at] = _CONFUSED
                    row = truth_class[other_at]
            elif same >= NEAR:
                kind = 1
                if fate[same_at] == _FREE:
                    fate[same_at] = _CONFUSED
                    confusion[truth_class[same_at], classes] += 1
            elif other >= NEAR:
                kind = 2
            else:
                kind = 4
            errors[kind] += 1
            confusion[row, found_class[d]] += 1
        for t in range(t1, t2):
            if fate[t] == _FREE and not ignore[t]:
                errors[5] += 1
                confusion[truth_class[t], classes] += 1
    return confusion, errors
