"""What linear models would say had they learned without a region: one solved system for each.

Ridge regression without some areas is exact; logistic regression takes one Newton step from the
coefficients of all areas, with the weights of the areas that are left.

Source: Pregibon (1981), Logistic regression diagnostics, Annals of Statistics 9, section 4.3.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: Penalty of the intercept: next to nothing.
_FREE = 1e-6


def logistic_without(
    inputs: Floats, label: Floats, penalty: float, beta: Floats, group: Ints, groups: int
) -> Floats:
    """Return (G, K + 1) coefficients without each group, the last the intercept.

    Args:
        inputs: (n, K) training areas.
        label: (n,) 0 or 1.
        penalty: of the squared coefficients.
        beta: (K + 1,) fitted to all of them.
        group: (n,) group of each.
        groups: number G of groups.
    """
    line = inputs @ beta[:-1] + beta[-1]
    chance = expit(line)
    weight = np.maximum(chance * (1 - chance), 1e-6)
    return _solved(inputs, weight, weight * line + label - chance, penalty, group, groups)


def ridge_without(
    inputs: Floats, value: Floats, penalty: float, group: Ints, groups: int
) -> Floats:
    """Return (G, K + 1) coefficients without each group, see `logistic_without`."""
    return _solved(inputs, np.ones(len(value)), value, penalty, group, groups)


def _solved(
    inputs: Floats, weight: Floats, moment: Floats, penalty: float, group: Ints, groups: int
) -> Floats:
    """Solve the normal equations of the areas outside each group."""
    design = np.column_stack([inputs, np.ones(len(inputs))])
    width = design.shape[1]
    bend, right = np.zeros((groups, width, width)), np.zeros((groups, width))
    for number in range(groups):
        inside = group == number
        bend[number] = (design[inside] * weight[inside, None]).T @ design[inside]
        right[number] = design[inside].T @ moment[inside]
    rest = bend.sum(axis=0) - bend
    rest += np.diag(np.append(np.full(width - 1, penalty), _FREE))
    found: Floats = np.linalg.solve(rest, (right.sum(axis=0) - right)[..., None])[..., 0]
    return found
