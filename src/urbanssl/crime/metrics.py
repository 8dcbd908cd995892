"""How good out-of-fold predictions are, for many resamples of the areas at once.

Every function takes weights `(B, n)`: how often each of n areas is drawn in each of B resamples.
A single row of ones gives the value itself.

Areas are compared with areas **held out together** only: predictions of different folds come from
different models and thresholds, and pooling them makes a worthless model look better or worse than
chance. For whole regions held out, AUC then says how well areas are told apart *within* a city
that the model never saw.

Source: Forman and Scholz (2010), Apples-to-apples in cross-validation studies, SIGKDD
Explorations 12; Airola et al. (2009), A comparison of AUC estimators in small-sample studies.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]
#: (B, n) how often areas are drawn; float32 halves the memory of a thousand resamples.
Weights = NDArray[np.float32] | NDArray[np.float64]


def auc(score: Floats, label: Bools, fold: Ints, weights: Weights) -> Floats:
    """Return (B,) share of pairs (high, low) of one fold that the score puts in order.

    Args:
        score: (n,) predictions; ties count one half.
        label: (n,) high or not.
        fold: (n,) the fold in which each area was held out.
        weights: (B, n).
    """
    right, pairs = np.zeros(len(weights)), np.zeros(len(weights))
    for number in np.unique(fold):
        inside = np.flatnonzero(fold == number)
        order = inside[np.argsort(score[inside], kind="stable")]
        starts = np.flatnonzero(np.append(True, np.diff(score[order]) > 0))
        drawn = weights[:, order]
        high = np.add.reduceat(np.where(label[order], drawn, 0), starts, axis=1)
        low = np.add.reduceat(np.where(label[order], 0, drawn), starts, axis=1)
        below = np.cumsum(low, axis=1) - low / 2
        right += (high * below).sum(axis=1)
        pairs += high.sum(axis=1) * low.sum(axis=1)
    return _ratio(right, pairs)


def balanced_accuracy(chance: Floats, label: Bools, weights: Weights) -> Floats:
    """Return (B,) mean of the shares of high and of low areas that are called right at 0.5."""
    hit = (chance > 0.5) == label
    high = _ratio(weights @ (hit & label), weights @ label)
    low = _ratio(weights @ (hit & ~label), weights @ ~label)
    return (high + low) / 2


def brier(chance: Floats, label: Bools, weights: Weights) -> Floats:
    """Return (B,) mean squared difference of chance and outcome; 0.25 is knowing nothing."""
    return _ratio(weights @ (chance - label) ** 2, weights.sum(axis=1))


def r2(predicted: Floats, observed: Floats, guess: Floats, weights: Weights) -> Floats:
    """Return (B,) share of the squared error of `guess` that the prediction takes away.

    Args:
        predicted: (n,).
        observed: (n,).
        guess: (n,) mean of the training areas: what one would say without features.
        weights: (B, n).
    """
    return 1 - _ratio(weights @ (observed - predicted) ** 2, weights @ (observed - guess) ** 2)


def spearman(predicted: Floats, observed: Floats, fold: Ints, weights: Weights) -> Floats:
    """Return (B,) correlation of the ranks that areas have within their fold."""
    x, y = _fold_ranks(predicted, fold), _fold_ranks(observed, fold)
    both = _ratio(weights @ (x * y), np.sqrt((weights @ x**2) * (weights @ y**2)))
    return both


def _fold_ranks(values: Floats, fold: Ints) -> Floats:
    ranks = np.zeros(len(values))
    for number in np.unique(fold):
        inside = fold == number
        ordered = np.sort(values[inside])
        # Ties share the mean of their ranks.
        first = np.searchsorted(ordered, values[inside], "left")
        rank = (first + np.searchsorted(ordered, values[inside], "right")) / 2
        ranks[inside] = (rank - rank.mean()) / max(1, inside.sum())
    return ranks


def _ratio(above: Weights, below: Weights) -> Floats:
    positive = below > 0
    ratio: Floats = np.where(positive, above / np.where(positive, below, 1.0), np.nan)
    return ratio
