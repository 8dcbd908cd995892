"""Gradient boosting with one fixed, small setting: no hunting for a better one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier

Floats = NDArray[np.float64]

#: Up to so many columns are used as they are; wider sets through their components.
WIDE = 64


def fit_boosting(features: Floats, label: NDArray[np.bool_], seed: int) -> object | None:
    """Return a fitted classifier of small trees, None where only one class is there.

    Args:
        features: (n, D).
        label: (n,) high or not.
        seed: of its random numbers.
    """
    if label.min() == label.max():
        return None
    model = HistGradientBoostingClassifier(
        max_iter=40,
        learning_rate=0.1,
        max_leaf_nodes=8,
        min_samples_leaf=max(5, len(label) // 50),
        l2_regularization=1.0,
        max_bins=64,
        early_stopping=False,
        random_state=seed,
    )
    return model.fit(features, label)


def boosted_chance(model: object | None, features: Floats, otherwise: float) -> Floats:
    """Return (n,) chance of high crime; `otherwise` where there is no model."""
    if not isinstance(model, HistGradientBoostingClassifier):
        return np.full(len(features), otherwise)
    chance: Floats = model.predict_proba(features)[:, 1]
    return chance
