"""One region from seed to picture: what is built where, what it looks like, its labels."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np

from urbanssl.classes import CLASSES
from urbanssl.settings import CitySettings
from urbanssl.synthetic.blocks import Plot, build_area, water_rows
from urbanssl.synthetic.camera import develop
from urbanssl.synthetic.latent import Tally, deal_themes
from urbanssl.synthetic.layout import GSD, Region, area_window
from urbanssl.synthetic.look import Look, draw_look
from urbanssl.synthetic.pen import Drawing, Label, Pen
from urbanssl.synthetic.raster import paint
from urbanssl.synthetic.streets import lay_streets

#: Share of an object's box that must lie within the scene for it to be labelled.
_MIN_INSIDE = 0.5


@dataclass(frozen=True)
class Built:
    """What stands in a region.

    Attributes:
        drawing: the shapes to paint.
        labels: the objects whose boxes lie within the scene (cut at its edges).
        tallies: by area, the choices made.
        counts: by area and class, the objects with their centre in the area.
        look: how the region looks.
    """

    drawing: Drawing
    labels: list[Label]
    tallies: list[Tally]
    counts: list[dict[str, int]]
    look: Look


def build_region(region: Region, city: CitySettings, seed: int, build: np.ndarray) -> Built:
    """Decide what stands in a region.

    Args:
        region: the region.
        city: settings.
        seed: seed of the run.
        build: `(A,)` hidden state of its areas, in the order of `layout.area_ids`.
    """
    rng = random.Random(f"urbanssl city {seed} region {region.number}")
    look = draw_look(rng, seed + region.number)
    drawing = Drawing()
    side = city.area_px * GSD
    wet = water_rows(rng, city.areas_per_side)
    dealt = deal_themes(rng, city.areas_per_side**2) if region.labelled else None
    tallies = []
    for place in range(city.areas_per_side**2):
        left, top, _ = area_window(place, city)
        row, column = divmod(place, city.areas_per_side)
        own = random.Random(f"urbanssl city {seed} region {region.number} area {place}")
        pen = Pen(drawing, left * GSD + side / 2, top * GSD + side / 2)
        theme = dealt[place] if dealt is not None else None
        plot = Plot(side, float(build[place]), column, row in wet, theme)
        tallies.append(build_area(pen, own, look, plot))
    lay_streets(Pen(drawing), rng, look, city.areas_per_side, side)
    labels = [
        cut for label in drawing.labels if (cut := _within(label, region.side_px)) is not None
    ]
    return Built(drawing, labels, tallies, _count(labels, city), look)


def _within(label: Label, side: int) -> Label | None:
    """Return the label if it is whole, cut at the scene's edge if most of it is inside."""
    xs, ys = zip(*label.corners, strict=True)
    if min(xs) >= 0 and min(ys) >= 0 and max(xs) <= side and max(ys) <= side:
        return label
    left, top = max(min(xs), 0.0), max(min(ys), 0.0)
    right, bottom = min(max(xs), float(side)), min(max(ys), float(side))
    area = (max(xs) - min(xs)) * (max(ys) - min(ys))
    inside = max(0.0, right - left) * max(0.0, bottom - top)
    if inside < _MIN_INSIDE * area:
        return None
    return Label(label.name, ((left, top), (right, top), (right, bottom), (left, bottom)))


def _count(labels: list[Label], city: CitySettings) -> list[dict[str, int]]:
    counts = [dict.fromkeys(CLASSES, 0) for _ in range(city.areas_per_side**2)]
    last = city.areas_per_side - 1
    for label in labels:
        x, y = label.centre
        column, row = (min(last, int(value // city.area_px)) for value in (x, y))
        counts[row * city.areas_per_side + column][label.name] += 1
    return counts


def photograph(built: Built, region: Region, seed: int) -> np.ndarray:
    """Return the picture of a region, `(H, W, 3)` uint8."""
    canvas = np.zeros((region.side_px, region.side_px, 4), dtype=np.uint8)
    shade = np.zeros((region.side_px, region.side_px), dtype=np.uint8)
    paint(built.drawing.shapes(), canvas, shade, *built.look.sun)
    noise = np.random.default_rng([seed, region.number, 1])
    return develop(canvas, shade, built.look, noise)


def load_kernels() -> None:
    """Compile or load the compiled loops, so that processes forked afterwards share them."""
    canvas, shade = np.zeros((16, 16, 4), dtype=np.uint8), np.zeros((16, 16), dtype=np.uint8)
    look = draw_look(random.Random(0), 0)
    paint(Drawing().shapes(), canvas, shade, *look.sun)
    develop(canvas, shade, look, np.random.default_rng(0))
