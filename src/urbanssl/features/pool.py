"""Stage pool_features: tiles summed up over areas, by how much of each tile lies in the area."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from urbanssl.artifacts import read_json, write_table
from urbanssl.errors import AreaError
from urbanssl.features.footprints import EQUAL_AREA, footprints
from urbanssl.scenes.scene import Scene
from urbanssl.settings import FeatureSettings

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Shares:
    """Which tiles lie in which areas.

    Attributes:
        area: (P,) place of the area of each pair.
        tile: (P,) place of the tile of each pair.
        weight: (P,) share of the tile's valid ground that lies in the area.
        cover: (A,) share of each area that the union of all tiles covers.
    """

    area: NDArray[np.int64]
    tile: NDArray[np.int64]
    weight: Floats
    cover: Floats


def pool_areas(
    features: list[Path],
    columns: list[Path],
    tables: list[Path],
    areas: Path,
    scenes: list[Scene],
    settings: FeatureSettings,
    output: Path,
    about: dict[str, Any],
) -> None:
    """Pool one feature set from tiles to areas.

    Args:
        features: `(N, D)` arrays of the study scenes.
        columns: JSON with the names of the D columns, one for each array.
        tables: `tiles.parquet` of the same scenes, in the same order.
        areas: `R/crime/table.parquet`.
        scenes: the same scenes; one that names its `area` gives it all of its tiles.
        settings: `pool` (mean, std, quantiles, min, max) and `min_cover`.
        output: Parquet with `area_id, cover, tiles, covered`, then one column a feature and
            statistic, named `{feature}_{statistic}`.
        about: provenance.

    Raises:
        AreaError: arrays, names and tables of tiles do not belong together.
    """
    names = _same_columns(columns)
    frames = [pd.read_parquet(path) for path in tables]
    values = _values(features, frames, len(names))
    table = gpd.read_parquet(areas)
    owner = np.concatenate(
        [np.full(len(f), s.area or "", dtype=object) for f, s in zip(frames, scenes, strict=True)]
    )
    shares = tile_shares(pd.concat(frames, ignore_index=True), table, owner)
    pooled = pool(values, shares, len(table), settings.pool)
    columns_out = {
        f"{name}_{statistic}": pooled[statistic][:, place].astype(np.float32)
        for statistic in settings.pool
        for place, name in enumerate(names)
    }
    counted = np.bincount(shares.area, minlength=len(table))
    result = pd.DataFrame(
        {
            "area_id": table["area_id"].to_numpy(),
            "cover": shares.cover,
            "tiles": counted,
            "covered": (shares.cover >= settings.min_cover) & (counted > 0),
            **columns_out,
        }
    )
    write_table(output, result, about)


def _same_columns(paths: Sequence[Path]) -> list[str]:
    lists = [read_json(path)["columns"] for path in paths]
    if not lists or any(names != lists[0] for names in lists):
        raise AreaError.at(
            paths[0] if paths else "features",
            "scenes have different feature columns, or there is no scene",
            "extract the features of all scenes again with the same settings",
        )
    return list(lists[0])


def _values(features: Sequence[Path], frames: Sequence[pd.DataFrame], width: int) -> Floats:
    parts = []
    for path, frame in zip(features, frames, strict=True):
        array = np.load(path)
        if array.shape != (len(frame), width):
            raise AreaError.at(
                path,
                f"is {array.shape}, but its tiles and columns are {(len(frame), width)}",
                "extract the features of this scene again",
            )
        parts.append(array)
    return np.concatenate(parts) if parts else np.zeros((0, width))


def tile_shares(tiles: pd.DataFrame, areas: gpd.GeoDataFrame, owner: NDArray) -> Shares:
    """Return how tiles are shared out among areas.

    Args:
        tiles: rows of `tiles.parquet`, all scenes together, with a fresh index.
        areas: `area_id` and polygons; without a CRS they cannot be laid over imagery.
        owner: (N,) id of the area that a tile's scene names, empty text where it names none.
    """
    ground = footprints(tiles)
    if areas.crs is None:
        shapes = np.full(len(areas), None, dtype=object)
    else:
        shapes = areas.geometry.to_crs(EQUAL_AREA).to_numpy()
    place = {area: number for number, area in enumerate(areas["area_id"])}
    named = np.array([place.get(area, -1) for area in owner], dtype=np.int64)
    own_tile = np.flatnonzero(named >= 0)
    free = np.flatnonzero([g is not None and not o for g, o in zip(ground, owner, strict=True)])
    hit_tile, hit_area = _overlaps(ground, free, shapes)
    inside = shapely.intersection(ground[hit_tile], shapes[hit_area])
    share = shapely.area(inside) / shapely.area(ground[hit_tile])
    some = share > 1e-9
    valid = tiles["valid_share"].to_numpy(float)
    area = np.concatenate([named[own_tile], hit_area[some]])
    tile = np.concatenate([own_tile, hit_tile[some]])
    weight = np.concatenate([np.ones(len(own_tile)), share[some]]) * valid[tile]
    return Shares(area, tile, weight, _cover(area, tile, ground, shapes))


def _overlaps(
    ground: NDArray[np.object_], free: NDArray[np.int64], shapes: NDArray[np.object_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    area, tile = shapely.STRtree(ground[free]).query(shapes, predicate="intersects")
    return free[tile], area


def _cover(
    area: NDArray[np.int64],
    tile: NDArray[np.int64],
    ground: NDArray[np.object_],
    shapes: NDArray[np.object_],
) -> Floats:
    """Share of each area under the union of its tiles; 1 where a sheet alone places the tiles."""
    cover = np.zeros(len(shapes))
    for number in np.unique(area):
        pieces = [piece for piece in ground[tile[area == number]] if piece is not None]
        shape = shapes[number]
        if shape is None or not pieces:
            cover[number] = 1.0
        else:
            seen = shapely.intersection(shapely.union_all(pieces), shape)
            cover[number] = min(1.0, seen.area / shape.area)
    return cover


def pool(
    values: NDArray[Any], shares: Shares, areas: int, statistics: Sequence[str]
) -> dict[str, Floats]:
    """Return weighted statistics of each area's tiles; not a number where it has none.

    Args:
        values: (N, D) features of tiles.
        shares: which tiles belong to which area.
        areas: number of areas.
        statistics: of `mean, std, q10, q90, min, max`.

    Returns:
        statistic -> (areas, D).
    """
    result = {name: np.full((areas, values.shape[1]), np.nan) for name in statistics}
    for number in np.unique(shares.area):
        mine = (shares.area == number) & (shares.weight > 0)
        if mine.any():
            rows = np.asarray(values[shares.tile[mine]], float)
            summed = pooled_rows(rows, shares.weight[mine], statistics)
            for name in statistics:
                result[name][number] = summed[name]
    return result


def pooled_rows(rows: Floats, weight: Floats, statistics: Sequence[str]) -> dict[str, Floats]:
    """Return weighted statistics of (n, D) rows, n from 1: statistic -> (D,)."""
    weight = weight / weight.sum()
    mean = weight @ rows
    found = {}
    for name in statistics:
        if name == "mean":
            found[name] = mean
        elif name == "std":
            found[name] = np.sqrt(weight @ (rows - mean) ** 2)
        elif name in ("min", "max"):
            found[name] = getattr(rows, name)(axis=0)
        else:
            found[name] = weighted_quantile(rows, weight, int(name[1:]) / 100)
    return found


def weighted_quantile(rows: Floats, weight: Floats, share: float) -> Floats:
    """Return the value of each column below which `share` of the weight lies.

    The inverse of the weighted distribution, with each row's weight centred on its value.

    Args:
        rows: (n, D).
        weight: (n,), positive.
        share: 0 to 1.
    """
    order = np.argsort(rows, axis=0, kind="stable")
    ordered = np.take_along_axis(rows, order, axis=0)
    mass = weight[order]
    below = (np.cumsum(mass, axis=0) - mass / 2) / weight.sum()
    return np.array([np.interp(share, b, v) for b, v in zip(below.T, ordered.T, strict=True)])
