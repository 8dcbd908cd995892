"""How a region looks: palette, season, sun, haze, noise; nuisances to be invariant to."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from urbanssl.synthetic.pen import Paint

_GRASS = ((88, 122, 60), (104, 128, 66), (78, 110, 62), (146, 136, 90), (96, 118, 74))
_LEAVES = ((62, 96, 46), (72, 104, 48), (54, 88, 52), (102, 102, 58), (128, 104, 52))
_SOIL = ((150, 124, 94), (164, 138, 108), (140, 108, 82), (128, 110, 88))
_ASPHALT = ((96, 96, 98), (84, 85, 88), (110, 108, 106), (74, 75, 80))
_WATER = ((44, 62, 68), (52, 74, 74), (62, 74, 62), (36, 54, 70))
_ROOFS = (
    (142, 84, 66), (122, 74, 62), (110, 108, 108), (84, 82, 84), (134, 118, 102), (92, 74, 66),
    (158, 150, 140), (76, 84, 96),
)  # fmt: skip
_CARS = (
    (232, 232, 232), (208, 210, 212), (176, 180, 184), (44, 45, 48), (60, 64, 70), (128, 30, 30),
    (40, 60, 110), (110, 112, 114), (90, 30, 36), (190, 178, 150),
)  # fmt: skip


def tinted(colour: tuple[float, ...], change: float, rough: float) -> Paint:
    """Return a colour made lighter by `change` grey levels, with its roughness."""
    return (
        min(255.0, max(0.0, colour[0] + change)),
        min(255.0, max(0.0, colour[1] + change)),
        min(255.0, max(0.0, colour[2] + change)),
        rough,
    )


@dataclass(frozen=True)
class Look:
    """The look of one region.

    Attributes:
        grass, leaves, soil, asphalt, pavement, water: surfaces.
        roofs, cars: colours to choose from.
        sun: where the shadow of something one metre high ends (metres to the right and down).
        gain, offset: per band, from the colour on the ground to the colour in the picture.
        gamma: contrast of the camera.
        haze: share of the light that comes from the haze, 0 to 1.
        noise: standard deviation of the sensor noise, grey levels.
        blur: standard deviation of the camera's point spread, pixels.
    """

    grass: Paint
    leaves: Paint
    soil: Paint
    asphalt: Paint
    pavement: Paint
    water: Paint
    roofs: tuple[tuple[int, int, int], ...]
    cars: tuple[tuple[int, int, int], ...]
    sun: tuple[float, float]
    gain: tuple[float, float, float]
    offset: tuple[float, float, float]
    gamma: float
    haze: float
    noise: float
    blur: float


def draw_look(rng: random.Random, season: int) -> Look:
    """Draw the look of a region.

    Args:
        rng: of the region.
        season: counted on from region to region, so that neighbours differ.
    """
    season %= len(_GRASS)
    bearing = rng.uniform(0, 2 * math.pi)
    length = rng.uniform(0.5, 1.0)
    warmth = rng.uniform(-0.05, 0.05)
    exposure = rng.uniform(0.95, 1.12)
    pavement = rng.uniform(-14, 10)
    return Look(
        grass=tinted(_GRASS[season], rng.uniform(-6, 8), 120),
        leaves=tinted(_LEAVES[season], rng.uniform(-4, 6), 150),
        soil=tinted(rng.choice(_SOIL), rng.uniform(-8, 8), 90),
        asphalt=tinted(rng.choice(_ASPHALT), rng.uniform(-5, 5), 34),
        pavement=tinted((168, 164, 156), pavement, 30),
        water=tinted(rng.choice(_WATER), rng.uniform(-4, 6), 18),
        roofs=tuple(rng.sample(_ROOFS, 5)),
        cars=_CARS,
        sun=(length * math.cos(bearing), length * math.sin(bearing)),
        gain=(exposure * (1 + warmth), exposure, exposure * (1 - warmth)),
        offset=(rng.uniform(-4, 4), rng.uniform(-4, 4), rng.uniform(-4, 4)),
        gamma=rng.uniform(0.9, 1.1),
        haze=rng.uniform(0.0, 0.14),
        noise=rng.uniform(1.5, 4.5),
        blur=rng.uniform(0.45, 0.75),
    )
