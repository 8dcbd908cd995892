"""Streets between the areas: gently bent, with pavements, markings, crossings and roundabouts."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from urbanssl.synthetic import objects
from urbanssl.synthetic.look import Look, tinted
from urbanssl.synthetic.pen import MARK, ROAD, Pen

#: Half the width of a carriageway, and of the street with its pavements, metres.
LANE, STREET = 4.6, 6.8

_STEP = 12.0
_AMPLITUDE = 1.6


@dataclass(frozen=True)
class Bend:
    """How far the streets of a region stray from the straight grid."""

    phase_x: float
    phase_y: float
    wavelength: float

    def across(self, y: float) -> float:
        """How far a street from north to south strays to the east at `y`, metres."""
        return _AMPLITUDE * math.sin(2 * math.pi * y / self.wavelength + self.phase_x)

    def along(self, x: float) -> float:
        """How far a street from west to east strays to the south at `x`, metres."""
        return _AMPLITUDE * math.sin(2 * math.pi * x / self.wavelength + self.phase_y)


def draw_bend(rng: random.Random) -> Bend:
    """Draw how the streets of a region bend."""
    return Bend(rng.uniform(0, 6.28), rng.uniform(0, 6.28), rng.uniform(280, 420))


def lay_streets(pen: Pen, rng: random.Random, look: Look, count: int, side: float) -> None:
    """Lay the streets of a region: `count` areas of `side` metres each way.

    The pen is at the north-west corner.
    """
    bend = draw_bend(rng)
    for line in range(count + 1):
        _street(pen, look, bend, line * side, count * side, side, east_west=True)
        _street(pen, look, bend, line * side, count * side, side, east_west=False)
    for row in range(count + 1):
        for column in range(count + 1):
            x, y = column * side, row * side
            corner = pen.at(x + bend.across(y), y + bend.along(x))
            within = 0 < row < count and 0 < column < count
            if within and side > 60 and rng.random() < 0.65:
                objects.roundabout(corner, rng, look, rng.uniform(25, 29))
            else:
                _crossing(corner, look)


def _street(
    pen: Pen, look: Look, bend: Bend, line: float, length: float, block: float, east_west: bool
) -> None:
    steps = max(1, round(length / _STEP))
    stretch = length / steps
    yellow = tinted((206, 184, 104), 0, 16)
    for step in range(steps):
        ends = []
        for place in (step * stretch, (step + 1) * stretch):
            if east_west:
                ends.append((place, line + bend.along(place)))
            else:
                ends.append((line + bend.across(place), place))
        (x0, y0), (x1, y1) = ends
        piece = pen.at((x0 + x1) / 2, (y0 + y1) / 2, math.atan2(y1 - y0, x1 - x0))
        piece.box(ROAD, 0, 0, stretch + 0.6, 2 * STREET, look.pavement)
        piece.box(MARK, 0, 0, stretch + 0.6, 2 * LANE, look.asphalt)
        middle = ((step + 0.5) * stretch) % block
        if 15 < middle < block - 15:
            piece.box(MARK, 0, 0, stretch * 0.5, 0.3, yellow)


def _crossing(pen: Pen, look: Look) -> None:
    pen.box(MARK, 0, 0, 2 * STREET, 2 * LANE, look.asphalt)
    pen.box(MARK, 0, 0, 2 * LANE, 2 * STREET, look.asphalt)
    for side in range(4):
        arm = pen.at(0, 0, side * math.pi / 2)
        for bar in range(6):
            arm.box(MARK, STREET + 1.4, (bar - 2.5) * 1.3, 2.4, 0.6, objects.WHITE, alpha=0.85)
