"""Objects that the detector found in a tile, per square kilometre and class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from urbanssl.errors import SceneError
from urbanssl.features.calibrate import Calibration
from urbanssl.features.footprints import footprints


def object_density(
    boxes: pd.DataFrame,
    tile_ids: Sequence[str],
    square_km: NDArray,
    classes: Sequence[str],
    calibration: Calibration,
) -> NDArray[np.float32]:
    """Return (N, C) expected objects per square kilometre of each tile.

    A box counts with the chance that it is real, so no threshold has to be chosen. Overlapping
    tiles each give a density, which pooling averages: nothing is counted twice.

    Args:
        boxes: `tile_id, class_name, score`.
        tile_ids: N tiles, in the order of the result.
        square_km: (N,) ground of each tile.
        classes: C names.
        calibration: from scores to chances.
    """
    row = pd.Index(tile_ids).get_indexer(boxes["tile_id"])
    column = pd.Index(list(classes)).get_indexer(boxes["class_name"])
    known = (row >= 0) & (column >= 0)
    counts = np.zeros((len(tile_ids), len(classes)))
    kept = boxes[known]
    chance = calibration.chance(kept["score"].to_numpy(float), kept["class_name"].tolist())
    np.add.at(counts, (row[known], column[known]), chance)
    return (counts / square_km[:, None]).astype(np.float32)


def objects_of_scene(
    boxes: Path, calibration: Path, table: pd.DataFrame, classes: Sequence[str]
) -> NDArray[np.float32]:
    """Return `object_density` of a scene's tiles.

    Args:
        boxes: predicted boxes of the scene's tiles, Parquet.
        calibration: see `calibrate_scores`.
        table: rows of `tiles.parquet`.
        classes: names, in the order of the columns.

    Raises:
        SceneError: tiles without a georeference, whose size on the ground is unknown.
    """
    if not table["georeferenced"].all():
        raise SceneError.at(
            table["scene"].iloc[0],
            "has tiles without a georeference, so objects per square kilometre are unknown",
            "georeference the scene, or leave `objects` out of features.sets",
        )
    ground = shapely.area(footprints(table)) / 1e6
    found = pd.read_parquet(boxes, columns=["tile_id", "class_name", "score"])
    known = Calibration.read(calibration)
    return object_density(found, table["tile_id"].tolist(), ground, classes, known)
