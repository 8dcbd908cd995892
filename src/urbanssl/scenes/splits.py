"""Train, val and test by spatial block with a buffer: the same place is never in two splits.

Random tiles of one place put neighbours, which look alike, on both sides, and scores come out too
good (Roberts et al. 2017, "Cross-validation strategies for data with temporal, spatial,
hierarchical, or phylogenetic structure", Ecography 40). Whole blocks of ground are held out
instead, and training tiles within a buffer of them are left out.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from urbanssl.artifacts import write_table
from urbanssl.errors import SceneError
from urbanssl.scenes.place import transformer
from urbanssl.settings import SplitSettings

Floats = NDArray[np.float64]

_NEEDED = ["tile_id", "scene", "image", "west", "south", "east", "north", "sha256", "georeferenced"]
#: Scenes nearer than this (degrees) share one UTM zone, so that their blocks agree.
_NEAR_DEGREES = 0.1
#: Tiles that share an edge do not overlap: their boxes are shrunk by this before comparing, metres.
_EDGE = 1e-3


def split_tiles(
    tables: list[Path], splits: SplitSettings, seed: int, output: Path, about: Mapping[str, Any]
) -> None:
    """Assign the tiles of labelled scenes to train, val, test or none, and write the table.

    A georeferenced tile belongs to the block (a square of `splits.block` metres of its UTM zone)
    that its centre lies in; for others the image is the block. Blocks are drawn within each scene
    in an order that depends on the seed and their name alone, so that adding a scene moves few.

    Args:
        tables: tile tables of the labelled scenes.
        splits: sizes and shares.
        seed: of the drawing of blocks.
        output: Parquet to write: `tile_id, scene, block, split`.
        about: provenance; counts are added.

    Raises:
        SceneError: there are no tiles, or none is left for training.
    """
    frames = [pd.read_parquet(path, columns=_NEEDED) for path in tables]
    tiles = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=_NEEDED)
    if tiles.empty:
        raise SceneError.at(
            "splits", "there are no labelled tiles", "give a scene that is labelled"
        )
    place, boxes = _metres(tiles)
    tiles["block"] = _blocks(tiles, place, boxes, splits.block)
    share = draw_blocks(tiles, splits, seed)
    drawn = tiles["block"].map(share).to_numpy(object)
    split = without_neighbours(drawn, place, boxes, splits.buffer)
    near = int((split != drawn).sum())
    split, duplicates = _without_duplicates(split, tiles["sha256"].to_numpy(object))
    tiles["split"] = split
    if not (split == "train").any():
        raise SceneError.at(
            "splits",
            f"no tile of {tiles['block'].nunique()} blocks is left for training "
            f"(buffer {splits.buffer:g} m, block {splits.block:g} m)",
            "lower splits.buffer, val or test, or use larger blocks",
        )
    counts = {
        "tiles": tiles["split"].value_counts().to_dict(),
        "blocks": tiles.groupby("split")["block"].nunique().to_dict(),
        "dropped": {"within the buffer": near, "duplicate of another split": duplicates},
    }
    columns = tiles[["tile_id", "scene", "block", "split"]]
    write_table(output, columns, {**about, "counts": counts})


def _metres(tiles: pd.DataFrame) -> tuple[NDArray[np.object_], Floats]:
    """Return each tile's UTM zone ("" without a georeference) and its box there, (N, 4) metres."""
    zone = np.full(len(tiles), "", dtype=object)
    boxes = np.full((len(tiles), 4), np.nan)
    placed = tiles[tiles["georeferenced"]]
    if placed.empty:
        return zone, boxes
    east = placed["east"].where(placed["east"] >= placed["west"], placed["east"] + 360)
    degrees = np.column_stack([placed["west"], placed["south"], east, placed["north"]])
    for members in _neighbourhoods(placed["scene"].to_numpy(object), degrees):
        west, south, right, north = degrees[members].T
        code = _utm(float(np.median((west + right) / 2)), float(np.median((south + north) / 2)))
        x = np.stack([west, west, right, right], axis=1)
        y = np.stack([south, north, south, north], axis=1)
        x, y = transformer("EPSG:4326", code).transform(x, y)
        rows = placed.index.to_numpy()[members]
        zone[rows] = code
        boxes[rows] = np.stack([x.min(1), y.min(1), x.max(1), y.max(1)], axis=1)
    return zone, boxes


def _neighbourhoods(scene: NDArray[np.object_], degrees: Floats) -> list[NDArray[np.int64]]:
    """Return the tiles of scenes that lie near each other, group by group."""
    names = sorted(set(scene))
    extents = []
    for name in names:
        own = degrees[scene == name]
        low, high = own[:, :2].min(axis=0), own[:, 2:].max(axis=0)
        extents.append(shapely.box(*(low - _NEAR_DEGREES / 2), *(high + _NEAR_DEGREES / 2)))
    pairs = shapely.STRtree(extents).query(extents, predicate="intersects").T
    group = list(range(len(names)))
    for _ in names:  # labels spread along chains of neighbours, at most one step a round
        before = list(group)
        for one, other in pairs.tolist():
            group[one] = min(group[one], group[other])
        if group == before:
            break
    of_scene = dict(zip(names, group, strict=True))
    groups = np.array([of_scene[name] for name in scene])
    return [np.flatnonzero(groups == number) for number in sorted(set(group))]


def _utm(lon: float, lat: float) -> str:
    """Return the EPSG code of a point's UTM zone; polar stereographic near the poles."""
    if not -80 <= lat <= 84:
        return "EPSG:5041" if lat > 0 else "EPSG:5042"
    zone = math.floor((lon + 180) / 6) % 60 + 1
    return f"EPSG:{(32600 if lat >= 0 else 32700) + zone}"


def _blocks(
    tiles: pd.DataFrame, zone: NDArray[np.object_], boxes: Floats, side: float
) -> list[str]:
    columns = np.floor((boxes[:, 0] + boxes[:, 2]) / 2 / side)
    rows = np.floor((boxes[:, 1] + boxes[:, 3]) / 2 / side)
    return [
        f"{place}/{column:.0f}_{row:.0f}" if place else f"{scene}/{image}"
        for place, column, row, scene, image in zip(
            zone, columns, rows, tiles["scene"], tiles["image"], strict=True
        )
    ]


def draw_blocks(tiles: pd.DataFrame, splits: SplitSettings, seed: int) -> dict[str, str]:
    """Return the split of each block.

    The shares are met over all blocks, and as nearly as possible within each scene. With three
    blocks or more each split that has a share gets at least one; with two there is no val.

    Args:
        tiles: with columns `scene` and `block`.
        splits: the shares.
        seed: of the order in which blocks are drawn.
    """
    home = tiles.groupby("block")["scene"].min()
    by_scene: dict[str, list[str]] = {}
    for block, scene in home.items():
        by_scene.setdefault(str(scene), []).append(str(block))
    wanted = _wanted(len(home), splits)
    drawn: dict[str, str] = {}
    for name in ("test", "val"):
        seen = given = 0
        for scene in sorted(by_scene):
            free = [block for block in by_scene[scene] if block not in drawn]
            seen += len(by_scene[scene])
            quota = round(wanted[name] * seen / len(home)) - given
            chosen = sorted(free, key=lambda block: _rank(seed, block))[: max(0, quota)]
            drawn.update(dict.fromkeys(chosen, name))
            given += len(chosen)
    return {str(block): drawn.get(str(block), "train") for block in home.index}


def _wanted(blocks: int, splits: SplitSettings) -> dict[str, int]:
    least = 1 if blocks >= 3 else 0
    test = max(round(splits.test * blocks), least) if splits.test else 0
    val = max(round(splits.val * blocks), least) if splits.val else 0
    if blocks == 2 and splits.test:
        test, val = 1, 0
    if test + val >= blocks:
        test, val = (1, 1) if blocks >= 3 else (min(test, blocks - 1), 0)
    return {"test": test, "val": val}


def _rank(seed: int, block: str) -> str:
    return hashlib.sha256(f"{seed}:{block}".encode()).hexdigest()


def without_neighbours(
    split: NDArray[np.object_], zone: NDArray[np.object_], boxes: Floats, buffer: float
) -> NDArray[np.object_]:
    """Return the splits with `none` for tiles that lie too near to a tile of another split.

    Training tiles give way to val and test, val tiles to test.

    Args:
        split: (N,) names of splits.
        zone: (N,) CRS of each box, "" for tiles without a place.
        boxes: (N, 4) in metres.
        buffer: tiles nearer than this, or overlapping, are too near, metres.
    """
    result = split.copy()
    shrunk = boxes + np.array([_EDGE, _EDGE, -_EDGE, -_EDGE])
    for place in sorted(set(zone) - {""}):
        for held, givers in (("test", ("val", "train")), ("val", ("train",))):
            kept = np.flatnonzero((zone == place) & (result == held))
            moved = np.flatnonzero((zone == place) & np.isin(result, givers))
            if len(kept) and len(moved):
                tree = shapely.STRtree(shapely.box(*shrunk[kept].T))
                near, _ = tree.query(
                    shapely.box(*shrunk[moved].T), predicate="dwithin", distance=buffer
                )
                result[moved[np.unique(near)]] = "none"
    return result


def _without_duplicates(
    split: NDArray[np.object_], sha256: NDArray[np.object_]
) -> tuple[NDArray[np.object_], int]:
    """Return the splits with `none` for tiles whose very pixels are in test, or in val."""
    result = split.copy()
    for held, givers in (("test", ("val", "train")), ("val", ("train",))):
        kept: Sequence[str] = list(set(sha256[result == held]))
        result[np.isin(result, givers) & np.isin(sha256, kept)] = "none"
    return result, int((result != split).sum())
