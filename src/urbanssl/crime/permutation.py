"""Permutation test: would areas of the same region, with their rates exchanged, do as well?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def shuffles(region: NDArray, draws: int, rng: np.random.Generator) -> Ints:
    """Return (draws, n) places: each row exchanges areas within their region only.

    Differences between regions stay as they are, so a model that only tells regions apart gains
    nothing.
    """
    places = np.tile(np.arange(len(region)), (draws, 1))
    for name in np.unique(region):
        inside = np.flatnonzero(region == name)
        order = rng.random((draws, len(inside))).argsort(axis=1)
        places[:, inside] = inside[order]
    return places


def permuted_auc(score: Floats, labels: NDArray[np.bool_], fold: Ints) -> Floats:
    """Return (P,) AUC within folds of one score against many labelings.

    Args:
        score: (n,) out-of-fold predictions.
        labels: (P, n).
        fold: (n,).
    """
    right, pairs = np.zeros(len(labels)), np.zeros(len(labels))
    for number in np.unique(fold):
        inside = fold == number
        rank = rankdata(score[inside])
        drawn = labels[:, inside].astype(np.float64)
        high = drawn.sum(axis=1)
        right += drawn @ rank - high * (high + 1) / 2
        pairs += high * (inside.sum() - high)
    return np.where(pairs > 0, right / np.maximum(pairs, 1), np.nan)


def p_value(observed: float, permuted: Floats) -> float:
    """Return the chance of a score as high as observed if rates were exchangeable.

    Source: Phipson and Smyth (2010), Permutation p-values should never be zero, SAGMB 9, eq. 2.
    """
    finite = permuted[np.isfinite(permuted)]
    return float((1 + (finite >= observed - 1e-12).sum()) / (1 + finite.size))
