"""Class-agnostic boxes of a table, put on tiles: footprints, or what another detector found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from affine import Affine
from numpy.typing import NDArray

from urbanssl.errors import LabelError, Problem
from urbanssl.labels.clip import clip_boxes, map_boxes
from urbanssl.ssl.selective_search import Regions

#: A box counts on a tile if this share of its area shows there.
_VISIBLE = 0.5
#: Shortest side of a box on a tile, in tile pixels.
_SHORTEST = 2.0
_CORNERS = ["x1", "y1", "x2", "y2"]


def boxes_from_file(path: Path, table: Path, size: int) -> dict[str, Regions]:
    """Return the boxes of each tile of a scene, levels rising with the score.

    Merged boxes of `merge_scene` can be given as they are.

    Args:
        path: Parquet or CSV with `scene, image, x1, y1, x2, y2` (image pixels) and maybe `score`;
            without it all levels are 1.
        table: the scene's tile table.
        size: side of a tile in pixels.

    Raises:
        LabelError: a column is missing, or corners are no numbers; lists everything at once.
    """
    rows = _read(path)
    tiles = pq.read_table(table, columns=["tile_id", "scene", "image", "to_image"]).to_pandas()
    corners = rows[_CORNERS].to_numpy(float)
    level = rows["score"].to_numpy(float) if "score" in rows else np.ones(len(rows))
    places = rows.groupby([rows["scene"].astype(str), rows["image"].astype(str)]).indices
    found = {}
    for tile in tiles.itertuples(index=False):
        own = np.asarray(places.get((tile.scene, tile.image), ()), np.int64)
        found[tile.tile_id] = _on_tile(corners[own], level[own], tile.to_image, size)
    return found


def _read(path: Path) -> pd.DataFrame:
    rows = pd.read_csv(path) if path.suffix.lower() == ".csv" else pd.read_parquet(path)
    needed = ["scene", "image", *_CORNERS]
    problems = [
        Problem(f"{path} column `{name}`", "missing", f"give the columns {', '.join(needed)}")
        for name in needed
        if name not in rows
    ]
    numbers = [name for name in (*_CORNERS, "score") if name in rows]
    for name in numbers:
        read = pd.to_numeric(rows[name], errors="coerce")
        if read.isna().any():
            line = int(np.flatnonzero(read.isna())[0])
            what = f"{rows[name].iloc[line]!r} in row {line + 1} is no number"
            problems.append(Problem(f"{path} column `{name}`", what, "give pixels of the image"))
        rows[name] = read
    if problems:
        raise LabelError.listing(problems, "the boxes of `proposals.file` cannot be used")
    return rows


def _on_tile(
    corners: NDArray[np.float64], level: NDArray[np.float64], to_image: list[float], size: int
) -> Regions:
    moved = map_boxes(corners, tuple(~Affine(*to_image))[:6])
    clipped, share = clip_boxes(moved, size, size)
    wide_enough = (clipped[:, 2:] - clipped[:, :2]).min(1, initial=np.inf) >= _SHORTEST
    kept = (share >= _VISIBLE) & wide_enough
    # Levels count the boxes of the tile: from 1, the best one last.
    levels = np.unique(level[kept], return_inverse=True)[1] + 1
    return Regions(
        clipped[kept].astype(np.float32), levels.astype(np.float32), np.arange(int(kept.sum()))
    )
