"""COCO scoring of boxes: the 12 statistics, by class, and with images weighted.

Our own, not a library, since the intervals need what libraries throw away: matches are found once
(`Evaluation`), and every resample of the images only weighs them anew. Numbers agree with
pycocotools 2.0.11 to rounding (tests/golden/test_coco.py); see benchmarks/score.py for the speed.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from urbanssl.detect.coco_kernels import hits, match, precisions

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0.0, 1.0, 101)
#: Ranges of box areas in pixels: all, small, medium, large.
PIXEL_RANGES = np.array([[0, 1e10], [0, 32.0**2], [32.0**2, 96.0**2], [96.0**2, 1e10]])
MOST = 100
NAMES = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")


@dataclass(frozen=True)
class Truth:
    """Labelled boxes.

    Attributes:
        images: `(m,)` image numbers, from 0.
        classes: `(m,)` class numbers, from 0.
        boxes: `(m, 4)` x, y, width, height.
        area: `(m,)` area that decides the range of sizes.
        ignore: `(m,)` boxes that count neither way (crowds, cut or difficult ones).
    """

    images: Ints
    classes: Ints
    boxes: Floats
    area: Floats
    ignore: NDArray[np.bool_]


@dataclass(frozen=True)
class Found:
    """Detections.

    Attributes:
        images: `(n,)` image numbers, from 0.
        classes: `(n,)` class numbers, from 0.
        boxes: `(n, 4)` x, y, width, height.
        scores: `(n,)`; of equal scores, the first in order comes first.
        area: `(n,)` area that decides the range of sizes; None: width x height.
    """

    images: Ints
    classes: Ints
    boxes: Floats
    scores: Floats
    area: Floats | None = None


class Evaluation:
    """Detections matched with labelled boxes, ready to be counted.

    Args:
        truth: labelled boxes.
        found: detections; of one image and class the best 100 count.
        images: number of images.
        classes: number of classes.
        ranges: `(4, 2)` areas: all, small, medium, large, ends included.
    """

    def __init__(
        self,
        truth: Truth,
        found: Found,
        images: int,
        classes: int,
        ranges: Floats = PIXEL_RANGES,
    ) -> None:
        self.classes, self.ranges = classes, ranges
        area = found.boxes[:, 2:].prod(1) if found.area is None else found.area
        order = np.lexsort((-found.scores, found.images, found.classes))
        keys = (found.classes * images + found.images)[order]
        rank = np.arange(len(keys)) - np.searchsorted(keys, keys)
        order, keys, rank = order[rank < MOST], keys[rank < MOST], rank[rank < MOST]
        truth_keys = truth.classes * images + truth.images
        truth_order = np.argsort(truth_keys, kind="stable")
        truth_keys = truth_keys[truth_order]
        groups = np.unique(keys)
        bounds = [end for of in (keys, truth_keys) for end in ends_of(of, groups)]
        states = match(
            np.stack(bounds, axis=1).astype(np.int64).reshape(-1, 4),
            np.ascontiguousarray(found.boxes[order], float),
            area[order].astype(float),
            np.ascontiguousarray(truth.boxes[truth_order], float),
            truth.area[truth_order].astype(float),
            truth.ignore[truth_order].astype(bool),
            ranges.astype(float),
            THRESHOLDS,
        )
        by_score = np.lexsort((-found.scores[order], found.classes[order]))
        #: Rows of the detections that count, by class and descending score.
        self.rows = order[by_score]
        self.rank = rank[by_score]
        self.found_scores = found.scores[self.rows]
        self.states = states[:, :, by_score]
        self.starts = np.searchsorted(found.classes[self.rows], np.arange(classes + 1)).astype(int)
        low, high = ranges[:, :1], ranges[:, 1:]
        #: Which labelled boxes count, by range of areas.
        self.counted = ~truth.ignore & (truth.area >= low) & (truth.area <= high)
        self._truth_classes = truth.classes

    def positives(self, weights: Floats | None = None) -> Floats:
        """Return the number of labelled boxes that count, `(ranges, classes)`.

        Args:
            weights: `(m,)` how often each box counts; None: once.
        """
        each = self.counted.astype(float)
        if weights is not None:
            each = each * weights
        classes = self._truth_classes
        return np.stack([np.bincount(classes, row, self.classes) for row in each])

    @cached_property
    def precision(self) -> Floats:
        """Interpolated precision `(ranges, thresholds, classes, 101)`; -1 without labels."""
        ones = np.ones(len(self.rows))
        result: Floats = precisions(self.states, self.starts, ones, self.positives(), RECALLS)
        return result

    def recall(self, most: int = MOST) -> Floats:
        """Return the highest recall with `most` boxes of an image and class.

        Returns:
            `(ranges, thresholds, classes)`; -1 without labelled boxes.
        """
        right = hits(self.states, self.starts, self.rank, most)
        positives = np.broadcast_to(self.positives()[:, None], right.shape)
        return np.divide(right, positives, out=np.full(right.shape, -1.0), where=positives > 0)

    def stats(self) -> dict[str, float | None]:
        """Return the 12 COCO statistics by name; None where no class has labelled boxes."""
        precision, recall = self.precision, self.recall()
        parts = [precision[0], precision[0, 0], precision[0, 5], *precision[1:]]
        parts += [self.recall(1)[0], self.recall(10)[0], recall[0], *recall[1:]]
        return {name: mean_known(part) for name, part in zip(NAMES, parts, strict=True)}

    def by_class(self) -> list[dict[str, float | None]]:
        """Return AP, AP50, AR100 and the number of labelled boxes (`instances`) of each class."""
        precision, recall = self.precision[0], self.recall()[0]
        positives = self.positives()[0]
        return [
            {
                "AP": mean_known(precision[:, c]),
                "AP50": mean_known(precision[0, c]),
                "AR100": mean_known(recall[:, c]),
                "instances": float(positives[c]),
            }
            for c in range(self.classes)
        ]

    def weighted(self, truth: Floats, found: Floats) -> tuple[float | None, float | None]:
        """Return AP and AP50 with boxes counted as often as weights say.

        Args:
            truth: `(m,)` weights of the labelled boxes.
            found: `(n,)` weights of the detections.
        """
        positives = self.positives(truth)[:1]
        precision = precisions(self.states[:1], self.starts, found[self.rows], positives, RECALLS)
        return mean_known(precision[0]), mean_known(precision[0, 0])


def ends_of(keys: Ints, wanted: Ints) -> tuple[Ints, Ints]:
    """Return where each wanted key begins and ends in ascending keys."""
    first = np.searchsorted(keys, wanted, "left")
    return first.astype(np.int64), np.searchsorted(keys, wanted, "right").astype(np.int64)


def mean_known(values: Floats) -> float | None:
    """Return the mean without the entries of -1 (no labelled box), None if there are no others."""
    known = values[values > -1]
    return float(known.mean()) if known.size else None
