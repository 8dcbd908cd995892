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
from urbanssl.scenes.raster import BandPlan, Pixels, Valid, read_pixels

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
        """Fill `out`, (rows, width, 3), with the rows from `top`; return where there are pixels."""
        count = len(out)
        if self.scale == 1:
            window = Window(0, top, self.width, count)
        else:
            first = top / self.scale
            wide = min(self.width / self.scale, self.dataset.width)
            high = min(count / self.scale, self.dataset.height - first)
            window = Window(0, first, wide, high)
        return read_pixels(self.dataset, self.plan, window, out)


def image_canvas(dataset: DatasetReader, plan: BandPlan, scale: float) -> Canvas:
    """Return a canvas of an image, resampled to `scale` canvas pixels per image pixel."""
    block = dataset.block_shapes[0][0]
    rows = block * -(-_ROWS // block) if block <= _HIGHEST_BLOCK else _ROWS
    if scale == 1:
        return Canvas(dataset, plan, dataset.width, dataset.height, 1.0, rows)
    width, height = (
        max(1, math.floor(length * scale + 1e-6)) for length in (dataset.width, dataset.height)
    )
    return Canvas(dataset, plan, width, height, scale, max(1, round(rows * scale)))


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
    """Some rows of a canvas: its pixels from row `top`, and where there are any (None: all)."""

    top: int
    pixels: Pixels
    valid: Valid | None


def strips(canvas: Canvas, tops: NDArray[np.int64], size: int) -> Iterator[Strip]:
    """Yield for each row of tiles the canvas rows it covers, reading ahead in a thread.

    Rows that two rows of tiles share are copied, not read twice. Memory is that of two strips.

    Args:
        canvas: what to read.
        tops: first canvas row of each row of tiles, rising.
        size: side of a tile.
    """
    high = min(size + canvas.rows, canvas.height)
    buffers = [np.empty((high, canvas.width, 3), np.uint8) for _ in range(min(2, len(tops)))]

    def fill(number: int, previous: Strip | None) -> Strip:
        top = int(tops[number])
        end = min(canvas.height, -(-(top + size) // canvas.rows) * canvas.rows)
        pixels = buffers[number % 2][: end - top]
        if previous is None:
            return Strip(top, pixels, canvas.read(top, pixels))
        kept = previous.top + len(previous.pixels) - top
        pixels[:kept] = previous.pixels[len(previous.pixels) - kept :]
        valid = canvas.read(top + kept, pixels[kept:]) if kept < len(pixels) else None
        if previous.valid is not None:
            carried = previous.valid[len(previous.valid) - kept :]
            valid = carried if valid is None else np.concatenate([carried, valid])
        return Strip(top, pixels, valid)

    strip = fill(0, None)
    if len(tops) == 1:
        yield strip
        return
    with ThreadPoolExecutor(1) as reader:
        for number in range(1, len(tops)):
            ahead = reader.submit(fill, number, strip)
            yield strip
            strip = ahead.result()
        yield strip
