"""What a detector takes for what: confusion matrix and kinds of errors at one score.

Kinds follow Bolya et al., "TIDE: A General Toolbox for Identifying Object Detection Errors", ECCV
2020, section 2.2 (IoU of .5 for a hit, .1 for the foreground), counted, not as losses of AP.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from urbanssl.detect.coco_eval import Evaluation, Found, Truth, ends_of
from urbanssl.detect.coco_kernels import HIT, RIGHT, WRONG, count_mistakes

KINDS = ("class", "localisation", "class_and_localisation", "duplicate", "background", "missed")


@dataclass(frozen=True)
class Mistakes:
    """Counts at one score.

    Attributes:
        min_score: score from which detections count.
        confusion: `(c + 1, c + 1)` truth in rows, prediction in columns, background last.
        errors: number of each of `KINDS`.
    """

    min_score: float
    confusion: NDArray[np.int64]
    errors: dict[str, int]

    def plain(self, names: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return confusion and errors for the metrics file."""
        about = {"min_score": self.min_score, "iou": HIT}
        confusion = {"names": [*names, "background"], "counts": self.confusion.tolist(), **about}
        return confusion, dict(self.errors)


def best_score(evaluation: Evaluation) -> float:
    """Return the score at which F1 at IoU .5 is highest, over all classes together.

    Small networks score low throughout, so a fixed score would compare thresholds, not networks.
    """
    scores = evaluation.found_scores
    order = np.argsort(-scores, kind="stable")
    state = evaluation.states[0, 0, order]
    right, wrong = np.cumsum(state == RIGHT), np.cumsum(state == WRONG)
    total = evaluation.positives()[0].sum()
    f1 = 2 * right / np.maximum(right + wrong + total, 1)
    return float(scores[order][int(np.argmax(f1))]) if len(f1) else 0.0


def mistakes(truth: Truth, found: Found, images: int, classes: int, min_score: float) -> Mistakes:
    """Count what became of every labelled box and every detection.

    Detections go from the highest score down. One takes the free box of its class with the highest
    IoU (.5 or more). One left over that lies on a box to ignore counts neither way; otherwise it is
    a duplicate (its class, already found), of the wrong class, badly placed, both, or background.
    Boxes that no detection took or mistook are missed. In the matrix a badly placed box is found
    on the background, and its object is missed.

    Args:
        truth: labelled boxes.
        found: detections.
        images: number of images.
        classes: number of classes.
        min_score: detections below are left out.
    """
    chosen = np.flatnonzero(found.scores >= min_score)
    chosen = chosen[np.lexsort((-found.scores[chosen], found.images[chosen]))]
    order = np.argsort(truth.images, kind="stable")
    numbers = np.arange(images)
    images_of = (found.images[chosen], truth.images[order])
    bounds = [end for of in images_of for end in ends_of(of, numbers)]
    confusion, errors = count_mistakes(
        np.stack(bounds, axis=1).astype(np.int64),
        np.ascontiguousarray(found.boxes[chosen], float),
        found.classes[chosen].astype(np.int64),
        np.ascontiguousarray(truth.boxes[order], float),
        truth.classes[order].astype(np.int64),
        truth.ignore[order].astype(bool),
        classes,
    )
    return Mistakes(min_score, confusion, dict(zip(KINDS, errors.tolist(), strict=True)))
