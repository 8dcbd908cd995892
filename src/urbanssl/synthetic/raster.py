"""Shapes to pixels: one compiled loop that paints a list of simple shapes in their order.

A shape is a row of numbers (see `FIELDS`), so tens of thousands of shapes cost one call. Edges are
antialiased by the signed distance to the outline.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

#: Columns of a shape. Lengths are pixels, `x` to the right, `y` down; `half_u`, `half_v` are half
#: the sides along and across `angle` (radians).
FIELDS = (
    "kind", "x", "y", "angle", "half_u", "half_v", "p0", "p1",
    "red", "green", "blue", "rough", "alpha", "period", "stripe", "raised",
)  # fmt: skip

#: Kinds of shapes, and what `p0`, `p1` mean for them.
BOX = 0  # corner radius, thickness of the outline (0: filled)
ROOF = 1  # contrast of the faces, 1 where the ends are hipped
DOME = 2  # contrast towards the sun
WING = 3  # sweep (backwards shift per distance from the axis), taper (share lost at the tip)
SECTOR = 4  # quarter disc that opens along the axis; thickness of its rim (0: filled)
CROWN = 5  # contrast, phase of the lumps
SHADOW = 6  # height in pixels, corner radius: the ground hidden from the sun by an upright box


@njit(cache=True, nogil=True, inline="always")
def _box_distance(u: float, v: float, half_u: float, half_v: float, radius: float) -> float:
    over_u = abs(u) - half_u + radius
    over_v = abs(v) - half_v + radius
    if over_u > 0.0 and over_v > 0.0:
        return math.sqrt(over_u * over_u + over_v * over_v) - radius
    return max(over_u, over_v) - radius


@njit(cache=True, nogil=True)
def _distance(
    kind: int, u: float, v: float, half_u: float, half_v: float, p0: float, p1: float
) -> float:
    if kind == BOX:
        distance = _box_distance(u, v, half_u, half_v, p0)
        return abs(distance + p1 / 2) - p1 / 2 if p1 > 0.0 else distance
    if kind == ROOF:
        return max(abs(u) - half_u, abs(v) - half_v)
    if kind == DOME:
        return math.sqrt(u * u + v * v) - half_u
    if kind == WING:
        out = abs(v)
        chord = half_u * (1.0 - p1 * out / half_v)
        return max(abs(u + p0 * out) - chord, out - half_v)
    if kind == SECTOR:
        reach = math.sqrt(u * u + v * v) - half_u
        if p1 > 0.0:
            reach = abs(reach + p1 / 2) - p1 / 2
        return max(reach, (abs(v) - u) * 0.7071)
    reach = math.sqrt(u * u + v * v)
    # Sines are dear: they matter near the rim alone.
    if reach > 1.03 * half_u + 0.5:
        return 1.0
    if reach < 0.73 * half_u - 0.5:
        return -1.0
    lumps = math.sin(0.9 * u + p1) * math.sin(0.9 * v + 1.7 * p1)
    return reach - half_u * (0.88 + 0.14 * lumps)


@njit(cache=True, nogil=True)
def _light(
    kind: int,
    u: float,
    v: float,
    half_u: float,
    half_v: float,
    p0: float,
    p1: float,
    sun_u: float,
    sun_v: float,
) -> float:
    """How much brighter (grey levels) a place of a solid shape is; the shadow falls along sun."""
    if kind == ROOF:
        if p1 > 0.0 and half_u - abs(u) < half_v - abs(v):
            return -p0 * sun_u if u > 0 else p0 * sun_u
        return -p0 * sun_v if v > 0 else p0 * sun_v
    if kind == DOME:
        return -p0 * (u * sun_u + v * sun_v) / half_u
    if kind == CROWN:
        lumps = math.sin(1.3 * u + p1) * math.sin(1.3 * v + 2.3 * p1)
        return -p0 * (u * sun_u + v * sun_v) / half_u + 0.55 * p0 * lumps
    return 0.0


@njit(cache=True, nogil=True)
def _cast(
    row: np.ndarray, shade: np.ndarray, sun_x: float, sun_y: float, cosine: float, sine: float
) -> None:
    """Darken the ground behind an upright box: the box swept along the sun."""
    height, width = shade.shape
    half_u, half_v, radius = row[4], row[5], row[7]
    sweep_x, sweep_y = row[6] * sun_x, row[6] * sun_y
    sweep_u = cosine * sweep_x + sine * sweep_y
    sweep_v = -sine * sweep_x + cosine * sweep_y
    reach_x = abs(cosine) * half_u + abs(sine) * half_v + 1
    reach_y = abs(sine) * half_u + abs(cosine) * half_v + 1
    left = max(0, math.floor(row[1] - reach_x + min(0.0, sweep_x)))
    right = min(width, math.ceil(row[1] + reach_x + max(0.0, sweep_x)))
    top = max(0, math.floor(row[2] - reach_y + min(0.0, sweep_y)))
    bottom = min(height, math.ceil(row[2] + reach_y + max(0.0, sweep_y)))
    length = sweep_u * sweep_u + sweep_v * sweep_v
    depth = np.uint8(255 * row[12])
    for y in range(top, bottom):
        for x in range(left, right):
            dx, dy = x + 0.5 - row[1], y + 0.5 - row[2]
            u = cosine * dx + sine * dy
            v = -sine * dx + cosine * dy
            if radius > 0.0:
                along = min(1.0, max(0.0, (u * sweep_u + v * sweep_v) / length))
                u -= along * sweep_u
                v -= along * sweep_v
                hidden = _box_distance(u, v, half_u, half_v, radius) <= 0.0
            else:
                first, last = 0.0, 1.0
                if abs(sweep_u) > 1e-9:
                    a, b = (u - half_u) / sweep_u, (u + half_u) / sweep_u
                    first, last = max(first, min(a, b)), min(last, max(a, b))
                elif abs(u) > half_u:
                    last = -1.0
                if abs(sweep_v) > 1e-9:
                    a, b = (v - half_v) / sweep_v, (v + half_v) / sweep_v
                    first, last = max(first, min(a, b)), min(last, max(a, b))
                elif abs(v) > half_v:
                    last = -1.0
                hidden = first <= last
            if hidden and shade[y, x] < depth:
                shade[y, x] = depth


@njit(cache=True, nogil=True)
def _overlap(low: float, high: float, place: int) -> float:
    """Share of a pixel (from `place` to `place` + 1) that lies between two bounds."""
    return max(0.0, min(high, place + 1.0) - max(low, float(place)))


@njit(cache=True, nogil=True)
def _packed(row: np.ndarray) -> np.uint32:
    """Return a shape's colour and roughness as one number, in the canvas's order of bytes."""
    value = np.uint32(0)
    for band in range(4):
        value |= np.uint32(row[8 + band] + 0.5) << np.uint32(8 * band)
    return value


@njit(cache=True, nogil=True)
def _fill_upright(
    row: np.ndarray,
    canvas: np.ndarray,
    whole: np.ndarray,
    shade: np.ndarray,
    reach_x: float,
    reach_y: float,
) -> None:
    """Fill a box along the axes, by exact coverage: most of the ground is such."""
    height, width = shade.shape
    west, east = row[1] - reach_x, row[1] + reach_x
    north, south = row[2] - reach_y, row[2] + reach_y
    left, right = max(0, math.floor(west)), min(width, math.ceil(east))
    top, bottom = max(0, math.floor(north)), min(height, math.ceil(south))
    colour = _packed(row)
    raised = row[15] > 0.0
    for y in range(top, bottom):
        share = row[12] * _overlap(north, south, y)
        step = 1
        if share > 0.999 and right - left > 2:
            whole[y, left + 1 : right - 1] = colour
            if raised:
                shade[y, left + 1 : right - 1] = 0
            step = right - left - 1  # the two ends are left
        for x in range(left, right, step):
            cover = share * _overlap(west, east, x)
            for band in range(4):
                old = float(canvas[y, x, band])
                canvas[y, x, band] = np.uint8(old + cover * (row[8 + band] - old) + 0.5)
            if raised:
                shade[y, x] = np.uint8(shade[y, x] * (1.0 - cover))


@njit(cache=True, nogil=True)
def _span(
    dy: float, cosine: float, sine: float, half_u: float, half_v: float
) -> tuple[float, float]:
    """Return the stretch of a row (as dx) within a box; where it is empty, first is above last."""
    first, last = -1e9, 1e9
    if abs(cosine) > 1e-9:
        a, b = (-half_u - sine * dy) / cosine, (half_u - sine * dy) / cosine
        first, last = min(a, b), max(a, b)
    elif abs(sine * dy) > half_u:
        return 1.0, 0.0
    if abs(sine) > 1e-9:
        a, b = (cosine * dy - half_v) / sine, (cosine * dy + half_v) / sine
        first, last = max(first, min(a, b)), min(last, max(a, b))
    elif abs(cosine * dy) > half_v:
        return 1.0, 0.0
    return first, last


@njit(cache=True, nogil=True)
def paint(
    shapes: np.ndarray, canvas: np.ndarray, shade: np.ndarray, sun_x: float, sun_y: float
) -> None:
    """Paint shapes in their order.

    Args:
        shapes: `(N, 16)` float64, columns as in `FIELDS`.
        canvas: `(H, W, 4)` uint8, changed: red, green, blue, roughness of the surface.
        shade: `(H, W)` uint8, changed: 0 in the sun, 255 in full shadow.
        sun_x: where the shadow of something one pixel high ends, to the right.
        sun_y: the same, downwards.
    """
    height, width = shade.shape
    whole = canvas.view(np.uint32)[:, :, 0]
    steep = math.sqrt(sun_x * sun_x + sun_y * sun_y) + 1e-9
    for number in range(shapes.shape[0]):
        row = shapes[number]
        kind = int(row[0])
        cosine, sine = math.cos(row[3]), math.sin(row[3])
        if kind == SHADOW:
            _cast(row, shade, sun_x, sun_y, cosine, sine)
            continue
        half_u, half_v, p0, p1 = row[4], row[5], row[6], row[7]
        plain = kind == BOX and p0 == 0.0 and p1 == 0.0 and row[13] == 0.0
        if plain and min(abs(sine), abs(cosine)) < 1e-6:
            turned = abs(sine) > 0.5
            reach_x, reach_y = (half_v, half_u) if turned else (half_u, half_v)
            _fill_upright(row, canvas, whole, shade, reach_x, reach_y)
            continue
        sun_u = (cosine * sun_x + sine * sun_y) / steep
        sun_v = (-sine * sun_x + cosine * sun_y) / steep
        room_u = half_u + abs(p0) * half_v if kind == WING else half_u
        room_v = half_u if kind == SECTOR else half_v
        reach_x = abs(cosine) * room_u + abs(sine) * room_v + 1
        reach_y = abs(sine) * room_u + abs(cosine) * room_v + 1
        left = max(0, math.floor(row[1] - reach_x))
        right = min(width, math.ceil(row[1] + reach_x))
        top = max(0, math.floor(row[2] - reach_y))
        bottom = min(height, math.ceil(row[2] + reach_y))
        colour = _packed(row)
        solid = kind in (ROOF, DOME, CROWN)
        flat = row[13] == 0.0 and not solid
        # The core of a box is filled (or skipped, where only the outline is drawn) by the row.
        core = p1 + 0.3 * p0 + 0.8
        cored = kind == BOX and (p1 > 0.0 or (flat and row[12] > 0.999))
        cored = cored and half_u > core + 1 and half_v > core + 1
        rim = 0.52 + 0.03 * half_u if kind == CROWN else 0.52
        for y in range(top, bottom):
            dy = y + 0.5 - row[2]
            # No pixel beyond this stretch can be covered.
            first, last = _span(dy, cosine, sine, room_u + rim, room_v + rim)
            if first > last:
                continue
            start = max(left, math.floor(row[1] + first - 0.5))
            stop = min(right, math.ceil(row[1] + last - 0.5) + 1)
            begin, end = stop, stop
            if cored:
                first, last = _span(dy, cosine, sine, half_u - core, half_v - core)
                begin = max(left, math.ceil(row[1] + first - 0.5))
                end = min(right, math.floor(row[1] + last - 0.5) + 1)
                if begin >= end:
                    begin, end = stop, stop
                elif p1 == 0.0:
                    whole[y, begin:end] = colour
                    if row[15] > 0.0:
                        shade[y, begin:end] = 0
            for x in range(start, stop - (end - begin)):
                if x >= begin:
                    x += end - begin
                dx = x + 0.5 - row[1]
                u = cosine * dx + sine * dy
                v = -sine * dx + cosine * dy
                cover = 0.5 - _distance(kind, u, v, half_u, half_v, p0, p1)
                if cover <= 0.0:
                    continue
                cover = row[12] * min(1.0, cover)
                if cover > 0.999 and flat:
                    whole[y, x] = colour
                    if row[15] > 0.0:
                        shade[y, x] = 0
                    continue
                light = 0.0
                if solid:
                    light = _light(kind, u, v, half_u, half_v, p0, p1, sun_u, sun_v)
                if row[13] > 0.0:
                    turn = u / row[13]
                    light += row[14] if turn - math.floor(turn) < 0.5 else -row[14]
                for band in range(3):
                    old = float(canvas[y, x, band])
                    new = old + cover * (row[8 + band] + light - old)
                    canvas[y, x, band] = np.uint8(min(255.0, max(0.0, new + 0.5)))
                rough = float(canvas[y, x, 3])
                canvas[y, x, 3] = np.uint8(rough + cover * (row[11] - rough) + 0.5)
                if row[15] > 0.0:
                    shade[y, x] = np.uint8(shade[y, x] * (1.0 - cover))
