"""The pen that draws shapes and notes labels, in a frame of its own that can be moved and turned.

Lengths are metres here; shapes and labels come out in pixels of the scene.
"""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass, field

import numpy as np

from urbanssl.synthetic import raster
from urbanssl.synthetic.layout import GSD

#: Surface colour: red, green, blue (0 to 255) and roughness (strength of the texture, 0 to 255).
Paint = tuple[float, float, float, float]

#: Pixels in a metre.
METRE = 1 / GSD

#: Layers, painted from the ground up.
GROUND, ROAD, MARK, LOW, SHADE, RAISED, TOP, CANOPY = range(8)


@dataclass(frozen=True)
class Label:
    """An object drawn: its class and the corners of its oriented box, pixels of the scene."""

    name: str
    corners: tuple[tuple[float, float], ...]

    @property
    def centre(self) -> tuple[float, float]:
        """The middle of the box, pixels."""
        return (
            sum(x for x, _ in self.corners) / len(self.corners),
            sum(y for _, y in self.corners) / len(self.corners),
        )


@dataclass
class Drawing:
    """What has been drawn: shapes by layer (their numbers on end), and labels."""

    layers: tuple[array[float], ...] = field(
        default_factory=lambda: tuple(array("d") for _ in range(8))
    )
    labels: list[Label] = field(default_factory=list)

    def shapes(self) -> np.ndarray:
        """Return every shape in the order of painting, `(N, 16)` float64."""
        rows = [np.frombuffer(layer) for layer in self.layers if layer]
        return np.concatenate([*rows, np.empty(0)]).reshape(-1, len(raster.FIELDS))


class Pen:
    """Draws in a frame: `x` along its angle, `y` to the right hand of it, in metres."""

    __slots__ = ("angle", "cosine", "drawing", "sine", "x", "y")

    def __init__(self, drawing: Drawing, x: float = 0, y: float = 0, angle: float = 0) -> None:
        self.drawing = drawing
        self.x, self.y, self.angle = x, y, angle
        self.cosine, self.sine = math.cos(angle), math.sin(angle)

    def at(self, x: float, y: float, angle: float = 0) -> Pen:
        """Return a pen whose frame is moved and turned within this one."""
        return Pen(self.drawing, *self.place(x, y), self.angle + angle)

    def place(self, x: float, y: float) -> tuple[float, float]:
        """Return a place of this frame in the frame of the scene, metres."""
        return (
            self.x + self.cosine * x - self.sine * y,
            self.y + self.sine * x + self.cosine * y,
        )

    def _add(
        self,
        layer: int,
        kind: int,
        where: tuple[float, float, float],
        size: tuple[float, float, float, float],
        paint: Paint,
        alpha: float = 1.0,
        period: float = 0.0,
        stripe: float = 0.0,
    ) -> None:
        x, y, angle = where
        self.drawing.layers[layer].extend(
            (kind, METRE * (self.x + self.cosine * x - self.sine * y),
             METRE * (self.y + self.sine * x + self.cosine * y), self.angle + angle,
             *size, *paint, alpha, period, stripe, 1.0 if layer >= RAISED else 0.0)
        )  # fmt: skip

    def box(
        self,
        layer: int,
        x: float,
        y: float,
        length: float,
        width: float,
        paint: Paint,
        angle: float = 0.0,
        radius: float = 0.0,
        line: float = 0.0,
        alpha: float = 1.0,
        stripes: tuple[float, float] = (0.0, 0.0),
    ) -> None:
        """Draw a box (`length` along x, rounded by `radius`), or its outline `line` thick.

        `stripes` is their period in metres and their strength in grey levels.
        """
        radius = min(radius, length / 2, width / 2)
        size = (length / 2 * METRE, width / 2 * METRE, radius * METRE, line * METRE)
        period = stripes[0] * METRE
        self._add(layer, raster.BOX, (x, y, angle), size, paint, alpha, period, stripes[1])

    def disc(
        self,
        layer: int,
        x: float,
        y: float,
        radius: float,
        paint: Paint,
        line: float = 0.0,
        alpha: float = 1.0,
    ) -> None:
        """Draw a disc, or a ring `line` thick."""
        self.box(layer, x, y, 2 * radius, 2 * radius, paint, 0.0, radius, line, alpha)

    def roof(
        self,
        x: float,
        y: float,
        length: float,
        width: float,
        paint: Paint,
        contrast: float,
        hipped: bool,
        layer: int = RAISED,
    ) -> None:
        """Draw a pitched roof with its ridge along x."""
        size = (length / 2 * METRE, width / 2 * METRE, contrast, float(hipped))
        self._add(layer, raster.ROOF, (x, y, 0.0), size, paint, 1.0, 5.0, 3.0)

    def dome(
        self, x: float, y: float, radius: float, paint: Paint, contrast: float, layer: int = RAISED
    ) -> None:
        """Draw a rounded top, lighter towards the sun."""
        size = (radius * METRE, radius * METRE, contrast, 0.0)
        self._add(layer, raster.DOME, (x, y, 0.0), size, paint)

    def wing(
        self,
        x: float,
        chord: float,
        span: float,
        sweep: float,
        taper: float,
        paint: Paint,
        layer: int = RAISED,
    ) -> None:
        """Draw a pair of wings across the frame's axis at `x`, swept backwards (to -x)."""
        size = (chord / 2 * METRE, span / 2 * METRE, sweep, taper)
        self._add(layer, raster.WING, (x, 0.0, 0.0), size, paint)

    def sector(
        self,
        layer: int,
        x: float,
        y: float,
        radius: float,
        paint: Paint,
        angle: float = 0.0,
        line: float = 0.0,
    ) -> None:
        """Draw a quarter disc that opens along `angle`, or its rim `line` thick."""
        size = (radius * METRE, radius * METRE, 0.0, line * METRE)
        self._add(layer, raster.SECTOR, (x, y, angle), size, paint)

    def crown(self, x: float, y: float, radius: float, paint: Paint, phase: float) -> None:
        """Draw the crown of a tree."""
        size = (radius * METRE, radius * METRE, 26.0, phase)
        self._add(CANOPY, raster.CROWN, (x, y, phase), size, paint)

    def shadow(
        self,
        x: float,
        y: float,
        length: float,
        width: float,
        height: float,
        angle: float = 0.0,
        radius: float = 0.0,
        depth: float = 1.0,
    ) -> None:
        """Cast the shadow of an upright box `height` metres high."""
        radius = min(radius, length / 2, width / 2)
        size = (length / 2 * METRE, width / 2 * METRE, height * METRE, radius * METRE)
        self._add(SHADE, raster.SHADOW, (x, y, angle), size, (0, 0, 0, 0), depth)

    def label(self, name: str, length: float, width: float) -> None:
        """Note an object of a class of the registry around the frame's origin, `length` along x."""
        corners = []
        for along, across in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
            x, y = self.place(along * length / 2, across * width / 2)
            corners.append((METRE * x, METRE * y))
        self.drawing.labels.append(Label(name, tuple(corners)))
