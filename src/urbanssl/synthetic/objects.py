"""The 16 classes: a small function each draws an object and labels it.

The object lies at the pen's origin, along its x. Sizes are metres.
"""

from __future__ import annotations

import math
import random

from urbanssl.synthetic.look import Look, tinted
from urbanssl.synthetic.pen import GROUND, LOW, MARK, RAISED, ROAD, TOP, Paint, Pen

WHITE: Paint = (226, 226, 222, 12)
_GLASS: Paint = (44, 50, 58, 4)
_SHADOW: Paint = (22, 24, 30, 8)


def small_vehicle(pen: Pen, rng: random.Random, look: Look) -> None:
    """A car: body, windscreen, rear window, its shadow beside it."""
    length, width = rng.uniform(4.2, 4.9), rng.uniform(1.8, 2.0)
    body = tinted(rng.choice(look.cars), rng.uniform(-8, 8), 6)
    _low_shadow(pen, length, width, 1.0, look)
    pen.box(LOW, 0, 0, length, width, body, radius=0.5)
    pen.box(LOW, 0.75, 0, 0.7, width * 0.84, _GLASS)
    pen.box(LOW, -1.45, 0, 0.5, width * 0.8, _GLASS)
    pen.box(LOW, -0.35, 0, 1.4, width * 0.72, tinted(body, 12, 4), radius=0.2)
    pen.label("small-vehicle", length, width)


def large_vehicle(pen: Pen, rng: random.Random, look: Look) -> None:
    """A lorry (cab and box) or a bus (one long body with hatches)."""
    bus = rng.random() < 0.25
    length, width = (12.0 if bus else rng.uniform(9, 14)), 2.6
    _low_shadow(pen, length, width, 2.2, look)
    if bus:
        pen.box(
            LOW, 0, 0, length, width, tinted((214, 190, 90), rng.uniform(-30, 20), 6), radius=0.3
        )
        for place in (-3.4, 0, 3.4):
            pen.box(LOW, place, 0, 1.3, 1.2, (150, 150, 146, 6))
        pen.box(LOW, length / 2 - 0.3, 0, 0.5, width * 0.9, _GLASS)
    else:
        load = rng.choice(((228, 228, 224), (196, 198, 200), (120, 60, 50), (60, 84, 120)))
        cab = tinted(rng.choice(look.cars), 0, 6)
        pen.box(LOW, -1.4, 0, length - 2.8, width, tinted(load, rng.uniform(-8, 8), 8))
        pen.box(LOW, length / 2 - 1.1, 0, 2.1, width * 0.94, cab, radius=0.3)
        pen.box(LOW, length / 2 - 0.5, 0, 0.6, width * 0.84, _GLASS)
    pen.label("large-vehicle", length, width)


def _low_shadow(pen: Pen, length: float, width: float, height: float, look: Look) -> None:
    # Painted, not cast: things this low stay lit on top, and lie in the shadow of what is higher.
    cosine, sine = pen.cosine, pen.sine
    x, y = look.sun[0] * height * 0.6, look.sun[1] * height * 0.6
    along, across = cosine * x + sine * y, -sine * x + cosine * y
    pen.box(LOW, along, across, length + 0.2, width + 0.2, _SHADOW, radius=0.5, alpha=0.6)


def plane(pen: Pen, rng: random.Random, look: Look, length: float) -> None:
    """A plane: light aircraft with straight wings, airliner with swept ones and engines."""
    jet = length > 17
    span = length * (rng.uniform(0.9, 1.02) if jet else rng.uniform(1.15, 1.35))
    body = tinted((232, 232, 230), rng.uniform(-16, 4), 8)
    width = length * (0.105 if jet else 0.13)
    height = 0.16 * length
    sweep, taper = (0.5, 0.68) if jet else (0.02, 0.3)
    chord = length * (0.27 if jet else 0.17)
    front = length * (0.1 if jet else 0.12)
    pen.shadow(0, 0, length, width, height, radius=width / 2)
    pen.shadow(front - sweep * span * 0.2, 0, chord * 0.7, span * 0.9, height * 0.6)
    pen.wing(front, chord, span, sweep, taper, tinted(body, -14, 8))
    pen.wing(-0.42 * length, chord * 0.55, span * 0.36, sweep, 0.5, tinted(body, -14, 8))
    if jet:
        for side in (-1, 1):
            pen.box(TOP, front + 0.02 * length, side * 0.19 * span, 0.12 * length, 0.05 * length,
                    (120, 122, 126, 6), radius=1)  # fmt: skip
    pen.box(TOP, 0, 0, length, width, body, radius=width / 2)
    pen.box(TOP, -0.42 * length, 0, 0.16 * length, 0.25 * width,
            tinted(rng.choice(look.cars[5:9]), 0, 4))  # fmt: skip
    pen.box(TOP, 0.4 * length if jet else 0.2 * length, 0, 0.05 * length, width * 0.7, _GLASS)
    if not jet:
        pen.box(TOP, 0, 0, length * 0.8, width * 0.16, tinted(rng.choice(look.cars[5:9]), 20, 4))
        pen.box(TOP, 0.49 * length, 0, 0.03 * length, 0.2 * length, (70, 70, 72, 4))
    pen.label("plane", length, span)


def helicopter(pen: Pen, rng: random.Random, look: Look) -> None:
    """A helicopter on its pad: ringed H, drop-shaped cabin, tail boom, rotor blades."""
    size = rng.uniform(12, 15)
    pad = size * 0.62
    pen.disc(ROAD, 0, 0, pad, tinted(look.pavement, -26, 20))
    pen.disc(MARK, 0, 0, pad - 0.6, (222, 206, 96, 14), line=0.7)
    pen.box(MARK, 0, 0, 0.6, 3.6, WHITE)
    for side in (-1.2, 1.2):
        pen.box(MARK, 0, side, 4.2, 0.7, WHITE)
    paint = tinted(rng.choice(((180, 46, 40), (44, 72, 132), (60, 76, 56), (210, 150, 40))), 0, 6)
    pen.shadow(1, 0, size * 0.4, 2.4, 3, radius=1.2)
    pen.shadow(-0.3 * size, 0, size * 0.42, 0.7, 3)
    pen.box(RAISED, -0.27 * size, 0, size * 0.46, 0.8, paint)
    pen.box(RAISED, -0.48 * size, 0, 0.7, 2.6, paint)
    pen.box(RAISED, 0.14 * size, 0, size * 0.4, 2.5, paint, radius=1.25)
    pen.box(RAISED, 0.27 * size, 0, 1.4, 2.0, _GLASS, radius=0.7)
    turn = rng.uniform(0, math.pi / 2)
    for blade in range(2):
        pen.box(TOP, 0.1 * size, 0, size * 0.8, 0.35, (50, 50, 52, 4), turn + blade * math.pi / 2)
    pen.disc(TOP, 0.1 * size, 0, 0.6, (40, 40, 42, 4))
    pen.label("helicopter", size, size * 0.8)


def storage_tank(pen: Pen, rng: random.Random, look: Look, diameter: float) -> None:
    """A tank: light roof (cone, or floating within a dark rim), long shadow, stair."""
    radius, height = diameter / 2, max(5.0, 0.45 * diameter)
    shell = tinted((220, 220, 214), rng.uniform(-34, 10), 10)
    pen.shadow(0, 0, diameter, diameter, height, radius=radius)
    pen.dome(0, 0, radius, shell, 18)
    if rng.random() < 0.4:
        pen.disc(TOP, 0, 0, radius * 0.9, tinted(shell, -46, 12))
        pen.disc(TOP, -look.sun[0] * 0.6, -look.sun[1] * 0.6, radius * 0.8, tinted(shell, -24, 12))
    else:
        pen.disc(TOP, 0, 0, radius, tinted(shell, -40, 8), line=0.45)
        pen.disc(TOP, 0, 0, radius * 0.12, tinted(shell, -60, 8))
    pen.box(TOP, radius * 0.55, 0, radius * 0.9, 0.5, tinted(shell, -70, 8), 0.0)
    pen.label("storage-tank", diameter, diameter)


def swimming_pool(pen: Pen, rng: random.Random, length: float, width: float) -> None:
    """A pool: bright rim, turquoise water, steps."""
    shape = 0.8 if rng.random() < 0.6 else width / 2
    pen.box(ROAD, 0, 0, length + 2.2, width + 2.2, (190, 184, 172, 24), radius=shape)
    water = tinted((62, 168, 196), rng.uniform(-16, 16), 10)
    pen.box(MARK, 0, 0, length, width, (214, 226, 226, 8), radius=shape)
    pen.box(MARK, 0, 0, length - 0.5, width - 0.5, water, radius=shape)
    pen.box(MARK, 0.2 * length, 0, 0.4 * length, width * 0.7, tinted(water, -16, 10), radius=shape)
    pen.label("swimming-pool", length, width)


def tennis_court(pen: Pen, rng: random.Random, scale: float = 1.0) -> None:
    """A tennis court of 23.8 x 11 m (times `scale`): coloured surface, lines, net, surround."""
    surround, surface = rng.choice(
        (
            ((76, 110, 78), (72, 104, 148)),
            ((70, 104, 74), (156, 92, 70)),
            ((80, 96, 130), (86, 130, 96)),
        )
    )
    length, width = 23.8 * scale, 11.0 * scale
    pen.box(GROUND, 0, 0, length + 6, width + 4, tinted(surround, rng.uniform(-8, 8), 14))
    pen.box(ROAD, 0, 0, length, width, tinted(surface, rng.uniform(-8, 8), 12))
    pen.box(MARK, 0, 0, length, width, WHITE, line=0.34)
    for side in (-4.1, 4.1):
        pen.box(MARK, 0, side * scale, length, 0.3, WHITE)
    for end in (-6.4, 6.4):
        pen.box(MARK, end * scale, 0, 0.3, 8.2 * scale, WHITE)
    pen.box(MARK, 0, 0, 12.8 * scale, 0.3, WHITE)
    pen.box(LOW, 0.3, 0, 0.5, width + 1.4, (36, 40, 40, 4), alpha=0.7)
    pen.box(LOW, 0, 0, 0.3, width + 1.4, (210, 210, 206, 4))
    pen.label("tennis-court", length, width)


def basketball_court(pen: Pen, rng: random.Random, length: float = 28.0) -> None:
    """A basketball court: keys, three-point arcs and centre circle on a hard floor."""
    width = length * 15 / 28
    floor, key = rng.choice(
        (
            ((178, 128, 84), (150, 62, 50)),
            ((112, 116, 122), (62, 92, 150)),
            ((140, 84, 70), (70, 110, 80)),
        )
    )
    pen.box(GROUND, 0, 0, length + 3, width + 2.4, tinted(floor, -28, 16))
    pen.box(ROAD, 0, 0, length, width, tinted(floor, rng.uniform(-8, 8), 12))
    for end in (-1, 1):
        pen.box(ROAD, end * 0.397 * length, 0, 0.207 * length, 0.327 * width, tinted(key, 0, 10))
        pen.box(MARK, end * 0.397 * length, 0, 0.207 * length, 0.327 * width, WHITE, line=0.3)
        hoop = pen.at(end * 0.444 * length, 0, math.pi if end > 0 else 0)
        for turn in (-math.pi / 4, math.pi / 4):
            hoop.sector(MARK, 0, 0, 0.24 * length, WHITE, turn, line=0.32)
        pen.box(LOW, end * 0.46 * length, 0, 0.5, 1.8, (230, 230, 230, 4))
    pen.disc(MARK, 0, 0, 0.064 * length, WHITE, line=0.32)
    pen.box(MARK, 0, 0, 0.32, width, WHITE)
    pen.box(MARK, 0, 0, length, width, WHITE, line=0.34)
    pen.label("basketball-court", length, width)


def baseball_diamond(pen: Pen, rng: random.Random, look: Look, radius: float) -> None:
    """A baseball diamond: dirt quarter with grass infield, bases, mound; home plate at -x."""
    dirt = tinted((178, 136, 98), rng.uniform(-14, 12), 40)
    lawn = tinted(look.grass, 8, 70)
    home = pen.at(-radius / 2, 0)
    home.disc(ROAD, 0.02 * radius, 0, 0.13 * radius, dirt)
    home.sector(ROAD, 0, 0, radius, dirt)
    base = radius * 0.62
    home.box(MARK, base * 0.707, 0, base * 0.86, base * 0.86, lawn, math.pi / 4)
    home.disc(MARK, base * 0.68, 0, base * 0.13, dirt)
    home.disc(MARK, 0.1 * base, 0, 0.2 * base, dirt)
    for turn in (-math.pi / 4, math.pi / 4):
        line = home.at(0, 0, turn)
        line.box(MARK, radius * 0.55, 0, radius * 1.1, 0.3, WHITE)
        line.box(MARK, base, 0, 0.8, 0.8, WHITE)
    home.box(MARK, base * 1.41, 0, 0.8, 0.8, WHITE, math.pi / 4)
    pen.label("baseball-diamond", radius, radius * 1.414)


def soccer_field(pen: Pen, rng: random.Random, look: Look, length: float, width: float) -> None:
    """A soccer field: mown stripes, outline, halfway line, circle, penalty boxes, goals."""
    turf = tinted((78, 122, 62), rng.uniform(-10, 10), 46)
    if rng.random() < 0.3:
        turf = tinted(look.grass, 4, 80)
    pen.box(GROUND, 0, 0, length + 4, width + 4, tinted(turf, -4, 60))
    pen.box(ROAD, 0, 0, length, width, turf, stripes=(length / 5, 7))
    line = max(0.32, length / 130)
    pen.box(MARK, 0, 0, length, width, WHITE, line=line)
    pen.box(MARK, 0, 0, line, width, WHITE)
    pen.disc(MARK, 0, 0, width * 0.15, WHITE, line=line)
    for end in (-1, 1):
        pen.box(MARK, end * (length * 0.42), 0, length * 0.16, width * 0.58, WHITE, line=line)
        pen.box(MARK, end * (length * 0.475), 0, length * 0.05, width * 0.28, WHITE, line=line)
        pen.box(LOW, end * (length / 2 + 0.8), 0, 1.5, width * 0.13, (216, 216, 216, 20))
    pen.label("soccer-ball-field", length, width)


def ground_track_field(
    pen: Pen, rng: random.Random, look: Look, length: float, width: float
) -> None:
    """A running track: red (or grey) oval with lanes around a lawn."""
    clay = tinted(rng.choice(((168, 84, 66), (156, 76, 62), (178, 98, 76), (70, 92, 128))), 0, 22)
    band = width * 0.15
    radius = width / 2
    pen.box(GROUND, 0, 0, length + 3, width + 3, tinted(look.grass, -4, 90), radius=radius)
    pen.box(ROAD, 0, 0, length, width, clay, radius=radius)
    for lane in range(1, 4):
        inset = 2 * band * lane / 4
        pen.box(MARK, 0, 0, length - inset, width - inset, tinted(clay, 60, 10),
                radius=radius - inset / 2, line=0.22)  # fmt: skip
    inner = (length - 2 * band, width - 2 * band)
    pen.box(MARK, 0, 0, *inner, tinted((84, 122, 66), rng.uniform(-8, 8), 60),
            radius=radius - band, stripes=(4, 4))  # fmt: skip
    pen.box(MARK, 0, width / 2 - band / 2, 0.4, band, WHITE)
    pen.label("ground-track-field", length, width)


def roundabout(pen: Pen, rng: random.Random, look: Look, diameter: float) -> None:
    """A roundabout: circular carriageway around a kerbed island with planting."""
    radius = diameter / 2
    pen.disc(ROAD, 0, 0, radius + 1.8, look.pavement)
    pen.disc(ROAD, 0, 0, radius, look.asphalt)
    pen.disc(MARK, 0, 0, radius - 0.4, tinted(WHITE, -30, 12), line=0.25)
    island = radius * rng.uniform(0.4, 0.52)
    pen.disc(LOW, 0, 0, island + 1.1, tinted(look.pavement, 22, 20))
    pen.disc(LOW, 0, 0, island, tinted(look.grass, 4, 110))
    pen.disc(LOW, 0, 0, island * 0.35, tinted(rng.choice(((150, 70, 80), (120, 100, 70))), 0, 90))
    pen.label("roundabout", diameter, diameter)


def bridge(pen: Pen, rng: random.Random, look: Look, length: float, width: float) -> None:
    """A bridge over water: deck along x with kerbs, parapets and its shadow on the water."""
    across = -pen.sine * look.sun[0] + pen.cosine * look.sun[1]
    pen.box(ROAD, 0, across * 4.5, length * 0.98, width, (18, 24, 28, 10), alpha=0.55)
    pen.box(LOW, 0, 0, length + 2, width, tinted(look.pavement, rng.uniform(0, 14), 16))
    if width > 6:
        pen.box(LOW, 0, 0, length + 3, width - 3, tinted(look.asphalt, 6, 24))
        pen.box(LOW, 0, 0, length, 0.25, (214, 196, 110, 10))
    for side in (-1, 1):
        pen.box(LOW, 0, side * (width / 2 - 0.25), length + 1, 0.5, (214, 210, 204, 8))
    pen.label("bridge", length, width)


def harbor(pen: Pen, rng: random.Random, look: Look, length: float, width: float) -> None:
    """A pier from x = -length/2 into the water, with planks, piles and its shadow."""
    x, y = look.sun[0] * 1.6, look.sun[1] * 1.6
    along = pen.cosine * x + pen.sine * y
    across = -pen.sine * x + pen.cosine * y
    pen.box(ROAD, along, across, length, width, (16, 22, 26, 10), alpha=0.55)
    deck = tinted(rng.choice(((168, 150, 128), (178, 174, 166), (146, 128, 110))), 0, 26)
    pen.box(MARK, 0, 0, length, width, deck, stripes=(1.2, 7))
    pen.box(MARK, 0, 0, length, width, tinted(deck, 34, 10), line=0.4)
    for post in range(int(length // 5)):
        for side in (-1, 1):
            pen.disc(LOW, -length / 2 + 3 + 5 * post, side * width / 2, 0.45, (80, 72, 62, 4))
    pen.label("harbor", length, width)


def ship(pen: Pen, rng: random.Random, look: Look, length: float) -> None:
    """A ship, bow to +x: pointed hull, deck, cabin; a coaster carries hatches."""
    width = length * (0.3 if length < 16 else 0.2)
    hull = tinted(rng.choice(((236, 236, 234), (220, 222, 226), (60, 70, 96), (140, 52, 44))), 0, 6)
    x, y = look.sun[0] * 1.2, look.sun[1] * 1.2
    along = pen.cosine * x + pen.sine * y
    across = -pen.sine * x + pen.cosine * y
    for dx, dy, paint, alpha, grow in (
        (along, across, (14, 20, 24, 6), 0.6, 0.4),
        (0.0, 0.0, hull, 1.0, 0.0),
    ):
        pen.box(LOW, dx - 0.15 * length, dy, length * 0.7 + grow, width + grow, paint,
                radius=width * 0.15, alpha=alpha)  # fmt: skip
        pen.box(LOW, dx + 0.12 * length, dy, length * 0.76, width * 0.82 + grow, paint,
                radius=width * 0.41, alpha=alpha)  # fmt: skip
        pen.box(LOW, dx + 0.3 * length, dy, length * 0.4, width * 0.42 + grow, paint,
                radius=width * 0.21, alpha=alpha)  # fmt: skip
    deck = tinted((196, 176, 146) if length < 16 else (150, 84, 70), rng.uniform(-16, 10), 16)
    pen.box(LOW, -0.12 * length, 0, length * 0.62, width * 0.74, deck, radius=width * 0.2)
    if length >= 16:
        for hatch in range(3):
            pen.box(LOW, (0.2 - 0.16 * hatch) * length, 0, 0.12 * length, width * 0.5,
                    (120, 124, 120, 10))  # fmt: skip
    cabin = -0.32 * length if length >= 16 else -0.05 * length
    pen.box(LOW, cabin, 0, 0.16 * length, width * 0.62, (240, 240, 238, 6), radius=0.4)
    pen.box(LOW, cabin + 0.09 * length, 0, 0.03 * length, width * 0.5, _GLASS)
    pen.label("ship", length, width)


def container_crane(pen: Pen, rng: random.Random, look: Look, length: float) -> None:
    """A container crane: boom along x over the quay's edge on a portal of four legs, in lattice."""
    paint = tinted(
        rng.choice(((196, 64, 48), (60, 104, 160), (222, 166, 50))), rng.uniform(-8, 8), 8
    )
    width = length * 0.34
    base = -0.14 * length
    for side in (-1, 1):
        pen.shadow(0.0, side * 0.09 * length, length, 0.9, 16)
        pen.shadow(base, side * width / 2, 0.42 * length, 1.4, 9)
    for end in (-1, 1):
        pen.shadow(base + end * 0.19 * length, 0, 1.2, width, 12)
        pen.box(RAISED, base + end * 0.19 * length, 0, 1.5, width, tinted(paint, -20, 8))
    for side in (-1, 1):
        pen.box(RAISED, base, side * (width / 2 - 0.7), 0.44 * length, 1.5, tinted(paint, -30, 8))
        pen.box(TOP, 0, side * 0.055 * length, length, 1.1, paint)
    for rung in range(int(length / 2.6)):
        pen.box(TOP, -length / 2 + 0.7 + 2.6 * rung, 0, 0.5, 0.11 * length, paint)
    pen.box(TOP, base - 0.12 * length, 0, 0.16 * length, 0.14 * length, tinted(paint, 26, 8))
    pen.box(TOP, rng.uniform(0.0, 0.3) * length, 0, 2.2, 0.12 * length, (230, 230, 226, 6))
    pen.label("container-crane", length, width)
