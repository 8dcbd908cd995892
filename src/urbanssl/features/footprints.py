"""The ground of tiles as polygons on one map of true areas."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

#: Shares and densities are taken on a map of true areas, in metres, that has no zones.
EQUAL_AREA = "EPSG:6933"


def footprints(tiles: pd.DataFrame) -> NDArray[np.object_]:
    """Return the ground of each tile as a polygon in `EQUAL_AREA`, None without a georeference.

    Args:
        tiles: columns `affine` (tile pixel -> CRS), `width, height, scale, crs, georeferenced`.
    """
    ground = np.full(len(tiles), None, dtype=object)
    placed = tiles["georeferenced"].to_numpy(bool)
    for crs, group in tiles[placed].groupby("crs"):
        a, b, c, d, e, f = np.array(group["affine"].tolist(), float).T[:6, :, None]
        wide = (group["width"] * group["scale"]).to_numpy()[:, None] * np.array([0, 1, 1, 0, 0])
        high = (group["height"] * group["scale"]).to_numpy()[:, None] * np.array([0, 0, 1, 1, 0])
        corners = np.stack([a * wide + b * high + c, d * wide + e * high + f], axis=-1)
        boxes = gpd.GeoSeries(shapely.polygons(corners), crs=crs).to_crs(EQUAL_AREA)
        ground[tiles.index.get_indexer(group.index)] = boxes.to_numpy()
    return ground
