"""What drives the city: how likely each thing is to be built where the hidden state is such.

The hidden state of an area is `build`: its latent plus the confounded effect of its region. Every
choice that depends on it is one draw with a probability known from this page, so what was built
tells exactly how likely every state is (`expected_build`).
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

#: Choices between yes and no: log odds where `build` is 0, and their change per unit of it.
DRIVERS: Mapping[str, tuple[float, float]] = {
    "house": (1.7, 0.5),
    "pool": (-0.3, -1.1),
    "parked": (-0.2, 0.9),
    "kerb": (-1.2, 1.5),
    "lorry": (0.2, 0.9),
    "boat": (0.4, -1.3),
    "tree": (-0.1, -0.8),
}

#: Themes of areas away from the water: log weight where `build` is 0, and its change per unit.
THEMES: Mapping[str, tuple[float, float]] = {
    "residential": (0.8, -0.55),
    "commercial": (-0.4, 0.9),
    "industrial": (-0.4, 0.8),
    "sports": (0.4, -0.6),
    "airfield": (-0.5, -0.1),
}

#: Shares in which the themes are dealt to the areas of a labelled region, away from the water.
_DEAL = ("sports", "residential", "airfield", "industrial", "sports", "residential", "commercial",
         "sports", "airfield", "industrial", "residential", "sports")  # fmt: skip

_GRID = np.linspace(-6, 6, 481)


def chance(driver: str, build: float) -> float:
    """Return the probability of a choice of `DRIVERS` at a hidden state."""
    base, slope = DRIVERS[driver]
    return 1 / (1 + math.exp(-base - slope * build))


@dataclass
class Tally:
    """What was built in an area, as far as the hidden state had a say.

    Attributes:
        theme: the area's theme; `waterfront` does not depend on the hidden state.
        dealt: whether the theme was dealt, so that it does not depend on the hidden state either.
        trials: by driver, how many choices there were.
        built: by driver, how many of them came out as yes.
    """

    theme: str
    dealt: bool = False
    trials: dict[str, int] = field(default_factory=lambda: dict.fromkeys(DRIVERS, 0))
    built: dict[str, int] = field(default_factory=lambda: dict.fromkeys(DRIVERS, 0))


def draw_theme(rng: random.Random, build: float) -> str:
    """Draw the theme of an area at a hidden state."""
    weights = [math.exp(base + slope * build) for base, slope in THEMES.values()]
    return rng.choices(list(THEMES), weights)[0]


def deal_themes(rng: random.Random, count: int) -> list[str]:
    """Return themes for `count` areas in fixed shares, shuffled.

    Labelled regions get theirs this way, so that every class has objects to learn from.
    """
    deck: list[str] = []
    while len(deck) < count:
        deck += rng.sample(_DEAL, len(_DEAL))
    return deck[:count]


class Choices:
    """Makes the choices of one area and keeps their tally."""

    def __init__(self, rng: random.Random, build: float, theme: str, dealt: bool) -> None:
        self.rng = rng
        self.tally = Tally(theme, dealt)
        self._chances = {driver: chance(driver, build) for driver in DRIVERS}

    def happens(self, driver: str) -> bool:
        """Make one choice."""
        self.tally.trials[driver] += 1
        yes = self.rng.random() < self._chances[driver]
        self.tally.built[driver] += yes
        return yes


def expected_build(tally: Tally, prior_sd: float) -> tuple[float, float]:
    """Return mean and standard deviation of the hidden state given what was built.

    The posterior is computed on a grid from the known probabilities and a normal prior.

    Args:
        tally: what was built in the area.
        prior_sd: standard deviation of the hidden state over all areas.
    """
    log_posterior = -0.5 * (_GRID / prior_sd) ** 2
    for driver, (base, slope) in DRIVERS.items():
        odds = base + slope * _GRID
        yes, trials = tally.built[driver], tally.trials[driver]
        log_posterior += yes * odds - trials * np.logaddexp(0, odds)
    if tally.theme in THEMES and not tally.dealt:
        weights = np.array([base + slope * _GRID for base, slope in THEMES.values()])
        chosen = weights[list(THEMES).index(tally.theme)]
        log_posterior += chosen - np.logaddexp.reduce(weights, axis=0)
    posterior = np.exp(log_posterior - log_posterior.max())
    posterior /= posterior.sum()
    mean = float(posterior @ _GRID)
    return mean, math.sqrt(float(posterior @ (_GRID - mean) ** 2))
