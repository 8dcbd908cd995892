"""Intervals of AP by resampling blocks of the test area.

The draws are kept, so that two runs can be compared draw by draw: the same seed draws the same
blocks for every run of one test split.
"""

from __future__ import annotations

from collections.abc import Sequence

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


def draws(
    evaluation: Evaluation,
    blocks: Strings,
    truth_blocks: Strings,
    found_blocks: Strings,
    resamples: int,
    rng: np.random.Generator,
) -> dict[str, list[float | None]]:
    """Return AP and AP50 of every resample of the blocks.

    Args:
        evaluation: matches of all images.
        blocks: names of all blocks, with those that hold no box.
        truth_blocks: `(m,)` block of each labelled box.
        found_blocks: `(n,)` block of each detection.
        resamples: number of draws.
        rng: source of randomness.

    Returns:
        `{"AP": [...], "AP50": [...]}`, None in draws without labelled boxes; both empty with fewer
        than 3 blocks.
    """
    names = np.unique(blocks)
    if resamples == 0 or len(names) < LEAST_BLOCKS:
        return {"AP": [], "AP50": []}
    truth, found = np.searchsorted(names, truth_blocks), np.searchsorted(names, found_blocks)
    drawn = [
        evaluation.weighted(row[truth], row[found])
        for row in block_weights(len(names), resamples, rng)
    ]
    return {name: [values[place] for values in drawn] for place, name in enumerate(("AP", "AP50"))}


def interval(drawn: Sequence[float | None]) -> list[float] | None:
    """Return the 95 % interval (percentiles) of the draws of a statistic, None without any."""
    known = [value for value in drawn if value is not None]
    return np.percentile(known, [2.5, 97.5]).tolist() if known else None
