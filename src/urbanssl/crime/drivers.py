"""Stage find_drivers: which tiles an area's held-out prediction leans on.

For a few areas, each by the model that never saw its region: how much the log odds would change if
a tile were not there. It says what the model looked at, which is associated with the rate; it says
nothing about the ground in the tile.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import logit

from urbanssl.artifacts import read_json, write_table
from urbanssl.crime.study import object_features
from urbanssl.features.pool import pooled_rows, tile_shares
from urbanssl.scenes.scene import Scene

Floats = NDArray[np.float64]

#: Areas that are looked at, each of another region.
MOST = 6
_COLUMNS = {
    "area_id": str, "region": str, "probability": float, "tile_id": str, "scene": str,
    "shard_index": "int64", "share": float, "effect": float,
}  # fmt: skip


def find_drivers(
    slopes: Path,
    predictions: Path,
    areas: Path,
    arrays: list[Path],
    tables: list[Path],
    scenes: list[Scene],
    statistics: Sequence[str],
    output: Path,
    about: dict[str, Any],
) -> None:
    """Write how much each tile of a few areas moves the prediction of its area.

    In every region (six at most) the area with the surest prediction is taken.

    Args:
        slopes: `R/crime/slopes.parquet`: of the headline's features, by the model of each region.
        predictions: `R/crime/predictions.parquet`.
        areas: `R/crime/table.parquet`.
        arrays: `R/features/{set}/{scene}.npy` of all sets, names of columns beside them.
        tables: `tiles.parquet` of the study scenes.
        scenes: the same scenes, in the same order.
        statistics: those that tiles were pooled by.
        output: Parquet: `area_id, region, probability, tile_id, scene, shard_index, share` (of the
            tile in the area), `effect` (log odds with the tile minus without); empty where
            nothing was judged or the headline's features are no features of tiles.
        about: provenance.
    """
    model = pd.read_parquet(slopes)
    name = str(model["features"].iloc[0]) if len(model) else ""
    own = {path.stem: path for path in arrays if path.parent.name == name}
    rows: list[pd.DataFrame] = []
    if own:
        frames = [
            pd.read_parquet(table).assign(shard_index=lambda tiles: range(len(tiles)))
            for table in tables
        ]
        tiles = pd.concat(frames, ignore_index=True)
        values = np.concatenate([np.load(own[scene.name]) for scene in scenes])
        columns = read_json(own[scenes[0].name].with_suffix(".json"))["columns"]
        chosen = surest_areas(pd.read_parquet(predictions), gpd.read_parquet(areas), name)
        owner = np.concatenate(
            [np.full(len(f), s.area or "", object) for f, s in zip(frames, scenes, strict=True)]
        )
        shares = tile_shares(tiles, chosen, owner)
        change = object_features if name == "objects" else np.asarray
        for place, area in enumerate(chosen.itertuples()):
            mine = (shares.area == place) & (shares.weight > 0)
            tile, weight = shares.tile[mine], shares.weight[mine]
            slope = _slopes(model, str(area.region), columns, statistics)
            if len(tile) > 1:
                found = tiles.loc[tile, ["tile_id", "scene", "shard_index"]].assign(
                    area_id=area.area_id,
                    region=str(area.region),
                    probability=area.predicted,
                    share=weight,
                    effect=tile_effects(values[tile], weight, slope, statistics, change),
                )
                rows.append(found[list(_COLUMNS)].sort_values("tile_id"))
    empty = pd.DataFrame({key: pd.Series(dtype=kind) for key, kind in _COLUMNS.items()})
    write_table(output, pd.concat(rows, ignore_index=True) if rows else empty, about)


def surest_areas(predictions: pd.DataFrame, areas: gpd.GeoDataFrame, name: str) -> gpd.GeoDataFrame:
    """Return the area of each region whose prediction is farthest from a toss-up, six at most.

    Args:
        predictions: out-of-fold, with whole regions held out among them.
        areas: `area_id, region, geometry`.
        name: of the feature set.
    """
    wanted = {"features": name, "scheme": "region", "model": "logistic"}
    mine = np.all([predictions[key] == value for key, value in wanted.items()], axis=0)
    known = areas[["area_id", "region", "geometry"]].merge(
        predictions.loc[mine, ["area_id", "predicted"]], on="area_id"
    )
    sure = np.abs(logit(known["predicted"].clip(1e-9, 1 - 1e-9)))
    best = sure.groupby(known["region"].astype(str)).idxmax()
    return known.loc[sure[best].nlargest(MOST).index].sort_values("region", ignore_index=True)


def _slopes(
    model: pd.DataFrame, region: str, columns: Sequence[str], statistics: Sequence[str]
) -> Floats:
    """Return the slopes of the region's model, all columns of a statistic, then the next one's."""
    own = model[model["region"] == region].set_index("column")["slope"]
    names = [f"{name}_{statistic}" for statistic in statistics for name in columns]
    return own.loc[names].to_numpy(float)


def tile_effects(
    rows: Floats,
    weight: Floats,
    slope: Floats,
    statistics: Sequence[str],
    change: Callable[[Floats], Floats] = np.asarray,
) -> Floats:
    """Return (T,) log odds of an area with each of its tiles minus those without it.

    Args:
        rows: (T, D) features of the area's tiles, two or more.
        weight: (T,) share of each tile in the area.
        slope: (S D,) change of the log odds by each pooled feature, statistic by statistic.
        statistics: S of `mean, std, q10, q90, min, max`.
        change: what is done to pooled features before the model sees them.
    """
    rows = np.asarray(rows, float)

    def log_odds(kept: NDArray[np.bool_]) -> float:
        pooled = pooled_rows(rows[kept], weight[kept], statistics)
        return float(slope @ change(np.concatenate([pooled[name] for name in statistics])))

    whole = log_odds(np.ones(len(rows), bool))
    return whole - np.array([log_odds(np.arange(len(rows)) != out) for out in range(len(rows))])
