"""Stage calibrate_scores: what a detector's scores are worth, learned on the validation tiles.

A score of 0.4 is no chance of 0.4. Detections on validation tiles are matched with labels, and the
chance that one is a real object, counted once, is fitted to its score and class. Sums of these
chances are then expected numbers of found objects. What the detector misses stays uncounted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, logit

from urbanssl.artifacts import read_json, write_json
from urbanssl.detect.coco_eval import Evaluation
from urbanssl.detect.coco_kernels import NEITHER, RIGHT
from urbanssl.detect.score import tile_case

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Fewer matched detections than this say nothing of the scores.
LEAST = 30
#: Scores are kept this far from 0 and 1.
_EDGE = 1e-4


@dataclass(frozen=True)
class Calibration:
    """From score to chance: log odds are `slope` times those of the score, plus a number a class.

    Attributes:
        slope: 1 leaves the shape of the scores as it is.
        offset: class -> number.
    """

    slope: float
    offset: dict[str, float]

    def chance(self, score: Floats, class_name: Sequence[str]) -> Floats:
        """Return (n,) chances that detections are real objects.

        Args:
            score: (n,) 0 to 1.
            class_name: n classes; one that was not calibrated takes the mean of the others.
        """
        other = float(np.mean(list(self.offset.values()))) if self.offset else 0.0
        offset = np.array([self.offset.get(name, other) for name in class_name], float)
        return expit(self.slope * _odds(score) + offset)

    @classmethod
    def read(cls, path: Path) -> Calibration:
        """Return what `calibrate_scores` wrote."""
        content = read_json(path)
        return cls(content["slope"], content["offset"])


def calibrate_scores(
    tile_boxes: list[Path], coco: Path, classes: Sequence[str], output: Path, about: dict[str, Any]
) -> None:
    """Fit chances to the scores of detections on the validation tiles.

    Args:
        tile_boxes: predicted boxes of the labelled scenes' tiles.
        coco: labels of the validation tiles.
        classes: names, in order.
        output: JSON: `slope, offset` (by class), `detections, right`, and how well scores and
            chances sum up on blocks that were left out of the fit (`before`, `after`: `expected`
            number and `brier` score). With fewer than 30 detections, or none right or wrong, the
            scores stay as they are and `note` says so.
        about: provenance.
    """
    score, kind, right, block = matched_detections(tile_boxes, read_json(coco), classes)
    content: dict[str, Any] = {"detections": len(score), "right": int(right.sum())}
    if len(score) < LEAST or right.all() or not right.any():
        slope, offset = 1.0, np.zeros(len(classes))
        content["note"] = (
            f"scores are taken as they are: {len(score)} detections on the validation tiles, "
            f"{int(right.sum())} of them right, are too few to calibrate by"
        )
    else:
        slope, offset = fit_chance(score, kind, right, len(classes))
        content["before"] = _account(score, right)
        content["after"] = _account(left_out_chance(score, kind, right, block, len(classes)), right)
    content |= {"slope": slope, "offset": dict(zip(classes, offset.tolist(), strict=True))}
    write_json(output, {**content, "provenance": about})


def matched_detections(
    tile_boxes: list[Path], coco: dict[str, Any], classes: Sequence[str]
) -> tuple[Floats, Ints, NDArray[np.bool_], NDArray[np.str_]]:
    """Return score, class, whether right, and block of the detections that count either way.

    A labelled object makes one detection right, the best that overlaps it by half; a second one
    is wrong. Detections of objects that the tile's edge cuts too much count neither way.
    """
    if not coco["images"]:
        nothing = np.zeros(0)
        return nothing, nothing.astype(np.int64), nothing.astype(bool), nothing.astype(str)
    case = tile_case(tile_boxes, coco, classes)
    matched = Evaluation(case.truth, case.found, case.images, len(classes))
    state = matched.states[0, 0]
    counts = state != NEITHER
    rows = matched.rows[counts]
    found = case.found
    return found.scores[rows], found.classes[rows], state[counts] == RIGHT, case.found_blocks[rows]


def fit_chance(
    score: Floats, kind: Ints, right: NDArray[np.bool_], classes: int
) -> tuple[float, Floats]:
    """Return slope and (C,) offsets of the log odds: the posterior mode under normal priors.

    The priors (spread 1, about a slope of 1 and about the mean offset of the classes) keep a class
    with few detections near the others.

    Args:
        score: (n,) 0 to 1.
        kind: (n,) class numbers.
        right: (n,).
        classes: number of classes C.

    Source: Platt (1999), Probabilistic outputs for support vector machines, section 2.
    """
    odds = _odds(score)

    def loss(values: Floats) -> tuple[float, Floats]:
        slope, middle, apart = values[0], values[1], values[2:]
        line = slope * odds + middle + apart[kind]
        miss = expit(line) - right
        total = np.logaddexp(0, line).sum() - line[right].sum()
        total += 0.5 * ((slope - 1) ** 2 + (apart**2).sum())
        each = np.bincount(kind, miss, classes) + apart
        return float(total), np.concatenate([[miss @ odds + slope - 1, miss.sum()], each])

    start = np.concatenate([[1.0, 0.0], np.zeros(classes)])
    bounds = [(0.0, None), *[(None, None)] * (classes + 1)]
    best = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    return float(best[0]), best[1] + best[2:]


def left_out_chance(
    score: Floats, kind: Ints, right: NDArray[np.bool_], block: NDArray[np.str_], classes: int
) -> Floats:
    """Return (n,) chances, each by a fit without the detections of the same block of land."""
    chance = np.full(len(score), right.mean())
    for name in np.unique(block):
        held = block == name
        if held.all():
            break
        slope, offset = fit_chance(score[~held], kind[~held], right[~held], classes)
        chance[held] = expit(slope * _odds(score[held]) + offset[kind[held]])
    return chance


def _account(chance: Floats, right: NDArray[np.bool_]) -> dict[str, float]:
    return {"expected": float(chance.sum()), "brier": float(((chance - right) ** 2).mean())}


def _odds(score: Floats) -> Floats:
    odds: Floats = logit(np.clip(np.asarray(score, float), _EDGE, 1 - _EDGE))
    return odds
