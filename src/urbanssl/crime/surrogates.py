"""Rates that could have been: exchanged within regions, as alike among neighbours as the real ones.

Exchanging areas freely makes neighbours unlike each other, and any smooth feature then beats
chance too often. Here the exchanged rates keep the spatial autocorrelation of the real ones.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from urbanssl.crime.folds import Scheme
from urbanssl.crime.linear import Basis, fold_bases
from urbanssl.crime.moran import neighbour_weights
from urbanssl.crime.targets import Threshold

Floats = NDArray[np.float64]

#: Penalty of the classifier of the test, as a share of the mean variance of the components. Fixed
#: beforehand: chosen by the real labels it would favour them.
PENALTY = 0.3


def alike_exchanges(
    values: Floats, points: Floats, region: NDArray, draws: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Return (draws, n) places: each row exchanges areas within regions, keeping smoothness.

    In each region the values are written in the eigenvectors of the neighbourhood matrix, the
    signs are drawn anew, and the real values are dealt out in the order of the result.

    Args:
        values: (n,) log rates.
        points: (n, 2 or 3) positions.
        region: (n,).
        draws: rows.
        rng: random signs.

    Source: Wagner and Dray (2015), Generating spatially constrained null models for irregularly
    spaced data using Moran spectral randomization methods, Methods in Ecology and Evolution 6
    (the singleton procedure).
    """
    places = np.tile(np.arange(len(values)), (draws, 1))
    for name in np.unique(region):
        inside = np.flatnonzero(region == name)
        if len(inside) < 3:
            continue
        near = neighbour_weights(points[inside], np.zeros(len(inside))).toarray()
        centring = np.eye(len(inside)) - 1 / len(inside)
        vectors = np.linalg.eigh(centring @ (near + near.T) @ centring)[1]
        # A hair of noise settles ties, or equal values would always be dealt out alike.
        own = values[inside] + 1e-9 * rng.normal(size=len(inside))
        share = vectors.T @ (own - own.mean())
        signs = rng.choice([-1.0, 1.0], size=(draws, len(inside)))
        drawn = (signs * share) @ vectors.T
        rank = drawn.argsort(axis=1).argsort(axis=1)
        places[:, inside] = inside[np.argsort(own)][rank]
    return places


def labels_of(rates: Floats, training: NDArray[np.bool_], rule: Threshold) -> NDArray[np.bool_]:
    """Return (P, n) labels of (P, n) rates, each row by the threshold of its training areas."""
    if rule == "median":
        level = np.median(rates[:, training], axis=1, keepdims=True)
    elif rule == "tercile":
        level = np.quantile(rates[:, training], 2 / 3, axis=1, keepdims=True)
    else:
        level = np.full((len(rates), 1), float(rule))
    return rates > level


def labelings(scheme: Scheme, rates: Floats, rule: Threshold) -> list[NDArray[np.bool_]]:
    """Return (P, n) labels for each fold; made once, they serve every feature set.

    Args:
        scheme: how areas are held out.
        rates: (P, n), the real ones or exchanged ones.
        rule: of the threshold.
    """
    return [labels_of(rates, train, rule) for train in scheme.train]


def refitted_auc(
    features: Floats,
    scheme: Scheme,
    labels: list[NDArray[np.bool_]],
    bases: Sequence[Basis] | None = None,
) -> Floats:
    """Return (P,) AUC of a linear classifier that is fitted anew to each labeling.

    Predictions of one fold depend on the rates of the others; a test that keeps them fixed takes
    chance for skill more than twice too often.

    Args:
        features: (n, D).
        scheme: how areas are held out.
        labels: of each fold, see `labelings`.
        bases: of the folds, see `fold_bases`, where they are known already.
    """
    bases = fold_bases(features, scheme.train) if bases is None else bases
    right, pairs = np.zeros(len(labels[0])), np.zeros(len(labels[0]))
    for number, train in enumerate(scheme.train):
        held, known = scheme.fold == number, labels[number]
        basis = bases[number]
        inside = basis.project(features[train])
        gram = inside.T @ inside
        gram[np.diag_indices_from(gram)] += PENALTY * basis.variance * train.sum()
        # Components are centred, so the mean of the labels falls out of the product.
        beta = np.linalg.solve(gram, inside.T @ known[:, train].T.astype(np.float64))
        score = (basis.project(features[held]) @ beta).T
        order = score.astype(np.float32).argsort(axis=1)
        ordered = np.take_along_axis(known[:, held], order, axis=1)
        high = ordered.sum(axis=1)
        right += ordered @ np.arange(1.0, held.sum() + 1) - high * (high + 1) / 2
        pairs += high * (held.sum() - high)
    return np.where(pairs > 0, right / np.maximum(pairs, 1), np.nan)
