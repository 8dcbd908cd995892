"""What an area holds: lots by its theme, or a stretch of waterfront; kerbs around it."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from urbanssl.synthetic import objects, scenery
from urbanssl.synthetic.bank_lots import BANK_LOTS
from urbanssl.synthetic.latent import Choices, Tally, draw_theme
from urbanssl.synthetic.look import Look, tinted
from urbanssl.synthetic.lots import deal_lots
from urbanssl.synthetic.pen import GROUND, MARK, ROAD, Pen
from urbanssl.synthetic.scenery import Site
from urbanssl.synthetic.streets import LANE, STREET

_LOT = 50.0
_QUARTER = math.pi / 2


def water_rows(rng: random.Random, areas_per_side: int) -> frozenset[int]:
    """Draw the rows of areas that a river runs through: a third of them, never two that touch."""
    wanted = round(areas_per_side / 3)
    start = rng.randrange(1, 3) if areas_per_side > 2 else 0
    return frozenset(row for row in range(start, areas_per_side, 3)) if wanted else frozenset()


@dataclass(frozen=True)
class Plot:
    """What is given where an area is built.

    Attributes:
        side: of the area, metres.
        build: hidden state of the area.
        column: of the area, from 0; a bridge carries the street at the western edge of the others.
        water: whether the river runs through.
        theme: dealt to the area; None where it is drawn by the hidden state.
    """

    side: float
    build: float
    column: int
    water: bool
    theme: str | None


def build_area(pen: Pen, rng: random.Random, look: Look, plot: Plot) -> Tally:
    """Build one area around the pen (its centre) and return the tally of its choices."""
    theme = plot.theme if plot.theme is not None else draw_theme(rng, plot.build)
    if plot.water:
        theme = "waterfront"
    site = Site(pen, Choices(rng, plot.build, theme, plot.theme is not None), look)
    pen.box(GROUND, 0, 0, plot.side + 1, plot.side + 1, tinted(look.grass, -4, 110))
    inner = plot.side - 2 * STREET - 2
    if plot.water:
        _waterfront(site, plot.side, inner, plot.column)
    else:
        _grid_of_lots(site, inner, theme)
    _kerbs(site, plot.side)
    return site.choices.tally


def _grid_of_lots(site: Site, inner: float, theme: str) -> None:
    across = max(1, round(inner / _LOT))
    size = inner / across
    kinds = deal_lots(site.rng, theme, size - 1.5, across**2)
    for number, kind in enumerate(kinds):
        row, column = divmod(number, across)
        x, y = (column - (across - 1) / 2) * size, (row - (across - 1) / 2) * size
        kind(site.at(x, y), size - 1.5)


def _kerbs(site: Site, side: float) -> None:
    """Cars at the kerb and on the lane, trees on the verge, on all four sides."""
    rng, look = site.rng, site.look
    water = site.choices.tally.theme == "waterfront"
    for turn in range(4):
        edge = site.at(0, 0, turn * _QUARTER)
        bridges = water and turn % 2 == 1
        for slot in range(int((side - 44) / 7) if side > 60 else 1):
            x = (slot + 0.5) * 7 - (side - 44) / 2 + rng.uniform(-0.5, 0.5) if side > 60 else 0
            if bridges and abs(x) < side / 2 - 18 - 8:
                continue
            y = side / 2 - LANE + 1.2
            if site.choices.happens("kerb"):
                objects.small_vehicle(edge.pen.at(x, y, rng.choice((0, math.pi))), rng, look)
            if slot % 2 == 0:
                scenery.plant(edge, x, side / 2 - STREET - 0.6, 1.5, 2.6)
        if rng.random() < 0.35 and side > 60:
            x = rng.uniform(-0.3, 0.3) * side
            kind = objects.large_vehicle if rng.random() < 0.3 else objects.small_vehicle
            if not bridges:
                kind(edge.pen.at(x, side / 2 - 1.4, math.pi), rng, look)


def _waterfront(site: Site, side: float, inner: float, column: int) -> None:
    pen, rng, look = site.pen, site.rng, site.look
    channel = min(46.0, 0.42 * side)
    bank = (inner - channel) / 2
    pen.box(GROUND, 0, 0, side + 12, channel, look.water)
    for edge in (-1, 1):
        pen.box(ROAD, 0, edge * channel / 2, side + 12, 0.9, tinted(look.pavement, 26, 10))
    if column > 0:
        objects.bridge(pen.at(-side / 2, 0, _QUARTER), rng, look, channel, 2 * STREET)
    _marina(site.at(0, -(channel + bank) / 2), inner, bank, channel)
    _quay(site.at(0, (channel + bank) / 2), inner, bank, channel)


def _marina(site: Site, width: float, bank: float, channel: float) -> None:
    """The northern bank: gardens, a promenade, piers into the water with boats on both sides."""
    rng, look = site.rng, site.look
    site.pen.box(GROUND, 0, 0, width, bank, tinted(look.grass, 4, 105))
    lots = max(1, round(width / 34))
    for place, kind in enumerate(rng.sample(BANK_LOTS, lots) if bank > 26 else ()):
        x = (place - (lots - 1) / 2) * width / lots
        kind(site.at(x, -2.5), width / lots - 1, bank - 6)
    site.pen.box(ROAD, 0, bank / 2 - 2, width, 3.6, tinted(look.pavement, 4, 24))
    shore = site.at(0, bank / 2)
    foot = rng.random() < 0.8 and width > 80
    places = max(1, int(width / 24))
    bridge_at = rng.randrange(places) if foot else -1
    for place in range(places):
        x = (place - (places - 1) / 2) * width / places
        if place == bridge_at:
            deck = shore.pen.at(x, channel / 2, _QUARTER)
            objects.bridge(deck, rng, look, channel, rng.uniform(4, 7))
        elif rng.random() < 0.85:
            _pier(shore.at(x, 0), channel)


def _pier(site: Site, channel: float) -> None:
    rng, look = site.rng, site.look
    length, width = rng.uniform(0.42, 0.6) * channel, rng.uniform(2.6, 4.5)
    pier = site.at(0, length / 2 + 0.4, _QUARTER)
    objects.harbor(pier.pen, rng, look, length, width)
    for side in (-1, 1):
        x = -length / 2 + 4
        while x < length / 2 - 2:
            boat = rng.uniform(8, 13)
            if x + boat < length / 2 + 3 and site.choices.happens("boat"):
                y = side * (width / 2 + boat * 0.15 + 0.7)
                turn = rng.choice((0, math.pi))
                objects.ship(pier.pen.at(x + boat / 2, y, turn), rng, look, boat)
            x += boat + 1.2


def _quay(site: Site, width: float, bank: float, channel: float) -> None:
    """The southern bank: container cranes over a moored ship, stacks, lorries."""
    pen, rng, look = site.pen, site.rng, site.look
    pen.box(GROUND, 0, 0, width, bank, tinted(look.pavement, -26, 30))
    shore = site.at(0, -bank / 2)
    for rail in (3.0, 9.0):
        shore.pen.box(ROAD, 0, rail, width, 0.5, (70, 66, 62, 10))
    count = max(1, int(width / 27))
    for crane in range(count):
        if rng.random() < 0.12 and count > 1:
            continue
        x = (crane - (count - 1) / 2) * width / count + rng.uniform(-3, 3)
        reach = rng.uniform(24, 32) if width > 80 else 20.0
        objects.container_crane(shore.pen.at(x, 1.5, -_QUARTER), rng, look, reach)
    if rng.random() < 0.75:
        length = min(rng.uniform(24, 40), width * 0.8)
        x = rng.uniform(-1, 1) * (width - length) / 2
        objects.ship(
            shore.pen.at(x, -length * 0.1 - 1.2, rng.choice((0, math.pi))), rng, look, length
        )
    if bank > 20:
        scenery.containers(site.at(0, bank / 2 - 6), width * 0.62, 10)
        for side in (-1, 1):
            for bay in range(4):
                if site.choices.happens("lorry"):
                    x = side * (width * 0.36 + bay * 3.6)
                    pen.box(MARK, x - 1.8, bank / 2 - 7, 0.2, 12, objects.WHITE, alpha=0.5)
                    objects.large_vehicle(pen.at(x, bank / 2 - 7, -_QUARTER), rng, look)
