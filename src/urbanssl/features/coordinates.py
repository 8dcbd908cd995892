"""Where a tile is: the baseline that knows the place and nothing else."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

COLUMNS = ["lon", "lat"]


def coordinates(table: pd.DataFrame) -> NDArray[np.float32]:
    """Return (N, 2) longitude and latitude of tile centres in degrees.

    Tiles without a georeference have no place: not a number.

    Args:
        table: `west, south, east, north, georeferenced` of `tiles.parquet`.
    """
    centre = np.column_stack(
        [(table["west"] + table["east"]) / 2, (table["south"] + table["north"]) / 2]
    )
    return np.where(table["georeferenced"].to_numpy(bool)[:, None], centre, np.nan).astype(
        np.float32
    )
