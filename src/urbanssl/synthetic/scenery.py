"""What stands in the city besides the 16 classes: houses, sheds, trees. Sizes are metres."""

from __future__ import annotations

import random

from urbanssl.synthetic.latent import Choices
from urbanssl.synthetic.look import Look, tinted
from urbanssl.synthetic.pen import GROUND, LOW, MARK, RAISED, ROAD, TOP, Pen


class Site:
    """Where something is built: the pen, the choices, the look and the chance of one area."""

    __slots__ = ("choices", "look", "pen", "rng")

    def __init__(self, pen: Pen, choices: Choices, look: Look) -> None:
        self.pen, self.choices, self.look, self.rng = pen, choices, look, choices.rng

    def at(self, x: float, y: float, angle: float = 0) -> Site:
        """Return the site with its pen moved and turned."""
        return Site(self.pen.at(x, y, angle), self.choices, self.look)


def tree(pen: Pen, rng: random.Random, look: Look, x: float, y: float, radius: float) -> None:
    """A tree: lumpy crown lit by the sun, round shadow."""
    height = radius * 1.7
    pen.shadow(x, y, radius * 1.8, radius * 1.8, height, radius=radius * 0.9, depth=0.85)
    green = tinted(look.leaves, rng.uniform(-12, 14), look.leaves[3])
    pen.crown(x, y, radius, green, rng.uniform(0, 6.28))


def plant(site: Site, x: float, y: float, low: float = 1.6, high: float = 3.8) -> None:
    """Plant a tree at a site if the area is a green one."""
    if site.choices.happens("tree"):
        tree(site.pen, site.rng, site.look, x, y, site.rng.uniform(low, high))


def grove(site: Site, width: float, height: float, spacing: float) -> None:
    """Plant trees on a shaken grid."""
    columns, rows = max(1, int(width / spacing)), max(1, int(height / spacing))
    for column in range(columns):
        for row in range(rows):
            x = -width / 2 + (column + 0.5 + site.rng.uniform(-0.35, 0.35)) * width / columns
            y = -height / 2 + (row + 0.5 + site.rng.uniform(-0.35, 0.35)) * height / rows
            plant(site, x, y)


def house(site: Site, length: float, width: float) -> None:
    """A house with a pitched roof, sometimes with a wing, chimney and its shadow."""
    pen, rng, look = site.pen, site.rng, site.look
    paint = tinted(rng.choice(look.roofs), rng.uniform(-14, 14), 26)
    height = rng.uniform(5, 7)
    hipped = rng.random() < 0.5
    pen.shadow(0, 0, length, width, height)
    wing = rng.random() < 0.45
    side = rng.choice((-1, 1))
    if wing:
        ell = pen.at(side * (length / 2 - width * 0.3), width * 0.45, 1.5708)
        ell.shadow(0, 0, width * 0.7, width * 0.6, height)
        ell.roof(0, 0, width * 0.8, width * 0.6, paint, 22, hipped)
    pen.roof(0, 0, length, width, paint, 22, hipped)
    pen.box(TOP, 0, 0, length - (width if hipped else 0), 0.35, tinted(paint, 16, 10))
    if rng.random() < 0.6:
        pen.box(TOP, rng.uniform(-0.25, 0.25) * length, -0.2 * width, 0.9, 0.8, (96, 60, 50, 8))
    if rng.random() < 0.15:
        pen.box(TOP, 0.1 * length, 0.24 * width, 0.4 * length, 0.3 * width, (30, 36, 58, 6))


def flat_roof(site: Site, length: float, width: float, height: float) -> None:
    """A shed or a store: flat roof with parapet, plant and skylights."""
    pen, rng = site.pen, site.rng
    shade = rng.choice((206, 188, 168, 148, 128))
    paint = tinted((shade, shade - 2, shade - 6), rng.uniform(-8, 8), 24)
    pen.shadow(0, 0, length, width, height)
    ribbed = (1.6, 4.0) if rng.random() < 0.5 else (0.0, 0.0)
    pen.box(RAISED, 0, 0, length, width, paint, stripes=ribbed)
    pen.box(TOP, 0, 0, length, width, tinted(paint, 24, 8), line=0.5)
    for _ in range(int(length * width / 90)):
        x, y = rng.uniform(-0.4, 0.4) * length, rng.uniform(-0.36, 0.36) * width
        size = rng.uniform(1.2, 2.6)
        pen.box(TOP, x + site.look.sun[0], y + site.look.sun[1], size, size, tinted(paint, -70, 8))
        pen.box(TOP, x, y, size, size, tinted(paint, rng.choice((-36, 30)), 8))


def driveway(site: Site, length: float, width: float) -> None:
    """A paved way."""
    site.pen.box(
        ROAD, 0, 0, length, width, tinted(site.look.pavement, site.rng.uniform(-20, 4), 24)
    )


def containers(site: Site, width: float, height: float) -> None:
    """Stacks of shipping containers, 12.2 x 2.4 m each, in rows."""
    pen, rng = site.pen, site.rng
    pen.box(ROAD, 0, 0, width, height, tinted(site.look.pavement, -40, 30))
    colours = ((150, 62, 46), (54, 90, 140), (70, 112, 84), (196, 150, 60), (150, 152, 154))
    columns, rows = int(width // 13.4), int(height // 2.7)
    for column in range(columns):
        for row in range(rows):
            if rng.random() < 0.28:
                continue
            x = (column - (columns - 1) / 2) * 13.4
            y = (row - (rows - 1) / 2) * 2.7
            tall = rng.choice((2.6, 5.2))
            paint = tinted(rng.choice(colours), rng.uniform(-14, 14), 10)
            pen.shadow(x, y, 12.2, 2.4, tall)
            pen.box(RAISED, x, y, 12.2, 2.4, paint, stripes=(1.0, 5))


def field(site: Site, width: float, height: float) -> None:
    """A ploughed or sown field."""
    rng, look = site.rng, site.look
    paint = tinted(rng.choice((look.soil, look.grass)), rng.uniform(-14, 14), 80)
    angle = rng.choice((0, 1.5708))
    long, wide = (width, height) if angle == 0 else (height, width)
    site.pen.box(GROUND, 0, 0, long, wide, paint, angle, stripes=(rng.uniform(1.2, 2.4), 8))


def pond(site: Site, length: float, width: float) -> None:
    """A pond with a reedy rim."""
    site.pen.box(ROAD, 0, 0, length + 2, width + 2, tinted(site.look.soil, -20, 90), radius=width)
    site.pen.box(MARK, 0, 0, length, width, site.look.water, radius=width)


def hedge(site: Site, width: float, height: float) -> None:
    """A hedge or fence around a lot."""
    green = tinted(site.look.leaves, 6, 150)
    site.pen.box(LOW, 0, 0, width, height, green, line=0.7)
