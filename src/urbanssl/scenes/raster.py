"""Reading any raster as red, green, blue 8-bit pixels with a mask.

Low-level: an open dataset and plain arguments in, arrays out. Arrays are 3 x rows x columns: GDAL
keeps its blocks by band, and fills an array of pixels one byte at a time.
"""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, MaskFlags, Resampling
from rasterio.errors import NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader
from rasterio.windows import Window

from urbanssl.errors import SceneError

Pixels = NDArray[np.uint8]
Valid = NDArray[np.bool_]
Scaling = Mapping[str, list[float]]

#: GDAL's cache of blocks. Ours are read once, so that a few rows of them are enough; its own
#: default is a share of the machine's memory, which a job on a cluster may not have.
_CACHE_BYTES = 256 << 20
_LEAST_CACHE_BYTES = 16 << 20
_THREADS = 4

# Images without a georeference are welcome; `place.place_of` notes them. Set once for the process:
# filters changed around each opening would not hold in threads.
warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)


@contextmanager
def opened(path: Path) -> Iterator[DatasetReader]:
    """Open a raster; anything that goes wrong while it is open is a `SceneError` naming it.

    Blocks are decompressed by as many threads as the job has cores, at most `_THREADS`.
    """
    threads = min(_THREADS, len(os.sched_getaffinity(0)))
    try:
        with (
            rasterio.Env(GDAL_NUM_THREADS=threads, GDAL_CACHEMAX=_CACHE_BYTES),
            rasterio.open(path) as dataset,
        ):
            yield dataset
    except RasterioError as error:
        raise SceneError.at(
            path, f"cannot be read: {error}", "replace the file (download or convert it again)"
        ) from error


@contextmanager
def small_cache(dataset: DatasetReader, rows: int) -> Iterator[None]:
    """Keep no more of an image in GDAL's cache than reading it by rows of blocks makes use of.

    Blocks that are used again need no new memory from the system, which takes its time over it.

    Args:
        dataset: the open raster.
        rows: how many are read at once.
    """
    pixel = sum(np.dtype(dtype).itemsize for dtype in dataset.dtypes)
    used = 2 * rows * dataset.width * pixel
    with rasterio.Env(GDAL_CACHEMAX=min(_CACHE_BYTES, max(_LEAST_CACHE_BYTES, used))):
        yield


@dataclass(frozen=True)
class BandPlan:
    """How the bands of a raster become red, green and blue.

    Attributes:
        indexes: the band (from 1) read for each colour; one entry is repeated for all three.
        palette: (256, 4) colours of a palette raster's values, None for others.
        alpha: the alpha band (from 1), None where there is none.
        nodata: the value that marks missing pixels, None where there is none.
        external: whether the file has a mask of its own.
        floating: whether values may be NaN.
        table: what 16-bit values become (65536 x 3), or
        low, high: the values that become 0 and 255 for each colour; None for 8-bit.
        note: what was done, empty where nothing was.
    """

    indexes: tuple[int, ...]
    palette: Pixels | None = None
    alpha: int | None = None
    nodata: float | None = None
    external: bool = False
    floating: bool = False
    low: NDArray[np.float64] | None = None
    high: NDArray[np.float64] | None = None
    note: str = ""

    @property
    def masked(self) -> bool:
        """Whether some pixels may be missing."""
        return self.alpha is not None or self.nodata is not None or self.external or self.floating

    def scaled(self, scaling: Scaling) -> BandPlan:
        """Return the plan with the low and high of `scaling.json`."""
        return replace(self, low=np.array(scaling["low"]), high=np.array(scaling["high"]))


def is_8bit(dataset: DatasetReader) -> bool:
    """Whether pixels need no scaling."""
    return all(dtype == "uint8" for dtype in dataset.dtypes)


def plan_bands(dataset: DatasetReader, bands: tuple[int, int, int] | None) -> BandPlan:
    """Choose the bands of an open raster.

    Args:
        dataset: an open raster.
        bands: the bands (from 1) for red, green, blue; None takes those that the file calls red,
            green and blue, or else its first three.

    Raises:
        ValueError: the raster lacks a band, or its values are complex numbers.
    """
    if any(dtype.startswith("complex") for dtype in dataset.dtypes):
        raise ValueError(f"its values are complex numbers ({dataset.dtypes[0]})")
    colours = list(dataset.colorinterp)
    alpha = colours.index(ColorInterp.alpha) + 1 if ColorInterp.alpha in colours else None
    flags = dataset.mask_flag_enums[0]
    external = MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags
    plan = BandPlan(
        indexes=(1,),
        alpha=alpha,
        nodata=dataset.nodata,
        external=external,
        floating=any(dtype.startswith("float") for dtype in dataset.dtypes),
    )
    if colours[0] == ColorInterp.palette:
        return replace(plan, palette=_palette(dataset), note="palette turned into RGB")
    indexes, note = _chosen(dataset, colours, bands)
    return replace(plan, indexes=indexes, note=note)


def _chosen(
    dataset: DatasetReader, colours: list[ColorInterp], bands: tuple[int, int, int] | None
) -> tuple[tuple[int, ...], str]:
    usable = [n for n, colour in enumerate(colours, 1) if colour != ColorInterp.alpha]
    if bands is not None:
        if max(bands) > dataset.count or min(bands) < 1:
            raise ValueError(f"it has {dataset.count} bands, not the bands {list(bands)}")
        return bands, ""
    named = [ColorInterp.red, ColorInterp.green, ColorInterp.blue]
    if all(colour in colours for colour in named):
        indexes = tuple(colours.index(colour) + 1 for colour in named)
        note = "" if indexes == (1, 2, 3) else f"bands {list(indexes)} are its red, green, blue"
        return indexes, note
    if len(usable) >= 3:
        return tuple(usable[:3]), f"bands {usable[:3]} of {dataset.count} taken as RGB"
    if not usable:
        raise ValueError("it has no band but alpha")
    return (usable[0],), "one band, repeated for red, green and blue"


def _palette(dataset: DatasetReader) -> Pixels:
    table = np.zeros((256, 4), np.uint8)
    for value, colour in dataset.colormap(1).items():
        table[value] = colour
    return table


def read_pixels(
    dataset: DatasetReader,
    plan: BandPlan,
    window: Window,
    out: Pixels,
) -> Valid | None:
    """Read a window into `out` as 8-bit RGB; resample where the sizes differ.

    Missing pixels become 0.

    Args:
        dataset: an open raster (or warped view of one).
        plan: how its bands become colours.
        window: in pixels of the raster, inside it.
        out: (3, rows, columns) uint8 to fill; may be a view.

    Returns:
        (rows, columns) bool, True where there is a pixel; None where the raster misses none.
    """
    shape = out.shape[1:]
    same = (round(window.height), round(window.width)) == shape
    resampling = _resampling(plan, window, shape)
    if plan.palette is None and plan.low is None and len(plan.indexes) == 3:
        # Three bands that need no arithmetic go straight to their place.
        dataset.read(plan.indexes, window=window, out=out, resampling=resampling)
        valid = valid_pixels(dataset, plan, window, out)
    else:
        raw = dataset.read(
            plan.indexes,
            window=window,
            out_shape=(len(plan.indexes), *shape),
            resampling=resampling,
        )
        valid = valid_pixels(dataset, plan, window, raw)
        _to_rgb(raw, plan, out)
    if valid is not None:
        if plan.palette is not None and same:
            valid &= plan.palette[raw[0], 3] > 0
        out[:, ~valid] = 0
    return valid


def _resampling(plan: BandPlan, window: Window, shape: tuple[int, ...]) -> Resampling:
    if plan.palette is not None:
        return Resampling.nearest
    return Resampling.average if window.height > shape[0] else Resampling.bilinear


def valid_pixels(
    dataset: DatasetReader, plan: BandPlan, window: Window, raw: np.ndarray
) -> Valid | None:
    """Return where there are pixels, by alpha, nodata, own mask and NaN; None for everywhere.

    Args:
        dataset: an open raster.
        plan: how its bands are read.
        window: in pixels of the raster.
        raw: (bands, rows, columns), what was read of that window.
    """
    if not plan.masked:
        return None
    shape = raw.shape[1:]
    valid = np.ones(shape, bool)
    if plan.alpha is not None:
        valid &= dataset.read(plan.alpha, window=window, out_shape=shape) > 0
    if plan.external:
        valid &= dataset.read_masks(1, window=window, out_shape=shape) > 0
    if plan.floating:
        valid &= np.isfinite(raw).all(axis=0)
    if plan.nodata is not None and not math.isnan(plan.nodata):
        # As GDAL's dataset mask: a pixel is missing where every band has the value.
        present = raw[0] != plan.nodata
        for band in raw[1:]:
            present |= band != plan.nodata
        valid &= present
    return valid


def _to_rgb(raw: np.ndarray, plan: BandPlan, out: Pixels) -> None:
    if plan.palette is not None:
        for colour in range(3):
            out[colour] = plan.palette[:, colour][raw[0]]
        return
    for colour in range(3):
        band = raw[colour if len(plan.indexes) == 3 else 0]
        if plan.low is None or plan.high is None:
            out[colour] = band
        else:
            out[colour] = stretch(band, float(plan.low[colour]), float(plan.high[colour]))


def stretch(band: np.ndarray, low: float, high: float) -> Pixels:
    """Return values as 8-bit: `low` and less become 0, `high` and more 255, NaN 0."""
    if band.dtype == np.uint16:
        table = _stretched(np.arange(65536), low, high)
        taken: Pixels = table[band]
        return taken
    return _stretched(band, low, high)


def _stretched(values: np.ndarray, low: float, high: float) -> Pixels:
    share = (values.astype(np.float32) - low) * np.float32(255 / (high - low))
    return np.nan_to_num(np.clip(np.rint(share), 0, 255), nan=0).astype(np.uint8)
