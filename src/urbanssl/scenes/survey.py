"""A look at the pixels of a raster before any hour is spent on it: readable, present, bright."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rasterio.io import DatasetReader
from rasterio.windows import Window

from urbanssl.errors import SceneError
from urbanssl.scenes.raster import BandPlan, valid_pixels

#: Rasters up to this many pixels are read whole; of larger ones a lattice of windows.
WHOLE_PIXELS = 16_000_000
_LATTICE = 8
_WINDOW = 512
#: Values of each image that take part in the percentiles.
SAMPLE = 20_000


@dataclass(frozen=True)
class Survey:
    """What a look at the pixels found.

    Attributes:
        nodata_share: share of missing pixels, 0 to 1 (of a sample for large rasters).
        sample: (n, 3) float32, values of present pixels in file units, n up to `SAMPLE`.
    """

    nodata_share: float
    sample: NDArray[np.float32]


def survey(dataset: DatasetReader, plan: BandPlan) -> Survey:
    """Read a raster whole, or a lattice of windows of a large one.

    A large raster with nothing in any of those windows is read whole.

    Raises:
        rasterio.errors.RasterioError: a block cannot be read.
    """
    whole = dataset.width * dataset.height <= WHOLE_PIXELS
    found = _look(dataset, plan, _strips(dataset) if whole else _lattice(dataset))
    if found.nodata_share == 1 and not whole:
        found = _look(dataset, plan, _strips(dataset))
    return found


def _look(dataset: DatasetReader, plan: BandPlan, windows: Iterator[Window]) -> Survey:
    listed = list(windows)
    quota = -(-SAMPLE // len(listed))
    seen = missing = 0
    samples = []
    for window in listed:
        raw = dataset.read(plan.indexes, window=window)
        valid = valid_pixels(dataset, plan, window, raw)
        values = raw.reshape(len(raw), -1) if valid is None else raw[:, valid]
        seen += raw[0].size
        missing += raw[0].size - values.shape[1]
        step = max(1, values.shape[1] // quota)
        samples.append(values[:, ::step].T.astype(np.float32))
    sample = np.concatenate(samples)
    if sample.shape[1] == 1:
        sample = np.repeat(sample, 3, axis=1)
    return Survey(missing / seen, sample)


def _strips(dataset: DatasetReader) -> Iterator[Window]:
    height = max(dataset.block_shapes[0][0], 256)
    for top in range(0, dataset.height, height):
        yield Window(0, top, dataset.width, min(height, dataset.height - top))


def _lattice(dataset: DatasetReader) -> Iterator[Window]:
    rows, columns = (
        np.unique(np.linspace(0, max(0, length - _WINDOW), _LATTICE).astype(int))
        for length in (dataset.height, dataset.width)
    )
    for top in rows.tolist():
        for left in columns.tolist():
            width, height = min(_WINDOW, dataset.width), min(_WINDOW, dataset.height)
            yield Window(left, top, width, height)


def check_blocks_are_there(dataset: DatasetReader, path: Path) -> None:
    """Refuse a GeoTIFF whose blocks lie beyond the end of the file (a broken download).

    Only the table of blocks is read, so that this is cheap for the largest file.

    Raises:
        SceneError: a block ends after the file does.
    """
    if dataset.driver != "GTiff" or not path.is_file():
        return
    rows, columns = dataset.block_shapes[0]
    size = path.stat().st_size
    for y in range(-(-dataset.height // rows)):
        for x in range(-(-dataset.width // columns)):
            start = dataset.get_tag_item(f"BLOCK_OFFSET_{x}_{y}", "TIFF", bidx=1)
            length = dataset.get_tag_item(f"BLOCK_SIZE_{x}_{y}", "TIFF", bidx=1)
            if start and length and int(start) + int(length) > size:
                raise SceneError.at(
                    path,
                    f"block {x}, {y} ends at byte {int(start) + int(length)}, the file at {size}",
                    "the file is cut off: download it again",
                )
