"""Tiles whose boxes are class-agnostic proposals, as many and in the order that is asked for."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from urbanssl.engine.detection_data import TileItems
from urbanssl.errors import TrainingError
from urbanssl.ssl.box_order import draw_order

#: Keeps these draws apart from others of the same seed.
_DRAW = 811


@dataclass(frozen=True)
class Proposals:
    """The proposals of one tile.

    Attributes:
        boxes: `(n, 4)` x1, y1, x2, y2 in tile pixels, by rank.
        levels: `(m,)`, m >= n: the levels at which the first box was found, then the second, ...
        starts: `(n,)` where the levels of each box start.
    """

    boxes: NDArray[np.float32]
    levels: NDArray[np.int16]
    starts: NDArray[np.int64]


class ProposedTiles(TileItems):
    """Items whose boxes are the first `top` proposals of their tile, label 0, for DETReg.

    With `order` random a tile's order is drawn anew each epoch from (seed, epoch, tile id), so it
    is the same whichever worker loads it, also after a resume; with ranked it is the order of the
    ranks in every epoch.
    """

    def __init__(
        self,
        items: Sequence[dict[str, Any]],
        pipeline: Sequence[Mapping[str, Any]],
        seed: int,
        top: int,
        order: Literal["random", "ranked"],
    ) -> None:
        """Take items of `proposal_items`.

        Args:
            items: each with `tile_proposals`.
            pipeline: the transforms of the recipe.
            seed: seed of the training.
            top: boxes taken of each tile.
            order: `random` or `ranked`.
        """
        super().__init__(items, pipeline, ("object",), seed)
        self._top, self._order = top, order

    def instances(self, position: int, tile: int) -> list[dict[str, Any]]:
        """Return the boxes of a tile at a position in the training."""
        item = self.items[tile]
        found: Proposals = item["tile_proposals"]
        taken = np.arange(len(found.boxes))
        if self._order == "random" and len(taken):
            name = zlib.crc32(item["img_path"].encode())
            rng = np.random.default_rng([_DRAW, self.seed, position // len(self), name])
            taken = draw_order(found.levels, rng, found.starts)
        boxes = found.boxes[taken[: self._top]].tolist()
        return [{"bbox": box, "bbox_label": 0, "ignore_flag": 0} for box in boxes]


def proposal_items(
    proposals: Sequence[Path],
    tables: Sequence[Path],
    arrays: Sequence[Path],
    keep: Sequence[NDArray[np.int64]] | None,
) -> list[dict[str, Any]]:
    """Return one item a tile with all its proposals, for `ProposedTiles`.

    Args:
        proposals: proposal tables, one a shard.
        tables: tile tables, one a shard.
        arrays: tile arrays, one a shard.
        keep: for each shard the tiles that are used; None: all.

    Raises:
        TrainingError: no tile has a proposal.
    """
    items: list[dict[str, Any]] = []
    for shard, (proposed, table, array) in enumerate(zip(proposals, tables, arrays, strict=True)):
        names = pq.read_table(table, columns=["tile_id"])["tile_id"].to_pylist()
        found = _by_tile(proposed, names)
        size = int(np.load(array, mmap_mode="r").shape[1])
        items.extend(
            {
                "img_id": len(items) + place,
                "img_path": names[index],
                "height": size,
                "width": size,
                "tile": (str(array), index),
                "tile_proposals": found[index],
            }
            for place, index in enumerate(
                range(len(names)) if keep is None else keep[shard].tolist()
            )
        )
    if not any(len(item["tile_proposals"].boxes) for item in items):
        raise TrainingError.at(
            ", ".join(map(str, proposals)),
            "no tile has a proposal",
            "check `proposals.method` and `proposals.top`",
        )
    return items


def _by_tile(path: Path, names: Sequence[str]) -> list[Proposals]:
    """Return the proposals of each tile of a shard, by rank."""
    columns = ["tile_id", "rank", "x1", "y1", "x2", "y2", "levels"]
    rows = pq.read_table(path, columns=columns)
    tiles = pc.index_in(rows["tile_id"].cast(pa.string()), pa.array(names, pa.string()))
    owner = pc.fill_null(tiles, -1).to_numpy().astype(np.int64)
    order = np.lexsort((rows["rank"].to_numpy(), owner))
    owner, rows = owner[order], rows.take(pa.array(order))
    corners = [rows[name].to_numpy() for name in ("x1", "y1", "x2", "y2")]
    boxes = np.stack(corners, 1).astype(np.float32)
    levels = rows["levels"].combine_chunks()
    flat = levels.flatten().to_numpy().astype(np.int16)
    ends = np.concatenate([[0], np.cumsum(pc.list_value_length(levels).to_numpy())]).astype(int)
    cuts = np.searchsorted(owner, np.arange(len(names) + 1))
    return [
        Proposals(boxes[a:b], flat[ends[a] : ends[b]], ends[a:b] - ends[a])
        for a, b in pairwise(cuts)
    ]
