"""Regularised logistic and ridge regression on principal components, small and fast.

Scaling and components come from the training areas of the outer fold; the penalty of ridge
regression from folds inside them. Nothing of a held-out area is looked at.

Logistic regression is the mean of the models with each penalty of the grid, weighted by how well
they do on folds inside: one that is chosen differs from draw to draw of the regions, and the AUC
with it. Folds inside also choose by how much the log odds shrink, which the order of areas does not
depend on.

Sources: Breiman (1996), Heuristics of instability and stabilization in model selection, Annals of
Statistics 24 (means of models in place of a choice); Yao et al. (2018), Using stacking to average
Bayesian predictive distributions, Bayesian Analysis 13, section 3.4 (weights by the log score of
what was not seen: pseudo-BMA); Platt (1999), Probabilistic outputs for support vector machines
(scaling by predictions of what was not seen).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.linalg
from numpy.typing import NDArray
from scipy.linalg.lapack import dposv
from scipy.special import expit, logit, softmax

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Penalties tried, as a share of the mean variance of the components, per area.
PENALTIES: tuple[float, ...] = (3.0, 0.3, 0.03, 0.003)
#: By how much log odds may shrink or grow.
SCALES: tuple[float, ...] = (0.1, 0.25, 0.5, 1.0, 2.0)
#: Components kept at most.
COMPONENTS = 48


@dataclass(frozen=True)
class Basis:
    """Scaling and principal components of training areas.

    Attributes:
        mean: (D,) subtracted.
        scale: (D,) divided by.
        components: (D, K).
        variance: mean variance of the K components.
    """

    mean: Floats
    scale: Floats
    components: Floats
    variance: float

    def project(self, features: Floats) -> Floats:
        """Return (n, K) components of (n, D) features."""
        return ((features - self.mean) / self.scale) @ self.components


def fit_basis(features: Floats, most: int = COMPONENTS) -> Basis:
    """Return scaling and the leading components of (n, D) training features.

    At most a quarter as many components as areas are kept: more cannot be told from noise.
    """
    areas, width = features.shape
    mean, scale = features.mean(axis=0), features.std(axis=0)
    scale = np.where(scale > 1e-9 * (1 + np.abs(mean)), scale, np.inf)
    scaled = (features - mean) / scale
    keep = max(1, min(most, width, areas // 4))
    small = width <= areas
    gram = (scaled.T @ scaled if small else scaled @ scaled.T) / areas
    side = len(gram)
    values, vectors = scipy.linalg.eigh(gram, subset_by_index=[side - min(keep, side), side - 1])
    used = values > 1e-9
    if not used.any():
        return Basis(mean, scale, np.zeros((width, 1)), 1.0)
    values, vectors = values[used][::-1], vectors[:, used][:, ::-1]
    if not small:
        vectors = scaled.T @ vectors / np.sqrt(values * areas)
    return Basis(mean, scale, vectors, float(values.mean()))


def fold_bases(features: Floats, train: Iterable[NDArray[np.bool_]]) -> list[Basis]:
    """Return the basis of each fold's training areas; made once, they serve predictions and tests.

    Args:
        features: (n, D).
        train: (n,) of each fold, the areas that may be learned from.
    """
    return [fit_basis(features[known]) for known in train]


def solve_positive(matrix: Floats, right: Floats) -> Floats:
    """Solve a small positive definite system; the matrix is overwritten.

    LAPACK is called directly: thousands of systems of some 50 unknowns are solved, and
    `scipy.linalg.solve` takes three times as long around them as inside.

    Raises:
        numpy.linalg.LinAlgError: the matrix is not positive definite.
    """
    _, found, failed = dposv(matrix, right, overwrite_a=True)
    if failed:
        raise np.linalg.LinAlgError("the matrix is not positive definite")
    solution: Floats = found
    return solution


def fit_logistic(
    inputs: Floats, label: Floats, penalty: float, start: Floats | None = None, rounds: int = 25
) -> Floats:
    """Return (K + 1,) coefficients, the last the intercept, of penalised logistic regression.

    Newton's method; a step that does not lower the loss is halved.

    Args:
        inputs: (n, K).
        label: (n,) 0 or 1.
        penalty: of the squared coefficients; the intercept is free.
        start: coefficients to begin with.
        rounds: most Newton steps.
    """
    design = np.column_stack([inputs, np.ones(len(inputs))])
    ridge = np.full(design.shape[1], penalty)
    ridge[-1] = 1e-6
    beta = np.zeros(design.shape[1]) if start is None else start.copy()
    line = design @ beta
    loss = _logistic_loss(line, label, beta, ridge)
    for _ in range(rounds):
        chance = expit(line)
        slope = design.T @ (chance - label) + ridge * beta
        weight = np.maximum(chance * (1 - chance), 1e-6)
        # A matrix times its own transpose costs half a product.
        half = design * np.sqrt(weight)[:, None]
        bend = half.T @ half
        bend.ravel()[:: len(bend) + 1] += ridge
        step = solve_positive(bend, slope)
        turn, size = design @ step, 1.0
        while size > 1e-3:
            trial, moved = beta - size * step, line - size * turn
            lower = _logistic_loss(moved, label, trial, ridge)
            if lower <= loss:
                break
            size /= 2
        else:
            return beta
        gained, beta, line, loss = loss - lower, trial, moved, lower
        if gained < 1e-6 * (1 + loss):
            return beta
    return beta


def _logistic_loss(line: Floats, label: Floats, beta: Floats, ridge: Floats) -> float:
    return float(np.logaddexp(0, line).sum() - label @ line + 0.5 * ridge @ beta**2)


def fit_ridge(inputs: Floats, value: Floats, penalty: float) -> Floats:
    """Return (K + 1,) coefficients, the last the intercept, of ridge regression."""
    return _ridges(inputs, value, [penalty])[0]


def _ridges(inputs: Floats, value: Floats, grid: list[float]) -> list[Floats]:
    """Return the coefficients of ridge regression with each penalty."""
    centre, level = inputs.mean(axis=0), value.mean()
    moved = inputs - centre
    gram, right = moved.T @ moved, moved.T @ (value - level)
    found = []
    for penalty in grid:
        raised = gram.copy()
        raised.ravel()[:: len(gram) + 1] += penalty
        beta = solve_positive(raised, right)
        found.append(np.append(beta, level - centre @ beta))
    return found


def apply(inputs: Floats, beta: Floats) -> Floats:
    """Return (n,) linear predictions."""
    return inputs @ beta[:-1] + beta[-1]


def penalties(basis: Basis, areas: int) -> list[float]:
    """Return the grid of penalties for a training set, the strongest first."""
    return [share * basis.variance * areas for share in PENALTIES]


def fit_path(inputs: Floats, label: Floats, grid: Sequence[float]) -> Floats:
    """Return (P, K + 1) coefficients of logistic regression with each penalty.

    Args:
        inputs: (n, K).
        label: (n,) 0 or 1.
        grid: P penalties, the strongest first.
    """
    found: list[Floats] = []
    for penalty in grid:
        found.append(fit_logistic(inputs, label, penalty, found[-1] if found else None))
    return np.array(found)


def inner_scores(inputs: Floats, label: Floats, inner: Ints, grid: Sequence[float]) -> Floats:
    """Return (P, n) log odds of each area by the models with each penalty that did not see it.

    Args:
        inputs: (n, K) training areas.
        label: (n,) 0 or 1.
        inner: (n,) inner fold of each.
        grid: P penalties, the strongest first.
    """
    scores = np.zeros((len(grid), len(label)))
    for number in np.unique(inner):
        held, rest = inner == number, inner != number
        if rest.any() and label[rest].min() < label[rest].max():
            path = fit_path(inputs[rest], label[rest], grid)
            scores[:, held] = apply(inputs[held], path.T).T
    return scores


def model_weights(scores: Floats, label: Floats, groups: int) -> Floats:
    """Return (P,) weights of models by how well they say what they did not see; they add up to 1.

    A model weighs exp(-groups x its mean log loss): each group of areas counts as one observation,
    since areas of a region are not independent of each other.

    Args:
        scores: (P, n) log odds, see `inner_scores`.
        label: (n,) 0 or 1.
        groups: of areas that are never parted.
    """
    losses = (np.logaddexp(0, scores) - label * scores).mean(axis=1)
    found: Floats = softmax(-groups * losses)
    return found


def choose_scale(scores: Floats, label: Floats) -> float:
    """Return by what inner log odds are multiplied, about those of the share, at least log loss.

    Args:
        scores: (n,) log odds by models that did not see the area, see `inner_scores`.
        label: (n,) 0 or 1, both present.
    """
    middle = logit(label.mean())
    losses = []
    for scale in SCALES:
        odds = middle + scale * (scores - middle)
        losses.append((np.logaddexp(0, odds) - label * odds).mean())
    return SCALES[int(np.argmin(losses))]


def scaled(beta: Floats, scale: float, share: float) -> Floats:
    """Return coefficients (..., K + 1) whose log odds are scaled about those of a share."""
    found: Floats = scale * beta
    found[..., -1] += (1 - scale) * logit(share)
    return found


def choose_ridge(inputs: Floats, value: Floats, inner: Ints, grid: list[float]) -> float:
    """Return the penalty with the lowest squared error on inner folds."""
    errors = np.zeros(len(grid))
    for number in np.unique(inner):
        held, rest = inner == number, inner != number
        if not rest.any():
            continue
        for place, beta in enumerate(_ridges(inputs[rest], value[rest], grid)):
            errors[place] += ((apply(inputs[held], beta) - value[held]) ** 2).sum()
    return grid[int(np.argmin(errors))]
