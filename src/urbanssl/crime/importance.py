"""What a model leans on: features exchanged in groups on held-out areas, and local effects.

All of it is about association: nothing here says that a feature causes crime.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform
from scipy.special import logit

from urbanssl.crime.boosting import boosted_chance, fit_boosting
from urbanssl.crime.held_out import HeldOut, Target
from urbanssl.crime.metrics import Weights, auc

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Statistics that pooling puts at the end of a column's name.
_STATISTICS = ("mean", "std", "q10", "q90", "min", "max")


def base_name(column: str) -> str:
    """Return a pooled column's name without its statistic: `ship_mean` is `ship`."""
    stem, _, last = column.rpartition("_")
    return stem if last in _STATISTICS and stem else column


def correlated_groups(features: Floats, names: Sequence[str], most: int = 12) -> dict[str, Ints]:
    """Return groups of columns that go together, by name.

    The statistics of one feature stay together where there are few features; otherwise columns
    are clustered by the size of their correlation (average linkage), since exchanging one of two
    alike columns alone shows nothing.

    Args:
        features: (n, D).
        names: D column names.
        most: most groups.
    """
    bases = [base_name(name) for name in names]
    if len(set(bases)) <= 2 * most:
        return {
            base: np.flatnonzero([other == base for other in bases])
            for base in dict.fromkeys(bases)
        }
    spread = features.std(axis=0)
    alive = np.flatnonzero(spread > 1e-12)
    if len(alive) < 2:
        return {"all": np.arange(len(names))}
    alike = np.abs(np.corrcoef(features[:, alive], rowvar=False))
    apart = np.clip(1 - (alike + alike.T) / 2, 0, None)
    np.fill_diagonal(apart, 0)
    cluster = fcluster(linkage(squareform(apart, checks=False), "average"), most, "maxclust")
    groups = {}
    for number in np.unique(cluster):
        members = alive[cluster == number]
        groups[f"{names[members[0]]} and {len(members) - 1} like it"] = members
    return groups


def grouped_importance(
    features: Floats,
    groups: dict[str, Ints],
    found: HeldOut,
    target: Target,
    places: Ints,
    weights: Weights,
) -> list[dict[str, Any]]:
    """Return how much AUC is lost when a group of features is exchanged among held-out areas.

    The model is the logistic one, so the exchanged part is added and taken away in log odds and
    nothing is fitted again.

    Args:
        features: (n, D).
        groups: name -> columns.
        found: out-of-fold predictions and slopes of the set.
        target: labels.
        places: (R, n) exchanges within regions.
        weights: (B, n) resamples, for the interval over areas.

    Returns:
        Rows `group, features, loss, interval`, the largest loss first.
    """
    fold, high = target.scheme.fold, target.high
    score = logit(np.clip(found.logistic, 1e-9, 1 - 1e-9))
    whole = auc(score, high, fold, weights)
    once = np.ones((1, len(score)))
    before = float(auc(score, high, fold, once)[0])
    rows = []
    for name, members in groups.items():
        part = (features[:, members] * found.slopes[fold][:, members]).sum(axis=1)
        swapped = [_exchanged(features, found, fold, members, place) for place in places]
        moved = [score - part + other for other in swapped]
        lost = before - np.mean([auc(other, high, fold, once)[0] for other in moved])
        draws = whole - np.mean([auc(other, high, fold, weights) for other in moved[:3]], axis=0)
        low, up = np.nanquantile(draws, [0.025, 0.975])
        rows.append(
            {
                "group": name,
                "features": len(members),
                "loss": float(lost),
                "interval": [float(low), float(up)],
            }
        )
    return sorted(rows, key=lambda row: -row["loss"])


def _exchanged(features: Floats, found: HeldOut, fold: Ints, members: Ints, place: Ints) -> Floats:
    """Log odds of a group with the features of exchanged areas, by each area's own model."""
    return (features[place][:, members] * found.slopes[fold][:, members]).sum(axis=1)


def local_effects(
    features: Floats, names: Sequence[str], target: Target, seed: int, steps: int = 8
) -> list[dict[str, Any]]:
    """Return accumulated local effects of each column on the chance of high crime.

    By gradient boosting fitted on the training areas of each fold, on the areas it holds out.

    Args:
        features: (n, D), few columns: object counts.
        names: D names.
        target: labels and folds.
        seed: of the models.
        steps: most steps of each feature's range, at its quantiles.

    Returns:
        Rows `feature, value (edges), effect (change of the chance, centred), areas`.

    Source: Apley and Zhu (2020), Visualizing the effects of predictor variables in black box
    supervised learning models, JRSS B 82, equation 16.
    """
    edges = [np.unique(np.quantile(column, np.linspace(0, 1, steps + 1))) for column in features.T]
    total = [np.zeros(max(1, len(edge) - 1)) for edge in edges]
    counts = [np.zeros(max(1, len(edge) - 1)) for edge in edges]
    for number in range(len(target.threshold)):
        train, held = target.scheme.train[number], target.scheme.fold == number
        label = target.training_labels(number)[train]
        model = fit_boosting(features[train], label, seed)
        for place, edge in enumerate(edges):
            if len(edge) < 2:
                continue
            step = np.clip(np.searchsorted(edge, features[held, place], "left") - 1, 0, None)
            step = np.minimum(step, len(edge) - 2)
            low, high = features[held].copy(), features[held].copy()
            low[:, place], high[:, place] = edge[step], edge[step + 1]
            both = boosted_chance(model, np.vstack([high, low]), 0.5)
            change = both[: held.sum()] - both[held.sum() :]
            total[place] += np.bincount(step, change, minlength=len(edge) - 1)
            counts[place] += np.bincount(step, minlength=len(edge) - 1)
    rows = []
    for name, edge, added, count in zip(names, edges, total, counts, strict=True):
        if len(edge) < 2:
            continue
        effect = np.append(0.0, np.cumsum(added / np.maximum(count, 1)))
        centre = ((effect[1:] + effect[:-1]) / 2 * count).sum() / max(1, count.sum())
        rows.append(
            {
                "feature": name,
                "value": edge.tolist(),
                "effect": (effect - centre).tolist(),
                "areas": count.astype(int).tolist(),
            }
        )
    return rows
