"""Scores of out-of-fold predictions with their intervals, as rows for the metrics file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from urbanssl.crime import metrics
from urbanssl.crime.counts import Counted, CountedOut, deviance
from urbanssl.crime.folds import Scheme
from urbanssl.crime.held_out import HeldOut, Target
from urbanssl.crime.intervals import Resamples, interval
from urbanssl.crime.linear import Basis
from urbanssl.crime.metrics import Weights
from urbanssl.crime.permutation import p_value
from urbanssl.crime.surrogates import refitted_auc

Floats = NDArray[np.float64]
#: Labels (1 + P, n) of each fold.
Labels = list[NDArray[np.bool_]]
#: From (n,) predictions and (B, n) weights to (B,) scores.
Metric = Callable[[Floats, Weights], Floats]
#: Values that shares can have.
SHARE = (0.0, 1.0)


def score_rows(
    name: str, found: HeldOut, target: Target, resamples: Resamples
) -> tuple[list[dict[str, Any]], Floats]:
    """Return one row a model, and the (2, 1 + G) AUC of the logistic one, see `left_out`.

    Args:
        name: of the feature set.
        found: its out-of-fold predictions.
        target: labels under the scheme.
        resamples: of regions.
    """
    less = (found.without.logistic, found.without.ridge) if found.without else (None, None)
    scores, draws = _class_scores(found.logistic, target, resamples, less[0])
    logistic = {
        **scores,
        **_value_scores(found.ridge, target, resamples, less[1]),
        "inner_auc": found.inner_auc,
    }
    rows = [{"features": name, "model": "logistic", "scheme": target.scheme.name, **logistic}]
    if found.boosting is not None:
        scores, _ = _class_scores(found.boosting, target, resamples)
        rows.append({"features": name, "model": "boosting", "scheme": target.scheme.name, **scores})
    return rows, draws


def network_row(
    name: str, chance: Floats, target: Target, resamples: Resamples
) -> tuple[dict[str, Any], Floats]:
    """Return the row of chances that were predicted elsewhere, and their (2, 1 + G) AUC."""
    scores, draws = _class_scores(chance, target, resamples)
    return {"features": name, "model": "network", "scheme": target.scheme.name, **scores}, draws


def _once(areas: int) -> Floats:
    return np.ones((1, areas))


def left_out(
    metric: Metric, predicted: Floats, without: Floats | None, resamples: Resamples
) -> Floats:
    """Return the (2, 1 + G) score of all regions and without each group, see `influence`.

    Args:
        metric: the score.
        predicted: (n,).
        without: (G, n) predictions had each group not been learned from. None where the model
            cannot be fitted again: half of the variance is then taken to be missed.
        resamples: of regions.
    """
    kept = metric(predicted, resamples.present)
    if without is None:
        return np.stack([kept, kept[0] + 2 * (kept - kept[0])])
    again = np.vstack([predicted, without])
    refitted = [
        metric(p, present[None]) for p, present in zip(again, resamples.present, strict=True)
    ]
    return np.stack([kept, np.concatenate(refitted)])


def _class_scores(
    chance: Floats, target: Target, resamples: Resamples, without: Floats | None = None
) -> tuple[dict[str, Any], Floats]:
    """Return the scores of chances of high crime, and their (2, 1 + G) AUC."""
    once, fold, high = _once(len(chance)), target.scheme.fold, target.high

    def scored(metric: Metric) -> Floats:
        return left_out(metric, chance, without, resamples)

    areas = scored(lambda p, drawn: metrics.auc(p, high, fold, drawn))
    hits = scored(lambda p, drawn: metrics.balanced_accuracy(p, high, drawn))
    errors = scored(lambda p, drawn: metrics.brier(p, high, drawn))
    return {
        "auc": float(areas[0, 0]),
        "auc_interval": interval(areas, resamples.counts, SHARE),
        "auc_pooled": float(metrics.auc(chance, high, np.zeros_like(fold), once)[0]),
        "balanced_accuracy": float(hits[0, 0]),
        "balanced_accuracy_interval": interval(hits, resamples.counts, SHARE),
        "brier": float(errors[0, 0]),
        "brier_interval": interval(errors, resamples.counts, SHARE),
    }, areas


def _value_scores(
    predicted: Floats, target: Target, resamples: Resamples, without: Floats | None = None
) -> dict[str, Any]:
    fold, value, guess = target.scheme.fold, target.value, target.guess

    def scored(metric: Metric) -> Floats:
        return left_out(metric, predicted, without, resamples)

    taken = scored(lambda p, drawn: metrics.r2(p, value, guess, drawn))
    ranks = scored(lambda p, drawn: metrics.spearman(p, value, fold, drawn))
    return {
        "r2": float(taken[0, 0]),
        "r2_interval": interval(taken, resamples.counts, (-np.inf, 1.0)),
        "spearman": float(ranks[0, 0]),
        "spearman_interval": interval(ranks, resamples.counts, (-1.0, 1.0)),
    }


def count_row(
    name: str, found: CountedOut, counted: Counted, target: Target, resamples: Resamples
) -> dict[str, Any]:
    """Return the scores of expected counts: the order of rates, and the deviance explained.

    The logarithm of an expected rate lies above the expected log rate, so R2 of the log rate, by
    which ridge regression is judged, would do it wrong.

    Args:
        name: of the feature set.
        found: out-of-fold expectations.
        counted: crimes and people of all areas.
        target: log rates under the scheme.
        resamples: of regions.
    """
    errors, without = (
        np.sqrt(np.maximum(deviance(counted.count, rate * counted.people, found.dispersion), 0))
        for rate in (found.rate, found.guess)
    )
    ranks = _value_scores(found.rate, target, resamples)
    nothing = np.zeros(len(errors))
    # The share of the deviance that is taken away is R2 of its signed root.
    explained = left_out(
        lambda p, drawn: metrics.r2(p, nothing, without, drawn), errors, None, resamples
    )
    return {
        "features": name,
        "model": counted.family,
        "scheme": target.scheme.name,
        **{key: ranks[key] for key in ("spearman", "spearman_interval")},
        "deviance_explained": float(explained[0, 0]),
        "deviance_explained_interval": interval(explained, resamples.counts, (-np.inf, 1.0)),
    }


def permutation_row(
    name: str, features: Floats, scheme: Scheme, labels: Labels, bases: Sequence[Basis]
) -> dict[str, Any]:
    """Return the permutation test of one feature set under one scheme.

    Args:
        name: of the feature set.
        features: (n, D).
        scheme: how areas are held out.
        labels: by the real rates, then by exchanged ones, see `surrogates.labelings`.
        bases: of the folds, see `linear.fold_bases`.
    """
    aucs = refitted_auc(features, scheme, labels, bases)
    observed, drawn = float(aucs[0]), aucs[1:]
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
