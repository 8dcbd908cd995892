"""Crime in the embedded city: a hidden state by area, counts, population, attainable scores.

Model, for area i of region r (z is standardised within its region, u over the regions):

    build_i    = z_i + confounding * u_r                  (what is built depends on this alone)
    log rate_i = log 4000 + signal * z_i + confounding * u_r + noise * eps_i
    crimes_i   ~ Poisson(rate_i * population_i / 100,000)

z is smooth in space plus noise of its own; eps is independent. With signal 0 the rate says nothing
about what is built, given the region.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from urbanssl.settings import CitySettings

#: Median rate, crimes per 100,000 people.
BASE_RATE = 4000.0

#: Columns of the crime table, and the year it is of.
TABLE_COLUMNS = ("area_id", "region", "year", "population", "crimes", "coverage")
YEAR = 2023

#: Draws of noise and counts over which the attainable scores are averaged.
_DRAWS = 200


@dataclass(frozen=True)
class Hidden:
    """The hidden state of the whole city.

    Attributes:
        latent: `(R, A)` z, mean 0 and standard deviation 1 within every region.
        effect: `(R,)` u, mean 0 and standard deviation 1 over the regions.
        build: `(R, A)` what the built city depends on.
    """

    latent: np.ndarray
    effect: np.ndarray
    build: np.ndarray


def draw_hidden(city: CitySettings, seed: int) -> Hidden:
    """Draw the hidden state of the city; a region's latent does not depend on the others."""
    side = city.areas_per_side
    latent = np.stack(
        [
            _smooth_latent(side, np.random.default_rng([seed, number, 0]))
            for number in range(city.regions)
        ]
    )
    effect = _standardised(np.random.default_rng([seed, 2]).normal(size=city.regions))
    return Hidden(latent, effect, latent + city.confounding * effect[:, None])


def _smooth_latent(side: int, rng: np.random.Generator) -> np.ndarray:
    """Return `(side * side,)`: a few slow waves plus independent noise, standardised."""
    place = (np.arange(side) + 0.5) / side
    x, y = np.meshgrid(place, place)
    waves = np.zeros((side, side))
    for _ in range(6):
        pace = rng.normal(0, 1.2, size=2)
        waves += np.cos(2 * math.pi * (pace[0] * x + pace[1] * y) + rng.uniform(0, 2 * math.pi))
    own = rng.normal(size=(side, side))
    return _standardised((0.8 * waves / math.sqrt(3) + 0.6 * own).ravel())


def _standardised(values: np.ndarray) -> np.ndarray:
    spread = values.std()
    return (values - values.mean()) / spread if spread > 0 else np.zeros_like(values)


def log_rates(hidden: Hidden, city: CitySettings, rng: np.random.Generator | None) -> np.ndarray:
    """Return the log rate per 100,000 of every area, `(R, A)`; expected ones where rng is None."""
    expected = (
        math.log(BASE_RATE)
        + city.signal * hidden.latent
        + city.confounding * hidden.effect[:, None]
    )
    return expected if rng is None else expected + city.noise * rng.normal(size=expected.shape)


def draw_population(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Draw the population of areas: log-normal around 3,000 people."""
    return np.maximum(200, np.rint(np.exp(rng.normal(math.log(3000), 0.45, shape)))).astype(int)


@dataclass(frozen=True)
class CrimeDraw:
    """One draw of what the police recorded.

    Attributes:
        population: `(R, A)` int.
        rate: `(R, A)` true rate per 100,000.
        crimes: `(R, A)` int, recorded.
    """

    population: np.ndarray
    rate: np.ndarray
    crimes: np.ndarray


def redraw_crime(hidden: Hidden, city: CitySettings, seed: int) -> CrimeDraw:
    """Draw noise, population and counts anew over a built city; no imagery is touched.

    Thousands of draws a second, so that an evaluation can be repeated on features computed once.

    Args:
        hidden: the hidden state, from `draw_hidden` or the truth file (`hidden_of_truth`).
        city: settings; `signal`, `confounding` and `noise` are used, and may differ from those
            the imagery was drawn with (signal 0 makes the null city of the same imagery).
        seed: of this draw.
    """
    rng = np.random.default_rng([seed, 3])
    population = draw_population(hidden.latent.shape, rng)
    rate = np.exp(log_rates(hidden, city, rng))
    return CrimeDraw(population, rate, rng.poisson(rate * population / 1e5))


def attainable(
    hidden: Hidden,
    build_mean: np.ndarray,
    city: CitySettings,
    studied: slice,
    seed: int,
) -> dict[str, dict[str, float]]:
    """Return what the best possible model reaches, by how much it is told.

    Every score is that of the exact conditional expectation of the log rate:

    - `leave_region_out`: given what is built in the area itself and nothing of its region's level:
      E[log rate | b] = base + (signal + confounding^2) / (1 + confounding^2) * E[b | built].
    - `random`: given what is built and the region's effect, which neighbours in training reveal:
      base + signal * (E[b | built] - confounding * u) + confounding * u.
    - `latent`: given the hidden state itself; only noise and counting remain.

    Scores are means over 200 redraws of noise, population and counts: `auc` for a rate above the
    median of the studied areas, `r2` and `spearman` against the log of the observed rate
    (half a crime is added where none was recorded).

    Args:
        hidden: the hidden state.
        build_mean: `(R, A)` E[b | what was built], see `latent.expected_build`.
        city: settings.
        studied: the regions that are studied.
        seed: seed of the redraws.
    """
    share = (city.signal + city.confounding**2) / (1 + city.confounding**2)
    effect = city.confounding * hidden.effect[:, None]
    base = math.log(BASE_RATE)
    told = {
        "leave_region_out": base + share * build_mean,
        "random": base + city.signal * (build_mean - effect) + effect,
        "latent": log_rates(hidden, city, None),
    }
    draws = [redraw_crime(hidden, city, seed * 1_000_003 + draw + 1) for draw in range(_DRAWS)]
    observed = np.stack([observed_log_rate(draw)[studied].ravel() for draw in draws])
    return {
        scheme: _scores(expected[studied].ravel(), observed) for scheme, expected in told.items()
    }


def observed_log_rate(crime: CrimeDraw) -> np.ndarray:
    """Return the log of the recorded rate per 100,000; half a crime stands for none."""
    log_rate: np.ndarray = np.log(np.maximum(crime.crimes, 0.5) / crime.population * 1e5)
    return log_rate


def _scores(expected: np.ndarray, observed: np.ndarray) -> dict[str, float]:
    """Return the mean scores of one prediction `(N,)` over draws `(D, N)`."""
    count = len(expected)
    total = ((observed - observed.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
    unexplained = ((observed - expected) ** 2).sum(axis=1) / total
    if np.ptp(expected) < 1e-9:
        return {"auc": 0.5, "r2": float(np.mean(1 - unexplained)), "spearman": 0.0}
    rank = expected.argsort().argsort() + 1.0
    high = observed > np.median(observed, axis=1, keepdims=True)
    highs = high.sum(axis=1)
    # Mann-Whitney: the sum of the ranks of the high areas.
    auc = ((high * rank).sum(axis=1) - highs * (highs + 1) / 2) / (highs * (count - highs))
    ranks = observed.argsort(axis=1).argsort(axis=1) + 1.0
    spearman = 1 - 6 * ((ranks - rank) ** 2).sum(axis=1) / (count * (count**2 - 1))
    return {
        "auc": float(auc.mean()),
        "r2": float(np.mean(1 - unexplained)),
        "spearman": float(spearman.mean()),
    }


def redrawn_table(truth: dict[str, Any], city: CitySettings, seed: int) -> dict[str, list[Any]]:
    """Return a crime table like `crime.csv`, drawn anew over a city whose truth file was read.

    Features of the imagery, computed once, stay valid: only noise, population and counts change.

    Args:
        truth: the content of `truth.json`.
        city: settings, whose `signal`, `confounding` and `noise` may differ from the drawn city's.
        seed: of this draw.

    Returns:
        Columns area_id, region, year, population, crimes, coverage; the study regions alone.
    """
    crime = redraw_crime(hidden_of_truth(truth), city, seed)
    columns: dict[str, list[Any]] = {name: [] for name in TABLE_COLUMNS}
    for number, region in enumerate(truth["regions"]):
        if region["labelled"]:
            continue
        for place, area in enumerate(region["areas"]):
            people, crimes = crime.population[number, place], crime.crimes[number, place]
            row = (area, region["name"], YEAR, int(people), int(crimes), 100.0)
            for name, value in zip(TABLE_COLUMNS, row, strict=True):
                columns[name].append(value)
    return columns


def hidden_of_truth(truth: dict[str, Any]) -> Hidden:
    """Return the hidden state that a truth file (`truth.json`, read) holds."""
    regions = truth["regions"]
    latent = np.array(
        [[truth["areas"][area]["latent"] for area in region["areas"]] for region in regions]
    )
    build = np.array(
        [[truth["areas"][area]["build"] for area in region["areas"]] for region in regions]
    )
    return Hidden(latent, np.array([region["effect"] for region in regions]), build)
