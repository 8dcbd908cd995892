"""What a lot on the bank of the river holds, by kind. Lengths are metres."""

from __future__ import annotations

import math
from collections.abc import Callable

from urbanssl.synthetic import objects, scenery
from urbanssl.synthetic.look import tinted
from urbanssl.synthetic.pen import GROUND
from urbanssl.synthetic.scenery import Site

_QUARTER = math.pi / 2


def _bank_tennis(site: Site, width: float, depth: float) -> None:
    for side in (-1, 1):
        place = site.pen.at(side * width * 0.24, site.rng.uniform(-1, 1))
        objects.tennis_court(place.at(0, 0, _QUARTER if depth < 33 else 0), site.rng, 0.86)


def _bank_basketball(site: Site, width: float, depth: float) -> None:
    length = min(24.0, depth)
    for side in (-1, 1):
        place = site.pen.at(side * width * 0.24, 0, _QUARTER)
        objects.basketball_court(place, site.rng, length * 0.9)


def _bank_soccer(site: Site, width: float, depth: float) -> None:
    length = min(width - 3, 34.0)
    objects.soccer_field(site.pen, site.rng, site.look, length, min(depth - 4, length * 0.6))


def _bank_track(site: Site, width: float, depth: float) -> None:
    length = min(width - 1, 48.0)
    objects.ground_track_field(site.pen, site.rng, site.look, length, min(depth - 2, length * 0.6))


def _bank_diamond(site: Site, width: float, depth: float) -> None:
    radius = min(depth - 2, (width - 2) / 1.42)
    turn = site.rng.choice((-1, 1)) * _QUARTER
    objects.baseball_diamond(site.pen.at(0, 0, turn), site.rng, site.look, radius)


def _bank_helipads(site: Site, width: float, depth: float) -> None:
    site.pen.box(GROUND, 0, 0, width, depth, tinted(site.look.pavement, -20, 26))
    for side in (-1, 1):
        turn = site.rng.uniform(0, 2 * math.pi)
        pen = site.pen.at(side * width * 0.26, 0, turn)
        objects.helicopter(pen, site.rng, site.look)


def _bank_grove(site: Site, width: float, depth: float) -> None:
    scenery.grove(site, width, depth, 6.5)


#: What a bank lot (about 34 m along the river, 22 m deep) holds: takes site, width, depth.
BANK_LOTS: tuple[Callable[[Site, float, float], None], ...] = (
    _bank_tennis, _bank_basketball, _bank_soccer, _bank_track, _bank_diamond, _bank_helipads,
    _bank_grove,
)  # fmt: skip
