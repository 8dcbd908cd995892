"""Class-agnostic boxes of tiles, the targets of DETReg: searched once, ordered anew at will."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from urbanssl.artifacts import written_whole
from urbanssl.errors import SceneError
from urbanssl.opencv import one_opencv_thread
from urbanssl.settings_training import ProposalSettings
from urbanssl.ssl.box_order import draw_order
from urbanssl.ssl.boxes_from_file import boxes_from_file
from urbanssl.ssl.selective_search import Regions, ranked_order, search

#: Tiles searched between two writes.
CHUNK = 512
RANDOM_BOXES = 300
#: Shortest side of a random box, as a share of the tile's.
SMALLEST = 0.05
GRID_SIZES = (1 / 8, 1 / 4, 1 / 2)
GRID_ASPECTS = (0.5, 1.0, 2.0)

_SCHEMA = pa.schema(
    [
        ("tile_id", pa.dictionary(pa.int32(), pa.string())),
        ("rank", pa.int32()),
        ("level", pa.float32()),
        *((key, pa.float32()) for key in ("x1", "y1", "x2", "y2")),
        ("levels", pa.list_(pa.int16())),
    ]
)


def propose_boxes(
    array: Path,
    table: Path,
    proposals: ProposalSettings,
    seed: int,
    output: Path,
    about: Mapping[str, Any],
    threads: int = 1,
) -> None:
    """Write the boxes of every tile of a shard, memory bounded.

    All boxes of a tile are written (Selective Search: about 150), not only the `top` that training
    takes, so that an order can be drawn anew each epoch from the column `levels` (`draw_order`).

    Args:
        array: `(N, S, S, 3)` uint8 shard.
        table: its tile table.
        proposals: method, size of the search, order of `rank`.
        seed: seed of the order (and of random boxes); a tile's draw depends on its name alone.
        output: table `tile_id, rank, level, x1, y1, x2, y2, levels`: tiles in the order of the
            shard, ranks ascending from 0, boxes in tile pixels, `levels` all levels at which the
            box was found, `level` the highest.
        about: provenance.
        threads: threads that search; the result does not depend on them.

    Raises:
        SceneError: shard and table do not have the same number of tiles.
        LabelError: the file of boxes cannot be used.
    """
    tiles = np.load(array, mmap_mode="r")
    names = pd.read_parquet(table, columns=["tile_id"])["tile_id"].to_numpy()
    if len(tiles) != len(names):
        raise SceneError.at(
            array, f"{len(tiles)} tiles, but {table} has {len(names)} rows", "cut the scene again"
        )
    given = {}
    if proposals.file is not None:
        path = Path(os.path.expandvars(proposals.file))
        given = boxes_from_file(path, table, tiles.shape[1])
    work = partial(_ordered, proposals=proposals, seed=seed, given=given)
    schema = _SCHEMA.with_metadata({b"urbanssl": json.dumps(dict(about)).encode()})
    with (
        one_opencv_thread(),
        ThreadPoolExecutor(max(1, threads)) as pool,
        written_whole(output) as temporary,
        pq.ParquetWriter(temporary, schema) as writer,
    ):
        for start in range(0, len(tiles), CHUNK):
            part = slice(start, start + CHUNK)
            writer.write_table(_rows(names[part], list(pool.map(work, names[part], tiles[part]))))


def _ordered(
    name: str,
    tile: NDArray[np.uint8],
    proposals: ProposalSettings,
    seed: int,
    given: Mapping[str, Regions],
) -> tuple[Regions, NDArray[np.int64]]:
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    if proposals.method == "selective_search":
        regions = search(tile, proposals.size)
    elif proposals.method == "random":
        regions = random_boxes(tile, rng)
    elif proposals.method == "file":
        regions = given[name]
    else:
        regions = grid_boxes(tile)
    if proposals.order == "ranked":
        return regions, ranked_order(regions)
    return regions, draw_order(regions.levels, rng, regions.starts)


def _rows(names: NDArray[Any], found: list[tuple[Regions, NDArray[np.int64]]]) -> pa.Table:
    counts = [len(order) for _, order in found]
    boxes = np.concatenate([regions.boxes[order] for regions, order in found])
    highest = np.concatenate([regions.highest[order] for regions, order in found])
    ranks = np.concatenate([np.arange(count) for count in counts])
    levels: list[NDArray[np.float32]] = []
    for regions, order in found:
        lists = np.split(regions.levels, regions.starts[1:])
        levels.extend(lists[box] for box in order)
    offsets = np.concatenate([[0], np.cumsum([len(each) for each in levels])])
    columns = [
        pa.DictionaryArray.from_arrays(
            pa.array(np.repeat(np.arange(len(names)), counts), pa.int32()),
            pa.array(list(names), pa.string()),
        ),
        pa.array(ranks, pa.int32()),
        pa.array(highest, pa.float32()),
        *(pa.array(boxes[:, c]) for c in range(4)),
        pa.ListArray.from_arrays(
            pa.array(offsets, pa.int32()),
            pa.array(np.concatenate([*levels, np.empty(0)]).astype(np.int16)),
        ),
    ]
    return pa.Table.from_arrays(columns, schema=_SCHEMA)


def random_boxes(tile: NDArray[np.uint8], rng: np.random.Generator) -> Regions:
    """Draw 300 boxes of level 1, sides spread evenly over the logarithm: an ablation.

    Args:
        tile: `(H, W, 3)`, only its shape is used.
        rng: source of randomness.
    """
    height, width = tile.shape[:2]
    sides = np.exp(rng.uniform(np.log(SMALLEST), 0.0, (RANDOM_BOXES, 2)))
    start = rng.random((RANDOM_BOXES, 2)) * (1 - sides)
    boxes = np.hstack([start, start + sides]) * [width, height, width, height]
    return _one_level_each(boxes, np.ones(RANDOM_BOXES))


def grid_boxes(tile: NDArray[np.uint8]) -> Regions:
    """Return a dense grid of boxes of three sizes (levels 1 to 3) and three aspects: an ablation.

    Boxes lie half a box apart; none reaches over the tile's edge.

    Args:
        tile: `(H, W, 3)`, only its shape is used.
    """
    height, width = tile.shape[:2]
    cells = np.array(list(_grid()))
    return _one_level_each(cells[:, :4] * [width, height, width, height], cells[:, 4])


def _one_level_each(boxes: NDArray[np.float64], levels: NDArray[np.float64]) -> Regions:
    return Regions(boxes.astype(np.float32), levels.astype(np.float32), np.arange(len(levels)))


def _grid() -> Iterator[tuple[float, float, float, float, float]]:
    for level, side in enumerate(GRID_SIZES, 1):
        for aspect in GRID_ASPECTS:
            wide, high = side * aspect**0.5, side / aspect**0.5
            for y in np.arange(0, 1 - high + 1e-9, high / 2):
                for x in np.arange(0, 1 - wide + 1e-9, wide / 2):
                    yield x, y, x + wide, y + high, float(level)
