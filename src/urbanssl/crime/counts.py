"""Crimes counted, with people as exposure: Poisson and negative binomial regression.

The logarithm of the expected count is that of the population plus a line in the components. Small
areas weigh less by themselves, and an area without a crime needs no added one.

Sources: McCullagh and Nelder (1989), Generalized linear models, chapter 6 and section 2.5 (Fisher
scoring); Hilbe (2011), Negative binomial regression, section 8.2 (variance m + a m^2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from urbanssl.crime.linear import solve_positive

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Family = Literal["poisson", "negative_binomial"]

#: Log rates further than this from the common one are cut off: beyond, the model is guessing.
_FAR = 5.0


@dataclass(frozen=True)
class Counted:
    """Crimes of areas and the people they happened among.

    Attributes:
        count: (n,) crimes.
        people: (n,) population, above 0.
        family: how counts spread about their expectation.
    """

    count: Floats
    people: Floats
    family: Family

    def part(self, which: NDArray[np.bool_]) -> Counted:
        """Return the areas that are marked."""
        return Counted(self.count[which], self.people[which], self.family)

    @property
    def rate(self) -> float:
        """Crimes a person, over all areas."""
        return max(float(self.count.sum() / self.people.sum()), 1e-12)

    def dispersion(self) -> float:
        """Return `a` of the variance m + a m^2 about the common rate, by moments; 0 for Poisson."""
        if self.family == "poisson":
            return 0.0
        expected = self.rate * self.people
        excess = ((self.count - expected) ** 2 - expected).sum()
        return max(0.0, float(excess / (expected**2).sum()))


@dataclass(frozen=True)
class CountedOut:
    """Out-of-fold expectations of counts.

    Attributes:
        rate: (n,) crimes a person.
        guess: (n,) common rate of the training areas: what one would say without features.
        dispersion: (n,) of the training areas, see `Counted.dispersion`.
    """

    rate: Floats
    guess: Floats
    dispersion: Floats


def deviance(count: Floats, expected: Floats, dispersion: float | Floats) -> Floats:
    """Return (n,) deviance of each count: 0 where it is as expected.

    Args:
        count: (n,).
        expected: (n,) above 0.
        dispersion: `a` of the variance, one number or one an area; 0 is Poisson.
    """
    spread = np.maximum(dispersion, 1e-9)
    whole = xlogy(count, count / expected)
    ratio = np.log1p(spread * count) - np.log1p(spread * expected)
    return 2 * (whole - (count + 1 / spread) * ratio)


def fit_counts(inputs: Floats, counted: Counted, penalty: float, dispersion: float) -> Floats:
    """Return (K + 1,) coefficients of the log rate, the last the intercept.

    Fisher scoring; a step that does not lower the penalised deviance is halved. The penalty is
    multiplied by the mean weight of the areas, so that it means the same for rare and frequent
    crimes.

    Args:
        inputs: (n, K).
        counted: crimes and people of the same areas.
        penalty: of the squared coefficients; the intercept is free.
        dispersion: see `Counted.dispersion`.
    """
    design = np.column_stack([inputs, np.ones(len(inputs))])
    common = counted.rate * counted.people
    ridge = np.full(design.shape[1], penalty * float((common / (1 + dispersion * common)).mean()))
    ridge[-1] = 1e-9
    beta = np.append(np.zeros(inputs.shape[1]), np.log(counted.rate))

    def loss(values: Floats) -> float:
        errors = deviance(counted.count, _expected(design, counted, values), dispersion)
        return float(errors.sum() / 2 + ridge @ values**2 / 2)

    before = loss(beta)
    for _ in range(25):
        expected = _expected(design, counted, beta)
        weight = expected / (1 + dispersion * expected)
        slope = design.T @ (weight * (counted.count / expected - 1)) - ridge * beta
        half = design * np.sqrt(weight)[:, None]
        step = solve_positive(half.T @ half + np.diag(ridge), slope)
        size = 1.0
        while size > 1e-3 and (after := loss(beta + size * step)) > before:
            size /= 2
        if size <= 1e-3:
            break
        beta, gained, before = beta + size * step, before - after, after
        if gained < 1e-6 * (1 + before):
            break
    return beta


def _expected(design: Floats, counted: Counted, beta: Floats) -> Floats:
    middle = np.log(counted.rate)
    line = np.clip(design @ beta, middle - _FAR, middle + _FAR)
    expected: Floats = counted.people * np.exp(line)
    return expected


def held_out_rate(
    inside: Floats, outside: Floats, counted: Counted, inner: Ints, grid: list[float]
) -> tuple[Floats, float]:
    """Return the rates of held-out areas, and the dispersion of the training areas.

    The penalty is the one with the lowest deviance on folds inside the training areas.

    Args:
        inside: (n, K) components of the training areas.
        outside: (m, K) of the held-out ones.
        counted: crimes and people of the training areas.
        inner: (n,) inner fold of each training area.
        grid: penalties, the strongest first; ties go to the strongest.

    Returns:
        (m,) crimes a person, and the dispersion.
    """
    spread = counted.dispersion()
    errors = np.zeros(len(grid))
    for number in np.unique(inner):
        held, rest = inner == number, inner != number
        if not rest.any():
            continue
        known, seen = counted.part(rest), counted.part(held)
        for place, penalty in enumerate(grid):
            beta = fit_counts(inside[rest], known, penalty, spread)
            expected = seen.people * _rates(inside[held], known, beta)
            errors[place] += deviance(seen.count, expected, spread).sum()
    beta = fit_counts(inside, counted, grid[int(np.argmin(errors))], spread)
    return _rates(outside, counted, beta), spread


def _rates(inputs: Floats, known: Counted, beta: Floats) -> Floats:
    middle = np.log(known.rate)
    rates: Floats = np.exp(np.clip(inputs @ beta[:-1] + beta[-1], middle - _FAR, middle + _FAR))
    return rates
