"""What a lot (a square of about 50 m) holds, by kind.

Sizes are metres, the pen is at the lot's centre.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping

from urbanssl.synthetic import objects, scenery
from urbanssl.synthetic.look import tinted
from urbanssl.synthetic.pen import GROUND, MARK, ROAD
from urbanssl.synthetic.scenery import Site

_QUARTER = math.pi / 2


def houses(site: Site, size: float) -> None:
    """Two rows of gardens with houses, pools, trees and drives."""
    pen, rng, look = site.pen, site.rng, site.look
    pen.box(GROUND, 0, 0, size, size, tinted(look.grass, rng.uniform(-6, 6), 110))
    columns = max(1, int(size / 15.5))
    width, depth = size / columns, size / 2
    for row in (-1, 1):
        for column in range(columns):
            # x of a garden points from the street inwards.
            garden = site.at((column - (columns - 1) / 2) * width, row * size / 2, -row * _QUARTER)
            _garden(garden, width, depth)


def _garden(site: Site, width: float, depth: float) -> None:
    pen, rng, look = site.pen, site.rng, site.look
    pen.box(ROAD, depth / 2, width / 2, depth, 0.4, tinted(look.leaves, rng.uniform(-8, 30), 120))
    if not site.choices.happens("house"):
        scenery.plant(site, depth * 0.3, rng.uniform(-0.2, 0.2) * width)
        scenery.plant(site, depth * 0.7, rng.uniform(-0.2, 0.2) * width)
        return
    long, deep = min(width - 4.5, rng.uniform(9, 12)), rng.uniform(7, 8.5)
    front = rng.uniform(5, 6.5)
    home = site.at(front + deep / 2, -1.2, _QUARTER + rng.uniform(-0.05, 0.05))
    scenery.house(home, long, deep)
    drive = site.at(front / 2, width / 2 - 2.1)
    scenery.driveway(drive.at(1, 0), front + 2, 2.8)
    if site.choices.happens("parked"):
        objects.small_vehicle(drive.pen.at(0.5, 0, rng.choice((0, math.pi))), rng, look)
    back = front + deep + 1
    room = depth - back
    if room > 6.5 and site.choices.happens("pool"):
        turn = rng.choice((0, _QUARTER)) if room > 10 else _QUARTER
        long, wide = rng.uniform(7.5, 10.5), rng.uniform(3.8, 4.8)
        place = back + room * 0.5
        objects.swimming_pool(
            pen.at(place, rng.uniform(-1, 1), turn), rng, min(long, width - 5), wide
        )
    else:
        scenery.plant(site, back + room * 0.5, rng.uniform(-0.25, 0.25) * width)
    scenery.plant(site, back + room * 0.85, rng.choice((-1, 1)) * width * 0.38, 1.4, 2.6)
    scenery.plant(site, 2.2, -width * 0.3, 1.4, 2.8)


def car_park(site: Site, size: float) -> None:
    """Rows of stalls around aisles; a store along one side where there is room."""
    pen, rng, look = site.pen, site.rng, site.look
    pen.box(GROUND, 0, 0, size, size, tinted(look.asphalt, rng.uniform(-8, 12), 30))
    site = site.at(0, 0, rng.randrange(4) * _QUARTER)
    depth = size - 4
    if size > 40 and rng.random() < 0.6:
        store = rng.uniform(13, 17)
        scenery.flat_roof(site.at(0, -size / 2 + store / 2 + 1), size - 6, store, rng.uniform(5, 8))
        depth -= store + 3
    middle = size / 2 - 2 - depth / 2
    modules = max(1, int(depth / 16.5))
    for module in range(modules):
        y = middle + (module - (modules - 1) / 2) * depth / modules
        for side in (-1, 1):
            _stalls(site.at(0, y + side * 5.6), size - 8, side)
    for end in (-1, 1):
        scenery.plant(site, end * (size / 2 - 2), middle, 1.6, 2.6)


def _stalls(site: Site, length: float, side: int) -> None:
    pen, rng, look = site.pen, site.rng, site.look
    count = int(length / 2.7)
    for stall in range(count + 1):
        pen.box(MARK, (stall - count / 2) * 2.7, 0, 0.2, 5, objects.WHITE, alpha=0.8)
    for stall in range(count):
        if site.choices.happens("parked"):
            x, turn = (stall + 0.5 - count / 2) * 2.7, side * rng.choice((-1, 1)) * _QUARTER
            objects.small_vehicle(
                pen.at(x + rng.uniform(-0.15, 0.15), rng.uniform(-0.3, 0.3), turn), rng, look
            )


def depot(site: Site, size: float) -> None:
    """A warehouse with lorries before its doors and more parked across the yard."""
    pen, rng, look = site.pen, site.rng, site.look
    pen.box(GROUND, 0, 0, size, size, tinted(look.pavement, rng.uniform(-44, -16), 36))
    site = site.at(0, 0, rng.randrange(4) * _QUARTER)
    pen = site.pen
    deep = max(0.0, size - 38)
    if deep > 6:
        scenery.flat_roof(site.at(0, -size / 2 + deep / 2 + 1), size - 5, deep, rng.uniform(7, 10))
    for row, y in enumerate((-size / 2 + deep + 9.5, size / 2 - 9)):
        count = int((size - 6) / 4.2)
        for bay in range(count):
            x = (bay + 0.5 - count / 2) * 4.2
            pen.box(MARK, x - 2.1, y, 0.2, 12, tinted(objects.WHITE, -30, 12), alpha=0.7)
            if rng.random() < 0.8 and site.choices.happens("lorry"):
                objects.large_vehicle(pen.at(x, y, _QUARTER * (1 if row else -1)), rng, look)


def tanks(site: Site, size: float) -> None:
    """Storage tanks within a bund."""
    pen, rng, look = site.pen, site.rng, site.look
    pen.box(GROUND, 0, 0, size, size, tinted(look.soil, rng.uniform(-10, 20), 70))
    pen.box(ROAD, 0, 0, size - 3, size - 3, tinted(look.pavement, 6, 20), line=1)
    fitting = [count for count in (1, 2, 2, 3, 3) if (size - 6) / count >= 11]
    across = rng.choice(fitting or [1])
    pitch = (size - 6) / across
    for row in range(across):
        for column in range(across):
            x, y = (column + 0.5) * pitch - size / 2 + 3, (row + 0.5) * pitch - size / 2 + 3
            diameter = min(30, rng.uniform(0.62, 0.84) * pitch)
            pen.box(MARK, x, y + pitch / 2, pitch, 0.5, (150, 146, 140, 8))
            objects.storage_tank(pen.at(x, y), rng, look, diameter)


def _lawn(site: Site, size: float) -> None:
    site.pen.box(GROUND, 0, 0, size, size, tinted(site.look.grass, site.rng.uniform(-4, 8), 105))


def _border(site: Site, size: float) -> None:
    for side in range(4):
        edge = site.at(0, 0, side * _QUARTER)
        for place in range(max(1, int(size / 9))):
            x = (place + site.rng.uniform(0.2, 0.8)) * 9 - size / 2
            scenery.plant(edge, x, size / 2 - 1.2, 1.3, 2.2)


def tennis(site: Site, size: float) -> None:
    """Tennis courts side by side."""
    _lawn(site, size)
    turned = site.at(0, 0, site.rng.randrange(2) * _QUARTER)
    count = max(1, int((size - 0.5) / 15.6))
    for court in range(count):
        y = (court - (count - 1) / 2) * 15.4
        objects.tennis_court(turned.pen.at(site.rng.uniform(-2, 2), y), site.rng)
    _border(site, size)


def basketball(site: Site, size: float) -> None:
    """Basketball courts, full-sized or for schools."""
    _lawn(site, size)
    turned = site.at(0, 0, site.rng.randrange(2) * _QUARTER)
    length = site.rng.choice((24, 26, 28))
    pitch = length * 15 / 28 + 3
    count = max(1, int((size - 3) / pitch))
    for court in range(count):
        y = (court - (count - 1) / 2) * pitch
        place = turned.pen.at(site.rng.uniform(-4, 4), y)
        objects.basketball_court(place, site.rng, length)
    _border(site, size)


def soccer(site: Site, size: float) -> None:
    """One soccer field, or two small-sided ones."""
    _lawn(site, size)
    rng = site.rng
    turned = site.at(0, 0, rng.randrange(2) * _QUARTER)
    if rng.random() < 0.7:
        length, width = rng.uniform(36, 42), rng.uniform(18, 20)
        length = min(length, size - 4)
        for side in (-1, 1):
            objects.soccer_field(turned.pen.at(0, side * 12), rng, site.look, length, width)
    else:
        length = size - rng.uniform(3, 5)
        objects.soccer_field(turned.pen, rng, site.look, length, length * rng.uniform(0.6, 0.68))
    _border(site, size)


def baseball(site: Site, size: float) -> None:
    """One baseball diamond, or four that meet at their outfields."""
    _lawn(site, size)
    rng = site.rng
    if rng.random() < 0.6:
        radius = size * 0.47
        for corner in range(4):
            # Home plate in the corner, the outfield towards the middle.
            place = site.pen.at(0, 0, corner * _QUARTER + _QUARTER / 2)
            reach = size * 0.707 - 1.5 - radius / 2
            objects.baseball_diamond(place.at(-reach, 0), rng, site.look, radius * 0.92)
    else:
        radius = min(36.0, (size - 6) / 1.42)
        turned = site.at(0, 0, rng.randrange(4) * _QUARTER)
        objects.baseball_diamond(turned.pen, rng, site.look, radius)
        _border(site, size)


def track(site: Site, size: float) -> None:
    """A school's running track, with a small soccer field inside the larger ones."""
    _lawn(site, size)
    rng = site.rng
    turned = site.at(0, 0, rng.randrange(2) * _QUARTER)
    length = size - rng.uniform(1, 4)
    if rng.random() < 0.5:
        width = length * 0.47
        for side in (-1, 1):
            place = turned.pen.at(0, side * size * 0.25)
            objects.ground_track_field(place, rng, site.look, length, width)
    else:
        width = length * rng.uniform(0.62, 0.72)
        objects.ground_track_field(turned.pen, rng, site.look, length, width)
        inner = width * 0.7 - 2
        if rng.random() < 0.7:
            long = min(length - 2 * 0.3 * width, inner * 1.5)
            objects.soccer_field(turned.pen, rng, site.look, long, inner * 0.82)
    _border(site, size)


def apron(site: Site, size: float) -> None:
    """Planes on an apron: rows of light aircraft, or an airliner with company."""
    rng, look = site.rng, site.look
    paved = tinted(look.pavement, rng.uniform(-30, 0), 26)
    site.pen.box(GROUND, 0, 0, size, size, paved, stripes=(7, 1.5))
    turned = site.at(0, 0, rng.randrange(4) * _QUARTER)
    pen = turned.pen
    pen.box(MARK, 0, 0, size, 0.4, (216, 190, 70, 8))
    if rng.random() < 0.3 and size > 34:
        length = min(rng.uniform(26, 38), size - 10)
        objects.plane(pen.at(0, -size * 0.06, rng.uniform(-0.2, 0.2)), rng, look, length)
        for side in (-1, 1):
            objects.large_vehicle(pen.at(side * size * 0.36, size / 2 - 3), rng, look)
        return
    pitch = 16.0
    across = max(1, int(size / pitch))
    for row in range(across):
        for column in range(across):
            if rng.random() < 0.25 and across > 1:
                continue
            x = (column - (across - 1) / 2) * size / across
            y = (row - (across - 1) / 2) * size / across
            length = rng.uniform(9, 12)
            turn = _QUARTER + rng.gauss(0, 0.25)
            objects.plane(pen.at(x, y, turn), rng, look, length)


def helipads(site: Site, size: float) -> None:
    """Helicopters on their pads."""
    rng, look = site.rng, site.look
    if rng.random() < 0.5:
        _lawn(site, size)
    else:
        site.pen.box(GROUND, 0, 0, size, size, tinted(look.asphalt, 8, 30))
    across = max(1, int(size / 22))
    for row in range(across):
        for column in range(across):
            x = (column - (across - 1) / 2) * size / across
            y = (row - (across - 1) / 2) * size / across
            objects.helicopter(site.pen.at(x, y, rng.uniform(0, 2 * math.pi)), rng, look)


def hangars(site: Site, size: float) -> None:
    """Hangars, with a taxiway before them and one or two planes."""
    rng, look = site.rng, site.look
    _lawn(site, size)
    turned = site.at(0, 0, rng.randrange(4) * _QUARTER)
    turned.pen.box(ROAD, 0, size * 0.2, size, size * 0.6, tinted(look.pavement, -14, 26))
    scenery.flat_roof(turned.at(-size * 0.25, -size * 0.28), size * 0.42, size * 0.36, 9)
    scenery.flat_roof(turned.at(size * 0.25, -size * 0.28), size * 0.42, size * 0.36, 9)
    for side in (-1, 1):
        pen = turned.pen.at(side * size * 0.25, size * 0.22, rng.choice((-1, 1)) * _QUARTER)
        objects.plane(pen, rng, look, min(rng.uniform(11, 18), size * 0.38))


def circle(site: Site, size: float) -> None:
    """A roundabout with four arms and planted corners."""
    rng, look = site.rng, site.look
    _lawn(site, size)
    for turn in (0, _QUARTER):
        arm = site.pen.at(0, 0, turn)
        arm.box(ROAD, 0, 0, size + 4, 9.5, look.pavement)
        arm.box(ROAD, 0, 0, size + 4, 7, look.asphalt)
    objects.roundabout(site.pen, rng, look, min(rng.uniform(25, 38), size - 4))
    reach = size * 0.4
    for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
        corner = site.at(x * reach, y * reach)
        scenery.grove(corner, size * 0.18, size * 0.18, 5.5)
    for side in range(4):
        lane = site.pen.at(0, 0, side * _QUARTER)
        if site.choices.happens("kerb"):
            objects.small_vehicle(lane.at(size * 0.42, 1.8), rng, look)


def park(site: Site, size: float) -> None:
    """A park: paths, pond, many trees."""
    rng, look = site.rng, site.look
    _lawn(site, size)
    turn = rng.uniform(0.3, 1.2)
    path = tinted(look.soil, 30, 40)
    site.pen.at(0, 0, turn).box(ROAD, 0, 0, size * 0.95, 2, path)
    site.pen.at(0, 0, turn + 1.9).box(ROAD, 0, 0, size * 0.95, 2, path)
    if rng.random() < 0.6:
        scenery.pond(site.at(size * 0.18, -size * 0.15, rng.uniform(0, 3)), size * 0.3, size * 0.2)
    scenery.grove(site, size - 6, size - 6, 6.5)


def baths(site: Site, size: float) -> None:
    """Public baths: large pools on terraces."""
    rng, look = site.rng, site.look
    _lawn(site, size)
    pools = max(1, int(size / 17))
    for number in range(pools):
        y = (number - (pools - 1) / 2) * size / pools
        for side in (-1, 1):
            pen = site.pen.at(side * size * 0.19, y)
            if site.choices.happens("pool"):
                pen.box(ROAD, 0, 0, size * 0.36, 13, tinted(look.pavement, 12, 20))
                objects.swimming_pool(pen, rng, min(13.0, size * 0.3), rng.uniform(6, 8))
            else:
                scenery.plant(site.at(side * size * 0.19, y), 0, 0)
    _border(site, size)


def farmland(site: Site, size: float) -> None:
    """A field with a line of trees."""
    scenery.field(site, size, size)
    for place in range(int(size / 7)):
        scenery.plant(site, place * 7 - size / 2 + 3, size / 2 - 1.5, 1.6, 2.8)


def stacks(site: Site, size: float) -> None:
    """A container yard."""
    site.pen.box(GROUND, 0, 0, size, size, tinted(site.look.pavement, -34, 30))
    scenery.containers(site, size - 4, size - 6)


Lot = Callable[[Site, float], None]

#: What lots of a theme hold: kind, its weight, the least side it needs in metres.
LOTS: Mapping[str, tuple[tuple[Lot, float, float], ...]] = {
    "residential": (
        (houses, 5.0, 18), (circle, 0.9, 36), (park, 0.6, 18), (basketball, 0.4, 31),
        (baths, 0.5, 30),
    ),
    "commercial": ((car_park, 3.0, 18), (depot, 0.5, 30), (circle, 0.7, 36), (park, 0.3, 18)),
    "industrial": ((tanks, 2.6, 14), (depot, 2.0, 30), (car_park, 0.4, 18), (stacks, 0.4, 20)),
    "sports": (
        (tennis, 1.5, 33), (basketball, 1.3, 31), (soccer, 1.1, 44), (baseball, 1.7, 40),
        (track, 1.8, 40), (car_park, 0.4, 18), (park, 0.2, 18),
    ),
    "airfield": ((apron, 2.4, 20), (helipads, 2.4, 20), (hangars, 0.8, 44), (farmland, 0.3, 14)),
}  # fmt: skip


def deal_lots(rng: random.Random, theme: str, size: float, count: int) -> list[Lot]:
    """Draw what the lots of an area hold, by weight; sports repeat only when all were drawn."""
    fitting = [(kind, weight) for kind, weight, least in LOTS[theme] if least <= size]
    dealt: list[Lot] = []
    left: list[tuple[Lot, float]] = []
    while len(dealt) < count:
        left = left or list(fitting)
        place = rng.choices(range(len(left)), [weight for _, weight in left])[0]
        dealt.append(left[place][0])
        if theme == "sports":
            del left[place]
    return dealt
