"""What tiles are cut from: an image at its own or another resolution, or warped to web mercator.

A canvas is read by rows, each block of the file once, in the order of the file.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.io import DatasetReader
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from urbanssl.scenes.grid import XyzRange
from urbanssl.scenes.place import Place
from urbanssl.scenes.raster import BandPlan, Pixels, Valid, read_pixels, small_cache

#: Rows read at once where the file's blocks are lower than that.
_ROWS = 256
#: Blocks higher than this are not kept whole; GDAL's cache serves them.
_HIGHEST_BLOCK = 2048


@dataclass(frozen=True)
class Canvas:
    """A raster to cut tiles from.

    Attributes:
        dataset: the open raster, or a warped view of it.
        plan: how its bands become red, green and blue.
        width, height: pixels of the canvas.
        scale: canvas pixels per pixel of `dataset`.
        rows: reading begins and ends at multiples of this.
    """

    dataset: DatasetReader
    plan: BandPlan
    width: int
    height: int
    scale: float = 1.0
    rows: int = _ROWS

    def read(self, top: int, out: Pixels) -> Valid | None:
        """Fill `out`, (3, rows, width), with the rows from `top`; return where there are pixels."""
        count = out.shape[1]
        if self.scale == 1:
            window = Window(0, top, self.width, count)
        else:
            first = top / self.scale
            wide = min(self.width / self.scale, self.dataset.width)
            high = min(count / self.scale, self.dataset.height - first)
            window = Window(0, first, wide, high)
        return read_pixels(self.dataset, self.plan, window, out)


@contextmanager
def image_canvas(dataset: DatasetReader, plan: BandPlan, scale: float) -> Iterator[Canvas]:
    """Yield a canvas of an image, resampled to `scale` canvas pixels per image pixel."""
    block = dataset.block_shapes[0][0]
    rows = block * -(-_ROWS // block) if block <= _HIGHEST_BLOCK else _ROWS
    with small_cache(dataset, rows):
        if scale == 1:
            yield Canvas(dataset, plan, dataset.width, dataset.height, 1.0, rows)
            return
        width, height = (
            max(1, math.floor(length * scale + 1e-6)) for length in (dataset.width, dataset.height)
        )
        yield Canvas(dataset, plan, width, height, scale, max(1, round(rows * scale)))


@contextmanager
def mercator_canvas(
    dataset: DatasetReader, plan: BandPlan, place: Place, cells: XyzRange, size: int
) -> Iterator[Canvas]:
    """Yield a canvas of an image warped to EPSG:3857, its pixels those of XYZ tiles of `size`."""
    width, height = cells.columns * size, cells.rows * size
    resampling = Resampling.nearest if plan.palette is not None else Resampling.bilinear
    with WarpedVRT(
        dataset,
        src_crs=place.crs,
        src_transform=place.affine,
        crs="EPSG:3857",
        transform=cells.affine(size),
        width=width,
        height=height,
        resampling=resampling,
        add_alpha=plan.alpha is None,
    ) as warped:
        alpha = plan.alpha if plan.alpha is not None else dataset.count + 1
        seen = replace(plan, alpha=alpha, nodata=None, external=False)
        yield Canvas(warped, seen, width, height, 1.0, size)


@dataclass(frozen=True)
class Strip:
    """Some rows of a canvas: its pixels from row `top`, and where there are any (None: all).

    Pixels are (3, rows, width), the order in which GDAL delivers them fastest.
    """

    top: int
    pixels: Pixels
    valid: Valid | None

    @property
    def end(self) -> int:
        """The row after the last."""
        return self.top + self.pixels.shape[1]

    def rows(self, top: int, end: int) -> Strip:
        """Return a view of the rows of the canvas from `top` up to `end`."""
        place = slice(top - self.top, end - self.top)
        return Strip(top, self.pixels[:, place], None if self.valid is None else self.valid[place])


def strips(canvas: Canvas, tops: NDArray[np.int64], size: int) -> Iterator[Strip]:
    """Yield for each row of tiles the canvas rows it covers, reading ahead in a thread.

    What is read at once serves as many rows of tiles as lie in it; what it shares with the next is
    copied, not read twice. Memory is that of two such stretches.

    Args:
        canvas: what to read.
        tops: first canvas row of each row of tiles, rising.
        size: side of a tile.
    """
    groups = _groups(canvas, tops.tolist(), size)
    high = min(size + canvas.rows, canvas.height)
    buffers = [np.empty((3, high, canvas.width), np.uint8) for _ in groups[:2]]

    def fill(number: int, previous: Strip | None) -> Strip:
        top, end = groups[number][0], _end(canvas, groups[number][0], size)
        pixels = buffers[number % 2][:, : end - top]
        if previous is None:
            return Strip(top, pixels, canvas.read(top, pixels))
        kept = max(0, previous.end - top)
        carried = previous.rows(previous.end - kept, previous.end)
        pixels[:, :kept] = carried.pixels
        valid = canvas.read(top + kept, pixels[:, kept:])
        if valid is not None and carried.valid is not None:
            valid = np.concatenate([carried.valid, valid])
        return Strip(top, pixels, valid)

    with ThreadPoolExecutor(1) as reader:
        ahead = reader.submit(fill, 0, None)
        for number, group in enumerate(groups, 1):
            stretch = ahead.result()
            if number < len(groups):
                ahead = reader.submit(fill, number, stretch)
            for top in group:
                yield stretch.rows(top, min(top + size, stretch.end))


def _end(canvas: Canvas, top: int, size: int) -> int:
    """Return where reading ends for a row of tiles: at whole blocks, or with the canvas."""
    return min(canvas.height, -(-(top + size) // canvas.rows) * canvas.rows)


def _groups(canvas: Canvas, tops: list[int], size: int) -> list[list[int]]:
    """Return the rows of tiles by what is read at once for the first of them."""
    groups: list[list[int]] = []
    for top in tops:
        if groups and min(top + size, canvas.height) <= _end(canvas, groups[-1][0], size):
            groups[-1].append(top)
        else:
            groups.append([top])
    return groups
