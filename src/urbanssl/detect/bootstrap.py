"""Intervals of AP by resampling blocks of the test area."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from urbanssl.detect.coco_eval import Evaluation

#: Below this many blocks an interval would say nothing.
LEAST_BLOCKS = 3


Strings = NDArray[np.str_]


def block_weights(count: int, resamples: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw how often each block counts when blocks are drawn with replacement.

    Images of one place resemble each other, so blocks, not images or boxes, are the independent
    units (Efron and Tibshirani 1993, section 8.6).

    Returns:
        `(resamples, count)`.
    """
    return rng.multinomial(count, np.full(count, 1 / count), size=resamples).astype(float)


def intervals(
    evaluation: Evaluation,
    blocks: Strings,
    truth_blocks: Strings,
    found_blocks: Strings,
    resamples: int,
    rng: np.random.Generator,
) -> dict[str, list[float] | None]:
    """Return the 95 % intervals (percentiles) of AP and AP50.

    Args:
        evaluation: matches of all images.
        blocks: names of all blocks, with those that hold no box.
        truth_blocks: `(m,)` block of each labelled box.
        found_blocks: `(n,)` block of each detection.
        resamples: number of draws; 0 gives no interval.
        rng: source of randomness.

    Returns:
        `{"AP": [low, high], "AP50": [low, high]}`, None with fewer than 3 blocks.
    """
    names = np.unique(blocks)
    if resamples == 0 or len(names) < LEAST_BLOCKS:
        return {"AP": None, "AP50": None}
    truth, found = np.searchsorted(names, truth_blocks), np.searchsorted(names, found_blocks)
    drawn = [
        evaluation.weighted(row[truth], row[found])
        for row in block_weights(len(names), resamples, rng)
    ]
    ends: dict[str, list[float] | None] = {}
    for place, name in enumerate(("AP", "AP50")):
        known = [value for values in drawn if (value := values[place]) is not None]
        ends[name] = np.percentile(known, [2.5, 97.5]).tolist() if known else None
    return ends
