"""Scores of out-of-fold predictions with their intervals, as rows for the metrics file."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from urbanssl.crime import metrics
from urbanssl.crime.counts import Counted, CountedOut, deviance
from urbanssl.crime.folds import Scheme
from urbanssl.crime.held_out import HeldOut, Target
from urbanssl.crime.intervals import interval
from urbanssl.crime.metrics import Weights
from urbanssl.crime.permutation import p_value
from urbanssl.crime.surrogates import refitted_auc

Floats = NDArray[np.float64]
#: Labels (P, n) of each fold.
Labels = list[NDArray[np.bool_]]


def score_rows(
    name: str, found: HeldOut, target: Target, weights: Weights
) -> tuple[list[dict[str, Any]], Floats]:
    """Return one row a model, and the (B,) resampled AUC of the logistic one.

    Args:
        name: of the feature set.
        found: its out-of-fold predictions.
        target: labels under the scheme.
        weights: (B, n) resamples of areas.
    """
    draws = metrics.auc(found.logistic, target.high, target.scheme.fold, weights)
    logistic = {
        **_class_scores(found.logistic, target, weights, draws),
        **_value_scores(found.ridge, target, weights),
        "inner_auc": found.inner_auc,
    }
    rows = [{"features": name, "model": "logistic", "scheme": target.scheme.name, **logistic}]
    if found.boosting is not None:
        boosted = metrics.auc(found.boosting, target.high, target.scheme.fold, weights)
        scores = _class_scores(found.boosting, target, weights, boosted)
        rows.append({"features": name, "model": "boosting", "scheme": target.scheme.name, **scores})
    return rows, draws


def network_row(
    name: str, chance: Floats, target: Target, weights: Weights
) -> tuple[dict[str, Any], Floats]:
    """Return the row of chances that were predicted elsewhere, and their (B,) resampled AUC."""
    draws = metrics.auc(chance, target.high, target.scheme.fold, weights)
    scores = _class_scores(chance, target, weights, draws)
    return {"features": name, "model": name, "scheme": target.scheme.name, **scores}, draws


def _once(areas: int) -> Floats:
    return np.ones((1, areas))


def _class_scores(
    chance: Floats, target: Target, weights: Weights, draws: Floats
) -> dict[str, Any]:
    once, fold, high = _once(len(chance)), target.scheme.fold, target.high
    return {
        "auc": float(metrics.auc(chance, high, fold, once)[0]),
        "auc_interval": interval(draws),
        "auc_pooled": float(metrics.auc(chance, high, np.zeros_like(fold), once)[0]),
        "balanced_accuracy": float(metrics.balanced_accuracy(chance, high, once)[0]),
        "balanced_accuracy_interval": interval(metrics.balanced_accuracy(chance, high, weights)),
        "brier": float(metrics.brier(chance, high, once)[0]),
        "brier_interval": interval(metrics.brier(chance, high, weights)),
    }


def _value_scores(predicted: Floats, target: Target, weights: Weights) -> dict[str, Any]:
    once, fold = _once(len(predicted)), target.scheme.fold
    return {
        "r2": float(metrics.r2(predicted, target.value, target.guess, once)[0]),
        "r2_interval": interval(metrics.r2(predicted, target.value, target.guess, weights)),
        "spearman": float(metrics.spearman(predicted, target.value, fold, once)[0]),
        "spearman_interval": interval(metrics.spearman(predicted, target.value, fold, weights)),
    }


def count_row(
    name: str, found: CountedOut, counted: Counted, target: Target, weights: Weights
) -> dict[str, Any]:
    """Return the scores of expected counts: the order of rates, and the deviance explained.

    The logarithm of an expected rate lies above the expected log rate, so R2 of the log rate, by
    which ridge regression is judged, would do it wrong.

    Args:
        name: of the feature set.
        found: out-of-fold expectations.
        counted: crimes and people of all areas.
        target: log rates under the scheme.
        weights: (B, n) resamples of areas.
    """
    errors, without = (
        np.sqrt(np.maximum(deviance(counted.count, rate * counted.people, found.dispersion), 0))
        for rate in (found.rate, found.guess)
    )
    ranks = _value_scores(found.rate, target, weights)
    nothing = np.zeros(len(errors))
    explained = [
        # The share of the deviance that is taken away is R2 of its signed root.
        metrics.r2(errors, nothing, without, drawn)
        for drawn in (_once(len(errors)), weights)
    ]
    return {
        "features": name,
        "model": counted.family,
        "scheme": target.scheme.name,
        **{key: ranks[key] for key in ("spearman", "spearman_interval")},
        "deviance_explained": float(explained[0][0]),
        "deviance_explained_interval": interval(explained[1]),
    }


def permutation_row(
    name: str, features: Floats, scheme: Scheme, real: Labels, exchanged: Labels
) -> dict[str, Any]:
    """Return the permutation test of one feature set under one scheme.

    Args:
        name: of the feature set.
        features: (n, D).
        scheme: how areas are held out.
        real: labels by the real rates, see `surrogates.labelings`.
        exchanged: labels by exchanged rates, see `surrogates.alike_exchanges`.
    """
    observed = float(refitted_auc(features, scheme, real)[0])
    drawn = refitted_auc(features, scheme, exchanged)
    return {
        "features": name,
        "scheme": scheme.name,
        "auc": observed,
        "p": p_value(observed, drawn),
        "null_mean": float(np.nanmean(drawn)) if np.isfinite(drawn).any() else None,
        "draws": len(drawn),
    }


def reliability(chance: Floats, high: NDArray[np.bool_], bins: int = 8) -> list[dict[str, Any]]:
    """Return predicted and observed shares of high areas in bins of equally many areas."""
    order = np.argsort(chance, kind="stable")
    return [
        {
            "predicted": float(chance[part].mean()),
            "observed": float(high[part].mean()),
            "areas": len(part),
        }
        for part in np.array_split(order, min(bins, max(1, len(order) // 5)))
        if len(part)
    ]


def errors_by(group: NDArray, found: HeldOut, target: Target) -> list[dict[str, Any]]:
    """Return how well each group of areas (region, class of population) is predicted."""
    rows = []
    for name in np.unique(group):
        inside = group == name
        chance, high = found.logistic[inside], target.high[inside]
        fold = target.scheme.fold[inside]
        rows.append(
            {
                "group": str(name),
                "areas": int(inside.sum()),
                "high_share": float(high.mean()),
                "auc": float(metrics.auc(chance, high, fold, _once(len(chance)))[0]),
                "brier": float(((chance - high) ** 2).mean()),
                "mean_error_log_rate": float((found.ridge - target.value)[inside].mean()),
            }
        )
    return rows
