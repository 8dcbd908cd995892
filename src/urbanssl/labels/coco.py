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

from urbanssl.artifacts import write_json, write_table
from urbanssl.labels.clip import clip_boxes, map_boxes
from urbanssl.settings import LabelSettings

SPLITS = ("train", "val", "test")

#: Of a box that shows less than this, nothing is said: neither an object nor one to ignore.
LEAST_VISIBLE = 0.05
_SCENE_COLUMNS = ["scene", "image", "class_name", "x1", "y1", "x2", "y2", "ignore", "block"]


@dataclass(frozen=True)
class _OnTile:
    """The boxes that show on one tile."""

    tile: Any  # a row of the tile table, with `block`, `split`, `shard_index`, `size`
    boxes: pd.DataFrame
    clipped: np.ndarray
    share: np.ndarray


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
        for scene_boxes_path, table in zip(boxes, tables, strict=True)
        for shown in _shown(pd.read_parquet(scene_boxes_path), _tiles(table, splits))
    ]
    for split in SPLITS:
        on_split = [shown for shown in found if shown.tile.split == split]
        write_json(outputs[split], _coco(on_split, labels, about))
    on_test = [shown for shown in found if shown.tile.split == "test"]
    write_table(scene_boxes, _scene_boxes(on_test, labels.min_visible), about)


def _tiles(table: Path, splits: Path) -> pd.DataFrame:
    tiles = pd.read_parquet(
        table, columns=["tile_id", "scene", "image", "x_off", "y_off", "width", "to_image"]
    )
    tiles["shard_index"] = np.arange(len(tiles))
    drawn = pd.read_parquet(splits, columns=["tile_id", "block", "split"])
    return tiles.merge(drawn, on="tile_id", how="inner", validate="one_to_one")


def _shown(boxes: pd.DataFrame, tiles: pd.DataFrame) -> Iterator[_OnTile]:
    """Yield each tile with the boxes that show on it, in tile pixels."""
    by_image = dict(tuple(boxes.groupby("image")))
    none = boxes.iloc[:0]
    for tile in tiles.itertuples(index=False):
        own = by_image.get(tile.image, none)
        to_image = Affine(*tile.to_image)
        size = round(tile.width / (abs(to_image.a) + abs(to_image.b)))
        corners = own[["x1", "y1", "x2", "y2"]].to_numpy(float)
        moved = map_boxes(corners, tuple(~to_image)[:6])
        clipped, share = clip_boxes(moved, size, size)
        seen = share > 0
        yield _OnTile(_Tile(tile, size), own[seen], clipped[seen], share[seen])


class _Tile:
    """A tile's row with its size."""

    def __init__(self, row: Any, size: int) -> None:
        self.tile_id, self.scene, self.shard_index = row.tile_id, row.scene, int(row.shard_index)
        self.block, self.split, self.size = row.block, row.split, size


def _coco(found: list[_OnTile], labels: LabelSettings, about: Mapping[str, Any]) -> dict[str, Any]:
    ids = {name: number for number, name in enumerate(labels.classes, 1)}
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    counts: Counter[str] = Counter()
    for number, shown in enumerate(found, 1):
        tile = shown.tile
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
        for row, box, share in zip(
            shown.boxes.itertuples(index=False),
            shown.clipped.tolist(),
            shown.share.tolist(),
            strict=True,
        ):
            reason = _reason_to_ignore(row.difficult, box, share, labels.min_visible)
            counts[reason or "kept"] += 1
            if share > LEAST_VISIBLE:
                annotations.append(
                    _annotation(
                        len(annotations) + 1,
                        number,
                        ids[row.class_name],
                        box,
                        share,
                        bool(reason),
                        row.source,
                    )
                )
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


def _annotation(
    number: int,
    image: int,
    category: int,
    box: list[float],
    share: float,
    ignored: bool,
    source: str,
) -> dict[str, Any]:
    x1, y1, x2, y2 = (round(side, 3) for side in box)
    return {
        "id": number,
        "image_id": image,
        "category_id": category,
        "bbox": [x1, y1, round(x2 - x1, 3), round(y2 - y1, 3)],
        "area": round((x2 - x1) * (y2 - y1), 3),
        "iscrowd": int(ignored),
        "ignore": int(ignored),
        "visible": round(share, 4),
        "source": source,
    }


def _scene_boxes(found: list[_OnTile], min_visible: float) -> pd.DataFrame:
    parts = [
        shown.boxes.assign(scene=shown.tile.scene, block=shown.tile.block, share=shown.share)
        for shown in found
        if len(shown.boxes)
    ]
    if not parts:
        return pd.DataFrame(columns=_SCENE_COLUMNS)
    every = pd.concat(parts).reset_index(names="box")
    best = every.sort_values("share", ascending=False, kind="stable")
    best = best.drop_duplicates(["scene", "box"]).sort_values(["scene", "box"])
    best["ignore"] = best["difficult"] | (best["share"] < min_visible)
    return best[_SCENE_COLUMNS].reset_index(drop=True)
