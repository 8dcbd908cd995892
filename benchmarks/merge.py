"""Merging the boxes of a whole scene: seconds and peak memory, in a process of its own.

    python benchmarks/merge.py                       # 40,000 x 40,000 pixels
    python benchmarks/merge.py --side 10000 --boxes 20 --merge fusion

Makes a tile table and detections of a scene that is never drawn: objects all over it, found by
every tile that shows a fifth of them, cut where tiles end, moved by a pixel or two; `--boxes` of
them a tile on average. Then runs `merge_scene` as the workflow does, GeoParquet and GeoPackage
included, and says whether each object came back as one box. Memory is the peak of the process that
merges (VmHWM); making the input is not in it.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from urbanssl.classes import CLASSES
from urbanssl.detect.merge import merge_scene
from urbanssl.scenes.grid import offsets
from urbanssl.settings import PredictSettings

GSD = 0.3


def write_inputs(folder: Path, options: argparse.Namespace):
    """Write survey, tile table and tile boxes; return the number of objects."""
    size = options.size
    places = np.array(offsets(options.side, size, options.overlap), float)
    y, x = (grid.ravel() for grid in np.meshgrid(places, places, indexing="ij"))
    names = [f"s/i/{row}" for row in range(len(x))]
    survey = {
        "scene": "s", "image": "i", "width": options.side, "height": options.side,
        "crs": "EPSG:32616", "affine": [GSD, 0.0, 5e5, 0.0, -GSD, 3.6e6], "gsd_x": GSD,
        "gsd_y": GSD, "georeferenced": True,
    }  # fmt: skip
    pd.DataFrame([survey]).to_parquet(folder / "survey.parquet")
    tiles = {"tile_id": names, "scene": "s", "image": "i", "x_off": x, "y_off": y}
    tiles |= {"width": float(size), "height": float(size)}
    frame = pd.DataFrame(tiles)
    frame["to_image"] = [[1.0, 0.0, left, 0.0, 1.0, top] for left, top in zip(x, y, strict=True)]
    frame.to_parquet(folder / "tiles.parquet")
    objects, labels = drawn_objects(options, len(x))
    found = [seen(objects, places, size, dx, dy) for dx in (0, 1) for dy in (0, 1)]
    owner, tile, boxes = (np.concatenate(part) for part in zip(*found, strict=True))
    random = np.random.default_rng(1)
    boxes += random.normal(0, 0.5, boxes.shape)
    order = np.argsort(tile, kind="stable")
    columns = {
        "tile_id": pa.DictionaryArray.from_arrays(pa.array(tile[order], pa.int32()), names),
        "class_name": pa.DictionaryArray.from_arrays(
            pa.array(labels[owner[order]], pa.int32()), list(CLASSES)
        ),
        "score": pa.array(random.uniform(0.05, 1, len(order)), pa.float32()),
    }
    columns |= {
        name: pa.array(boxes[order, c], pa.float32())
        for c, name in enumerate(("x1", "y1", "x2", "y2"))
    }
    pq.write_table(pa.table(columns), folder / "boxes.parquet")
    return len(objects), len(order)


def drawn_objects(options: argparse.Namespace, tiles: int):
    """Draw objects in cells of their own, so that none is another's duplicate."""
    random = np.random.default_rng(0)
    step = options.size - options.overlap
    wanted = options.boxes * tiles * (step / options.size) ** 2
    cells = int(np.sqrt(wanted))
    cell = options.side / cells
    y, x = (grid.ravel() * cell for grid in np.meshgrid(np.arange(cells), np.arange(cells)))
    sides = random.uniform(0.3, 0.8, (cells**2, 2)) * min(cell, options.overlap)
    start = np.stack([x, y], 1) + random.uniform(0.05, 0.15, (cells**2, 2)) * cell
    return np.hstack([start, start + sides]), random.integers(0, len(CLASSES), cells**2)


def seen(objects, places, size, dx, dy):
    """Objects, tiles and boxes of the tiles `dx`, `dy` before the last that an object begins in."""
    column = np.searchsorted(places, objects[:, 0], "right") - 1 - dx
    row = np.searchsorted(places, objects[:, 1], "right") - 1 - dy
    known = np.flatnonzero((column >= 0) & (row >= 0))
    corner = np.stack([places[column[known]], places[row[known]]], 1)
    local = objects[known] - np.tile(corner, 2)
    clipped = np.clip(local, 0, size)
    area = [(box[:, 2:] - box[:, :2]).prod(1) for box in (clipped, local)]
    shown = area[0] > 0.2 * area[1]
    return known[shown], (row[known] * len(places) + column[known])[shown], clipped[shown]


def merge(folder: Path, options: argparse.Namespace):
    """Merge, and print seconds, peak memory in MB and the number of boxes that are left."""
    start = time.perf_counter()
    merge_scene(
        folder / "boxes.parquet", folder / "tiles.parquet", folder / "survey.parquet", "arm",
        PredictSettings(merge=options.merge), folder / "merged.parquet", folder / "merged.gpkg", {},
    )  # fmt: skip
    seconds = time.perf_counter() - start
    peak = int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 1024
    print(seconds, peak, pq.read_metadata(folder / "merged.parquet").num_rows)


def main():
    """Write the inputs, merge in a process of its own, report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--side", type=int, default=40_000, help="pixels of the scene's side")
    parser.add_argument("--size", type=int, default=256, help="side of a tile in pixels")
    parser.add_argument("--overlap", type=int, default=64, help="pixels shared by neighbours")
    parser.add_argument("--boxes", type=float, default=20.0, help="boxes a tile")
    parser.add_argument("--merge", default="nms", choices=["nms", "fusion"])
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.folder:
        merge(options.folder, options)
        return
    with tempfile.TemporaryDirectory() as folder:
        objects, boxes = write_inputs(Path(folder), options)
        command = [sys.executable, __file__, "--folder", folder, "--merge", options.merge]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        seconds, peak, left = (float(word) for word in done.stdout.split())
        print(
            f"{options.side} x {options.side} px, tiles of {options.size} with {options.overlap} "
            f"overlap: {boxes:,} boxes of {objects:,} objects -> {left:,.0f} ({options.merge})"
        )
        print(f"{seconds:.1f} s, {peak:.0f} MB peak")


if __name__ == "__main__":
    main()
