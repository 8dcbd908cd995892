"""Crime rates: per 100,000 people, and shrunk towards the mean where few people live."""

from __future__ import annotations

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


def low_rate(rate: Floats) -> float:
    """Return the rate that a tenth of the areas with any crime stay below, 0 where there is none.

    Args:
        rate: (n,) of the whole table, not of the study area alone.
    """
    above = rate[np.isfinite(rate) & (rate > 0)]
    return float(np.quantile(above, 0.1)) if above.size else 0.0


def implausible_zeros(
    rate: Floats, population: Floats, low: float, chance: float = 0.001
) -> NDArray[np.bool_]:
    """Mark rates of 0 that so many people could hardly have: they mean not reported.

    Even at a low rate the Poisson chance of seeing no crime at all must reach `chance`.

    Args:
        rate: (n,) per 100,000.
        population: (n,) people.
        low: a low but real rate, see `low_rate`.
        chance: smallest believable chance of a true zero.
    """
    expected = np.nan_to_num(np.asarray(population, float)) * low / PER
    return (np.asarray(rate, float) == 0) & (np.exp(-expected) < chance)
