"""Predictions of areas by models that did not see them, for one feature set and one scheme."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from urbanssl.crime.boosting import WIDE, boosted_chance, fit_boosting
from urbanssl.crime.counts import Counted, CountedOut, held_out_rate
from urbanssl.crime.folds import Scheme
from urbanssl.crime.linear import (
    Basis,
    apply,
    choose_ridge,
    choose_scale,
    fit_path,
    fit_ridge,
    fold_bases,
    inner_scores,
    model_weights,
    penalties,
    scaled,
)
from urbanssl.crime.metrics import auc
from urbanssl.crime.refits import logistic_without, ridge_without
from urbanssl.crime.targets import Threshold, fold_thresholds, log_rate

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Target:
    """What is predicted under one scheme.

    Attributes:
        scheme: how areas are held out.
        rate: (n,) per 100,000.
        threshold: (F,) of each fold, from its training areas.
        high: (n,) whether each area is above the threshold of the fold that holds it out.
        value: (n,) log rate.
        share: (n,) share of high areas among the training areas of its fold.
        guess: (n,) mean log rate of the training areas of its fold.
    """

    scheme: Scheme
    rate: Floats
    threshold: Floats
    high: NDArray[np.bool_]
    value: Floats
    share: Floats
    guess: Floats

    def training_labels(self, fold: int) -> NDArray[np.bool_]:
        """Return (n,) labels by the threshold of one fold."""
        return self.rate > self.threshold[fold]


def make_target(rate: Floats, scheme: Scheme, rule: Threshold) -> Target:
    """Return labels and values under a scheme, each threshold from training areas only."""
    threshold = fold_thresholds(rate, scheme.train, rule)
    value = log_rate(rate)
    share = [(rate[t] > level).mean() for t, level in zip(scheme.train, threshold, strict=True)]
    guess = [value[t].mean() for t in scheme.train]
    return Target(
        scheme=scheme,
        rate=rate,
        threshold=threshold,
        high=rate > threshold[scheme.fold],
        value=value,
        share=np.array(share)[scheme.fold],
        guess=np.array(guess)[scheme.fold],
    )


@dataclass(frozen=True)
class Without:
    """Out-of-fold predictions had a group of areas not been learned from.

    Attributes:
        logistic: (G, n) chance of high crime without each group.
        ridge: (G, n) log rate.
    """

    logistic: Floats
    ridge: Floats


@dataclass(frozen=True)
class HeldOut:
    """Out-of-fold predictions of one feature set.

    Attributes:
        logistic: (n,) chance of high crime by penalised logistic regression.
        boosting: (n,) chance by gradient boosting, None where it was not asked for.
        ridge: (n,) log rate by ridge regression.
        inner_auc: mean AUC on folds inside the training areas (nothing of the held-out ones).
        without: predictions by models that did not learn from some areas, None where not asked for.
        slopes: (F, D) change of the log odds by each feature (unscaled) in each fold's model.
        counted: expected counts, None where they were not asked for.
    """

    logistic: Floats
    boosting: Floats | None
    ridge: Floats
    inner_auc: float
    slopes: Floats
    counted: CountedOut | None = None
    without: Without | None = None


def predict_held_out(
    features: Floats,
    target: Target,
    boosting: bool,
    seed: int,
    counted: Counted | None = None,
    group: NDArray[np.int64] | None = None,
    bases: Sequence[Basis] | None = None,
) -> HeldOut:
    """Fit on the training areas of each fold and predict the areas it holds out.

    Args:
        features: (n, D) of areas.
        target: labels and folds.
        boosting: whether to fit gradient boosting too.
        seed: of gradient boosting.
        counted: crimes and people, for a model of counts too.
        group: (n,) groups of areas, from 0, to predict without each of them too.
        bases: of the folds, see `fold_bases`, where they are known already.
    """
    areas, width = features.shape
    bases = fold_bases(features, target.scheme.train) if bases is None else bases
    logistic, ridge, boosted = np.zeros(areas), np.zeros(areas), np.zeros(areas)
    slopes = np.zeros((len(target.threshold), width))
    counts = CountedOut(*np.zeros((3, areas)))
    groups = 0 if group is None else int(group.max()) + 1
    without = Without(*np.zeros((2, groups, areas)))
    inner_aucs = []
    for number in range(len(target.threshold)):
        train = target.scheme.train[number]
        held = target.scheme.fold == number
        basis = bases[number]
        inside, outside = basis.project(features[train]), basis.project(features[held])
        label = target.training_labels(number)[train]
        inner = target.scheme.inner(number)[train]
        groups_inside = len(np.unique(target.scheme.group[train]))
        grid = penalties(basis, len(inside))
        model = _logistic(inside, label, inner, groups_inside, grid)
        inner_aucs.append(model.inner_auc)
        beta = model.coefficients()
        logistic[held] = expit(apply(outside, beta))
        slopes[number] = basis.components @ beta[:-1] / basis.scale
        penalty = choose_ridge(inside, target.value[train], inner, grid)
        ridge[held] = apply(outside, fit_ridge(inside, target.value[train], penalty))
        if group is not None:
            other, value = group[train], target.value[train]
            less = model.without(inside, label, other, groups)
            without.logistic[:, held] = expit(apply(outside, less.T).T)
            less = ridge_without(inside, value, penalty, other, groups)
            without.ridge[:, held] = apply(outside, less.T).T
        if counted is not None:
            known = counted.part(train)
            counts.guess[held] = known.rate
            counts.rate[held], counts.dispersion[held] = held_out_rate(
                inside, outside, known, inner, grid
            )
        if boosting:
            narrow = width <= WIDE
            trees = fit_boosting(features[train] if narrow else inside, label, seed)
            seen = features[held] if narrow else outside
            boosted[held] = boosted_chance(trees, seen, float(label.mean()))
    finite = [value for value in inner_aucs if np.isfinite(value)]
    return HeldOut(
        logistic=logistic,
        boosting=boosted if boosting else None,
        ridge=ridge,
        inner_auc=float(np.mean(finite)) if finite else float("nan"),
        slopes=slopes,
        counted=counts if counted is not None else None,
        without=without if group is not None else None,
    )


@dataclass(frozen=True)
class _Logistic:
    """Logistic regression of the training areas of one fold: a mean over penalties, scaled.

    Attributes:
        grid: P penalties.
        path: (P, K + 1) coefficients with each.
        weights: (P,) of each in the mean, by inner folds.
        scale: of the log odds, chosen by inner folds.
        share: of high areas.
        inner_auc: AUC on the inner folds.
    """

    grid: Sequence[float]
    path: Floats
    weights: Floats
    scale: float
    share: float
    inner_auc: float

    def coefficients(self) -> Floats:
        """Return (K + 1,) coefficients."""
        return scaled(self.weights @ self.path, self.scale, self.share)

    def without(
        self, inputs: Floats, label: NDArray[np.bool_], group: NDArray[np.int64], groups: int
    ) -> Floats:
        """Return (G, K + 1) coefficients without each group, see `refits.logistic_without`."""
        numbers = label.astype(float)
        found = [
            logistic_without(inputs, numbers, penalty, beta, group, groups)
            for penalty, beta in zip(self.grid, self.path, strict=True)
        ]
        return scaled(np.tensordot(self.weights, found, 1), self.scale, self.share)


def _logistic(
    inside: Floats,
    label: NDArray[np.bool_],
    inner: NDArray[np.int64],
    groups: int,
    grid: Sequence[float],
) -> _Logistic:
    if label.min() == label.max():
        share = float(np.clip(label.mean(), 0.01, 0.99))
        nothing = np.zeros((len(grid), inside.shape[1] + 1))
        return _Logistic(grid, nothing, np.full(len(grid), 1 / len(grid)), 0.0, share, float("nan"))
    numbers = label.astype(float)
    scores = inner_scores(inside, numbers, inner, grid)
    weights = model_weights(scores, numbers, groups)
    mean = weights @ scores
    return _Logistic(
        grid=grid,
        path=fit_path(inside, numbers, grid),
        weights=weights,
        scale=choose_scale(mean, numbers),
        share=float(label.mean()),
        inner_auc=float(auc(mean, label, inner, np.ones((1, len(label))))[0]),
    )
