"""Boxes of scenes put on tiles: COCO files for train, val and test, and boxes for whole scenes.

Category ids count from 1 in the order of the run's classes; label = category id - 1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from affine import Affine
from numpy.typing import NDArray

from urbanssl.artifacts import write_json, write_table
from urbanssl.labels.clip import clip_boxes, map_boxes
from urbanssl.settings import LabelSettings

SPLITS = ("train", "val", "test")

#: Of a box that shows less than this, nothing is said: neither an object nor one to ignore.
LEAST_VISIBLE = 0.05
_SCENE_COLUMNS = ["scene", "image", "class_name", "x1", "y1", "x2", "y2", "ignore", "block"]


@dataclass(frozen=True)
class _OnTile:
    """A tile and the boxes that show on it.

    Attributes:
        tile_id, scene, block, split, shard_index: of the tile.
        size: its side in pixels.
        boxes: all boxes of the scene, column by column.
        rows: which of them show here.
        clipped: (n, 4) in tile pixels.
        share: (n,) of their area that shows.
    """

    tile_id: str
    scene: str
    block: str
    split: str
    shard_index: int
    size: int
    boxes: Mapping[str, NDArray[Any]]
    rows: NDArray[np.int64]
    clipped: NDArray[np.float64]
    share: NDArray[np.float64]


def assemble_coco(
    boxes: list[Path],
    tables: list[Path],
    splits: Path,
    labels: LabelSettings,
    outputs: dict[str, Path],
    scene_boxes: Path,
    about: Mapping[str, Any],
) -> None:
    """Write one COCO file a split, and the test split's boxes in image pixels.

    A box counts on a tile if `labels.min_visible` of its area shows there. One that shows less, is
    marked difficult, or is under a pixel on the tile, is kept as one to ignore (`ignore` and
    `iscrowd` 1); under 5 % it is left out. Every tile of a split is an image, objects or not.

    Args:
        boxes: `convert_labels`' tables, one a scene.
        tables: tile tables in the same order of scenes.
        splits: the table of `split_tiles`.
        labels: classes and the visible share.
        outputs: JSON to write for each of train, val, test.
        scene_boxes: Parquet to write: boxes that count on some tile of the test split; those that
            only touch such tiles have `ignore` set; `block` is that of the tile that shows most.
        about: provenance.
    """
    found = [
        shown
        for scene, table in zip(boxes, tables, strict=True)
        for shown in _shown(pd.read_parquet(scene), _tiles(table, splits))
    ]
    for split in SPLITS:
        on_split = [shown for shown in found if shown.split == split]
        write_json(outputs[split], _coco(on_split, labels, about))
    on_test = [shown for shown in found if shown.split == "test"]
    write_table(scene_boxes, _scene_boxes(on_test, labels.min_visible), about)


def _tiles(table: Path, splits: Path) -> pd.DataFrame:
    tiles = pd.read_parquet(table, columns=["tile_id", "scene", "image", "width", "to_image"])
    tiles["shard_index"] = np.arange(len(tiles))
    drawn = pd.read_parquet(splits, columns=["tile_id", "block", "split"])
    return tiles.merge(drawn, on="tile_id", how="inner", validate="one_to_one")


def _shown(table: pd.DataFrame, tiles: pd.DataFrame) -> Iterator[_OnTile]:
    """Yield each tile with the boxes that show on it, in tile pixels."""
    boxes = {name: table[name].to_numpy() for name in table.columns}
    corners = table[["x1", "y1", "x2", "y2"]].to_numpy(float)
    of_image = table.groupby("image").indices
    for tile in tiles.itertuples(index=False):
        own = np.asarray(of_image.get(tile.image, ()), np.int64)
        to_image = Affine(*tile.to_image)
        size = round(tile.width / (abs(to_image.a) + abs(to_image.b)))
        moved = map_boxes(corners[own], tuple(~to_image)[:6])
        clipped, share = clip_boxes(moved, size, size)
        seen = share > 0
        yield _OnTile(
            tile.tile_id,
            tile.scene,
            tile.block,
            tile.split,
            int(tile.shard_index),
            size,
            boxes,
            own[seen],
            clipped[seen],
            share[seen],
        )


def _coco(found: list[_OnTile], labels: LabelSettings, about: Mapping[str, Any]) -> dict[str, Any]:
    ids = {name: number for number, name in enumerate(labels.classes, 1)}
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    counts: Counter[str] = Counter()
    for number, tile in enumerate(found, 1):
        images.append(
            {
                "id": number,
                "file_name": tile.tile_id,
                "width": tile.size,
                "height": tile.size,
                "scene": tile.scene,
                "shard_index": tile.shard_index,
                "block": tile.block,
            }
        )
        for row, box, share in zip(tile.rows, tile.clipped.tolist(), tile.share, strict=True):
            difficult = bool(tile.boxes["difficult"][row])
            reason = _reason_to_ignore(difficult, box, share, labels.min_visible)
            counts[reason or "kept"] += 1
            if share > LEAST_VISIBLE:
                annotation = {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": ids[tile.boxes["class_name"][row]],
                    "source": tile.boxes["source"][row],
                    "visible": round(float(share), 4),
                }
                annotations.append({**annotation, **_geometry(box), **_flags(bool(reason))})
    return {
        "info": {**about, "counts": dict(counts)},
        "images": images,
        "annotations": annotations,
        "categories": [{"id": number, "name": name} for name, number in ids.items()],
    }


def _reason_to_ignore(
    difficult: bool, box: list[float], share: float, min_visible: float
) -> str | None:
    x1, y1, x2, y2 = box
    if share <= LEAST_VISIBLE:
        return f"left out: at most {LEAST_VISIBLE:.0%} visible"
    if share < min_visible:
        return "ignored: cut by the tile's edge"
    if difficult:
        return "ignored: difficult"
    return "ignored: under a pixel" if x2 - x1 < 1 or y2 - y1 < 1 else None


def _geometry(box: list[float]) -> dict[str, Any]:
    x1, y1, x2, y2 = box
    width, height = x2 - x1, y2 - y1
    sides = [round(side, 3) for side in (x1, y1, width, height)]
    return {"bbox": sides, "area": round(width * height, 3)}


def _flags(ignored: bool) -> dict[str, int]:
    return {"iscrowd": int(ignored), "ignore": int(ignored)}


def _scene_boxes(found: list[_OnTile], min_visible: float) -> pd.DataFrame:
    """Return the boxes that show on tiles, each once, with the tile that shows most of it."""
    best: dict[tuple[str, int], tuple[float, _OnTile]] = {}
    for tile in found:
        for row, share in zip(tile.rows.tolist(), tile.share.tolist(), strict=True):
            key = (tile.scene, row)
            if key not in best or share > best[key][0]:
                best[key] = (share, tile)
    rows = []
    for (scene, row), (share, tile) in sorted(best.items(), key=lambda item: item[0]):
        box = {name: values[row] for name, values in tile.boxes.items()}
        box["ignore"] = bool(box["difficult"]) or share < min_visible
        rows.append({**box, "scene": scene, "block": tile.block})
    floats = dict.fromkeys(("x1", "y1", "x2", "y2"), "float64")
    return pd.DataFrame(rows, columns=_SCENE_COLUMNS).astype({**floats, "ignore": "bool"})
