"""What is predicted of an area: high or low crime, and the logarithm of the rate."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Threshold = Literal["median", "tercile"] | float


def high_above(rate: NDArray[np.float64], training: NDArray[np.bool_], rule: Threshold) -> float:
    """Return the rate above which an area counts as high, from the training areas only.

    Args:
        rate: (n,) per 100,000.
        training: (n,) areas that may be looked at.
        rule: `median`; `tercile` (the upper third is high); or the number itself.
    """
    if rule == "median":
        return float(np.median(rate[training]))
    if rule == "tercile":
        return float(np.quantile(rate[training], 2 / 3))
    return float(rule)


def high_labels(
    rate: NDArray[np.float64], training: NDArray[np.bool_], rule: Threshold
) -> NDArray[np.bool_]:
    """Return (n,) whether each area is high, by the threshold of the training areas."""
    return rate > high_above(rate, training, rule)


def log_rate(rate: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the logarithm of (1 + rate per 100,000): rates are skewed and may be 0."""
    return np.log1p(rate)


def fold_thresholds(
    rate: NDArray[np.float64], train: NDArray[np.bool_], rule: Threshold
) -> NDArray[np.float64]:
    """Return (F,) threshold of each fold, each from the training areas of that fold only.

    Args:
        rate: (n,) per 100,000.
        train: (F, n) training areas of each fold.
        rule: see `high_above`.
    """
    return np.array([high_above(rate, training, rule) for training in train])
