"""Crime rates: per 100,000 people, and shrunk towards the mean where few people live."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Rates are given per this many people.
PER = 100_000.0


def rate_per_100000(count: Floats, population: Floats) -> Floats:
    """Return crimes per 100,000 people.

    Args:
        count: (n,) crimes.
        population: (n,) people; where it is 0 or unknown the rate is not a number.
    """
    count, population = np.asarray(count, float), np.asarray(population, float)
    known = population > 0
    return np.where(known, count / np.where(known, population, 1.0) * PER, np.nan)


def shrink_rates(count: Floats, population: Floats) -> Floats:
    """Return rates per 100,000 shrunk towards the mean of all, the more the fewer people.

    The global empirical-Bayes estimator with moments: the variance between areas is what is left
    of the weighted variance of the raw rates after the Poisson part is taken away.

    Args:
        count: (n,) crimes, not a number where unknown.
        population: (n,) people.

    Source: Marshall (1991), Mapping disease and mortality rates using empirical Bayes estimators,
    Applied Statistics 40, section 2.
    """
    count, population = np.asarray(count, float), np.asarray(population, float)
    known = np.isfinite(count) & (population > 0)
    shrunk = np.full(count.shape, np.nan)
    if not known.any():
        return shrunk
    people, crimes = population[known], count[known]
    raw = crimes / people
    mean = crimes.sum() / people.sum()
    spread = float((people * (raw - mean) ** 2).sum() / people.sum())
    between = max(0.0, spread - mean / people.mean())
    noise = mean / people
    weight = between / (between + noise) if between > 0 else np.zeros_like(noise)
    shrunk[known] = (mean + weight * (raw - mean)) * PER
    return shrunk


def shrink_by_group(count: Floats, population: Floats, group: NDArray) -> Floats:
    """Return `shrink_rates` within each group (region), so that regions keep their own level."""
    shrunk = np.full(np.shape(count), np.nan)
    for name in np.unique(group):
        inside = group == name
        shrunk[inside] = shrink_rates(np.asarray(count)[inside], np.asarray(population)[inside])
    return shrunk


def zero_chance(rate: Floats, population: Floats) -> Callable[[Floats], Floats]:
    """Return a function from (n,) people to the chance that they have no crime at all.

    Counts are negative binomial: rates differ between areas (gamma, by the moments of the rates
    above zero), and counts about them are Poisson.

    Args:
        rate: (n,) of the whole table, per 100,000, not of the study area alone.
        population: (n,) people.
    """
    real = np.isfinite(rate) & (rate > 0) & (population > 0)
    if real.sum() < 10:
        return lambda people: np.ones(np.shape(people))
    share = rate[real] / PER
    mean = float(share.mean())
    between = max(float(share.var() - (mean / population[real]).mean()), 1e-9 * mean**2)
    shape = mean**2 / between
    return lambda people: (1 + np.nan_to_num(people) * mean / shape) ** -shape


def implausible_zeros(
    rate: Floats, population: Floats, chance: Callable[[Floats], Floats], least: float = 0.01
) -> NDArray[np.bool_]:
    """Mark rates of 0 that so many people could hardly have: they mean not reported.

    Args:
        rate: (n,) per 100,000.
        population: (n,) people.
        chance: of no crime, see `zero_chance`.
        least: smallest believable chance of a true zero.
    """
    return (np.asarray(rate, float) == 0) & (chance(np.asarray(population, float)) < least)
