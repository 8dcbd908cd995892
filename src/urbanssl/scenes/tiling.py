"""Cut the images of a scene into a shard of tiles and the table that says where each one lies."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from affine import Affine
from numpy.typing import NDArray

from urbanssl.artifacts import read_json, write_table, written_whole
from urbanssl.errors import SceneError
from urbanssl.scenes import mercator
from urbanssl.scenes.canvas import Canvas, image_canvas, mercator_canvas, strips
from urbanssl.scenes.catalogue import fixed_ranges, read_images
from urbanssl.scenes.grid import XyzRange, offsets, xyz_range
from urbanssl.scenes.place import Place, corner_points, lonlat_bounds, transformer
from urbanssl.scenes.raster import is_8bit, opened, plan_bands
from urbanssl.scenes.scene import Scene
from urbanssl.scenes.shard import ShardWriter
from urbanssl.settings import TileSettings

Columns = dict[str, Sequence[Any] | NDArray[Any]]

#: The columns of a tile table, see `docs/architecture.md`.
COLUMNS: tuple[str, ...] = (
    *("tile_id", "scene", "image", "row", "col", "z", "x", "y"),
    *("x_off", "y_off", "width", "height", "scale", "to_image", "affine"),
    *("west", "south", "east", "north", "crs", "valid_share", "sha256", "georeferenced"),
)


def tile_scene(
    scene: Scene,
    survey: Path,
    scaling: Path | None,
    tiles: TileSettings,
    array: Path,
    table: Path,
    about: Mapping[str, Any],
) -> None:
    """Cut every image of a scene.

    Memory is that of two rows of blocks or tiles, whatever the size of the scene. Images without a
    georeference are cut on the pixel grid whatever the grid.

    Args:
        scene: the scene.
        survey: its images, written by `survey_scene`.
        scaling: low and high of bands that are not 8-bit, written by `check_scenes`; needed where
            `tiles.scaling.mode` is `training`.
        tiles: how to cut.
        array: `.npy` to write, (N, size, size, 3) uint8.
        table: Parquet to write, N rows in the same order; its provenance counts what was dropped.
        about: provenance.

    Raises:
        SceneError: an image cannot be read, or nothing of the scene is left.
    """
    images = read_images(survey, scene.name)
    ranges = fixed_ranges(tiles) if scaling is None else read_json(scaling)
    dropped = 0
    tables = []
    with written_whole(array) as temporary:
        with ShardWriter(temporary, tiles.size) as shard:
            for image in images:
                kept, gone = _tile_image(image, ranges, tiles, shard)
                tables.append(kept)
                dropped += gone
        if not shard.count:
            raise SceneError.at(
                f"scene {scene.name}",
                f"each of its {dropped} tiles has less than {tiles.min_valid:.0%} of its pixels",
                "lower tiles.min_valid, or take the scene out of the sheet",
            )
    counts = {"tiles": shard.count, "dropped": {"below min_valid": dropped}, "grid": tiles.grid}
    write_table(table, _joined(tables), {**about, "counts": counts})


@dataclass
class _Kept:
    """What is noted of each tile that is kept."""

    left: list[int] = field(default_factory=list)
    top: list[int] = field(default_factory=list)
    row: list[int] = field(default_factory=list)
    col: list[int] = field(default_factory=list)
    valid_share: list[float] = field(default_factory=list)
    sha256: list[str] = field(default_factory=list)


def _tile_image(
    image: dict[str, Any],
    ranges: Mapping[str, list[float]],
    tiles: TileSettings,
    shard: ShardWriter,
) -> tuple[Columns, int]:
    """Append the tiles of one image to the shard; return their table and how many were dropped."""
    place = Place(image["crs"], image["affine"])
    cells = None
    if tiles.grid == "xyz" and place.georeferenced:
        cells = xyz_range(place, image["width"], image["height"], tiles.zoom)
    with _canvas(image, ranges, tiles, place, cells) as canvas:
        overlap = 0 if cells else tiles.overlap
        lefts = offsets(canvas.width, tiles.size, overlap)
        tops = offsets(canvas.height, tiles.size, overlap)
        kept, dropped = _Kept(), 0
        for row, strip in enumerate(strips(canvas, tops, tiles.size)):
            for col, left in enumerate(lefts.tolist()):
                pixels = strip.pixels[:, :, left : left + tiles.size]
                covered = pixels[0].size
                valid = covered
                if strip.valid is not None:
                    valid = np.count_nonzero(strip.valid[:, left : left + tiles.size])
                # What lies beyond a small image is padding, not a fault of the image.
                if valid == 0 or valid < tiles.min_valid * covered:
                    dropped += 1
                    continue
                kept.sha256.append(shard.append(pixels))
                kept.valid_share.append(valid / tiles.size**2)
                kept.left.append(left)
                kept.top.append(strip.top)
                kept.row.append(row)
                kept.col.append(col)
        scale = canvas.scale
    if cells:
        return _xyz_table(image, place, kept, cells, tiles.size), dropped
    return _pixel_table(image, place, kept, scale, tiles.size), dropped


@contextmanager
def _canvas(
    image: dict[str, Any],
    ranges: Mapping[str, list[float]],
    tiles: TileSettings,
    place: Place,
    cells: XyzRange | None,
) -> Iterator[Canvas]:
    with opened(Path(image["path"])) as dataset:
        plan = plan_bands(dataset, tiles.bands)
        if not is_8bit(dataset):
            plan = plan.scaled(ranges)
        if cells:
            with mercator_canvas(dataset, plan, place, cells, tiles.size) as canvas:
                yield canvas
        else:
            gsd = math.sqrt(image["gsd_x"] * image["gsd_y"])
            with image_canvas(dataset, plan, gsd / tiles.gsd if tiles.gsd else 1.0) as canvas:
                yield canvas


def _pixel_table(
    image: dict[str, Any], place: Place, kept: _Kept, scale: float, size: int
) -> Columns:
    """Return the table of tiles on the pixel grid."""
    x_off = np.array(kept.left, float) / scale
    y_off = np.array(kept.top, float) / scale
    side = size / scale
    width = np.minimum(side, image["width"] - x_off)
    height = np.minimum(side, image["height"] - y_off)
    bounds = lonlat_bounds(place, corner_points(x_off, y_off, width, height))
    step, none = np.full_like(x_off, 1 / scale), np.zeros_like(x_off)
    to_image = np.stack([step, none, x_off, none, step, y_off], axis=1)
    a, b, c, d, e, f = tuple(place.affine)[:6]
    x, y = a * x_off + b * y_off + c, d * x_off + e * y_off + f
    affines = np.stack([a * step, b * step, x, d * step, e * step, y], axis=1)
    stem = f"{image['scene']}/{image['image']}"
    return _table(
        image,
        place.crs,
        kept,
        bounds,
        to_image,
        affines,
        tile_id=[f"{stem}/{row}_{col}" for row, col in zip(kept.row, kept.col, strict=True)],
        row=kept.row,
        col=kept.col,
        x_off=x_off,
        y_off=y_off,
        width=side,
        height=side,
        scale=scale,
    )


def _xyz_table(
    image: dict[str, Any], place: Place, kept: _Kept, cells: XyzRange, size: int
) -> Columns:
    """Return the table of XYZ tiles; columns beyond the date line are those of the other side."""
    canvas = cells.affine(size)
    seen = cells.x + np.array(kept.col, np.int64)
    x, y = seen % 2**cells.zoom, cells.y + np.array(kept.row, np.int64)
    step = mercator.resolution(cells.zoom, size)
    corners = mercator.xy_bounds(x, y, cells.zoom).reshape(-1, 4)
    to_image = [
        _local_affine(place, canvas, left, top, size)
        for left, top in zip(kept.left, kept.top, strict=True)
    ]
    window = np.array([_window(local, size) for local in to_image]).reshape(-1, 4)
    names = [
        f"{image['scene']}/{image['image']}/{cells.zoom}_{i}_{j}"
        for i, j in zip(x.tolist(), y.tolist(), strict=True)
    ]
    return _table(
        image,
        "EPSG:3857",
        kept,
        mercator.bounds(x, y, cells.zoom).reshape(-1, 4),
        np.array([tuple(local)[:6] for local in to_image]),
        np.array([(step, 0, left, 0, -step, top) for left, _, _, top in corners.tolist()]),
        tile_id=names,
        z=cells.zoom,
        x=x,
        y=y,
        x_off=window[:, 0],
        y_off=window[:, 1],
        width=window[:, 2],
        height=window[:, 3],
        scale=[1 / math.sqrt(abs(local.determinant)) for local in to_image],
    )


def _local_affine(place: Place, canvas: Affine, left: int, top: int, size: int) -> Affine:
    """Return the affine tile pixel -> image pixel that is right at a tile's centre.

    Over one tile the projections differ from an affine by far less than a pixel.
    """
    half = size / 2
    points = [(left + half, top + half), (left + size, top + half), (left + half, top + size)]
    x, y = zip(*(canvas @ point for point in points), strict=True)
    if place.crs is None:
        raise ValueError("an image without a georeference has no XYZ tiles")
    x, y = transformer("EPSG:3857", place.crs).transform(x, y)
    centre, right, below = (~place.affine @ point for point in zip(x, y, strict=True))
    a, d = (right[0] - centre[0]) / half, (right[1] - centre[1]) / half
    b, e = (below[0] - centre[0]) / half, (below[1] - centre[1]) / half
    return Affine(a, b, centre[0] - half * (a + b), d, e, centre[1] - half * (d + e))


def _window(local: Affine, size: int) -> tuple[float, float, float, float]:
    """Return the pixel window (x, y, width, height) round a tile."""
    points = np.array([local @ corner for corner in ((0, 0), (size, 0), (0, size), (size, size))])
    low, high = points.min(axis=0), points.max(axis=0)
    return (*low.tolist(), *(high - low).tolist())


def _table(
    image: dict[str, Any],
    crs: str | None,
    kept: _Kept,
    bounds: NDArray[np.float64],
    to_image: NDArray[np.float64],
    affines: NDArray[np.float64],
    **columns: Any,
) -> Columns:
    count = len(kept.sha256)
    west, south, east, north = bounds.T
    table: dict[str, Any] = {
        **dict.fromkeys(COLUMNS),
        "scene": image["scene"],
        "image": image["image"],
        "to_image": to_image.tolist(),
        "affine": affines.tolist(),
        **{"west": west, "south": south, "east": east, "north": north},
        "crs": crs,
        "valid_share": kept.valid_share,
        "sha256": kept.sha256,
        "georeferenced": crs is not None,
        **columns,
    }
    return {
        name: [values] * count if values is None or np.ndim(values) == 0 else values
        for name, values in table.items()
    }


def _joined(tables: list[Columns]) -> pd.DataFrame:
    """Return the tables of all images as one: joined by column, which is fast for many images."""
    whole = pd.DataFrame(
        {name: [value for table in tables for value in table[name]] for name in COLUMNS}
    )
    integers = dict.fromkeys(("row", "col", "z", "x", "y"), "Int64")
    floats = dict.fromkeys(("x_off", "y_off", "width", "height", "scale"), "float64")
    return whole.astype({**integers, **floats, "crs": "string"})  # type: ignore[arg-type]
