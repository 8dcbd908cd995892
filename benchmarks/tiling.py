"""Speed and memory of tiling beside plain block-aligned reading of the same file.

    python benchmarks/tiling.py                      # 20,000 x 20,000 pixels
    taskset -c 0 python benchmarks/tiling.py --side 8000 --compress none

Draws a GeoTIFF, then measures in one run, each in a process of its own and in an order that turns
round every time: `read` reads every block once and drops it; `read_rows` reads a row of blocks at a
time, so that GDAL may decode them in as many threads as `tile` has; `tile` cuts the file into a
shard with its table. The ratio is read time / tile time: 1 would be tiling at the speed of reading.
Libraries are loaded before the clock starts, but for those that tiling loads itself. Two tools
of GDAL join where they are installed (Debian: gdal-bin, python3-gdal; no dependency of ours), each
with one process, as `tile` has: `gdal_retile.py` writes a GeoTIFF a tile, `gdal2tiles.py` a PNG a
tile, at the zoom level of the file's own pixels alone. Seconds of processor time stand beside those
of the clock, since they say more on a machine that is shared.
"""

import argparse
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine

from urbanssl.scenes.catalogue import survey_scene
from urbanssl.scenes.raster import opened
from urbanssl.scenes.scene import Scene
from urbanssl.scenes.tiling import tile_scene
from urbanssl.settings import TileSettings


def draw(path: Path, side: int, block: int, compress: str):
    """Write noisy fields: they compress about as well as imagery."""
    random = np.random.default_rng(0)
    profile = {
        "driver": "GTiff", "width": side, "height": side, "count": 3, "dtype": "uint8",
        "tiled": True, "blockxsize": block, "blockysize": block, "interleave": "pixel",
        "crs": "EPSG:32616", "transform": Affine(0.3, 0, 5e5, 0, -0.3, 3.6e6),
        "compress": compress, "BIGTIFF": "IF_SAFER",
    }  # fmt: skip
    if compress == "jpeg":
        profile["photometric"] = "YCBCR"
    noise = random.normal(0, 6, (3, block, side + 4096))
    with rasterio.open(path, "w", NUM_THREADS="ALL_CPUS", **profile) as dataset:
        for top in range(0, side, block):
            rows = min(block, side - top)
            coarse = random.integers(60, 200, (3, rows // 64 + 1, side // 64 + 1))
            fields = coarse.repeat(64, axis=1)[:, :rows].repeat(64, axis=2)[:, :, :side]
            shift = random.integers(0, 4096)
            pixels = fields + noise[:, :rows, shift : shift + side]
            pixels = pixels.clip(1, 255).astype(np.uint8)
            dataset.write(pixels, window=((top, top + rows), (0, side)))


def read(path: Path, _: argparse.Namespace):
    """Read every block of the file once and drop it."""
    with rasterio.open(path) as dataset:
        for _, window in dataset.block_windows(1):
            dataset.read(window=window)


def read_rows(path: Path, _: argparse.Namespace):
    """Read the file by whole rows of blocks, decoded by a thread a core as tiling does."""
    with opened(path) as dataset:
        block = dataset.block_shapes[0][0]
        for top in range(0, dataset.height, block):
            rows = min(block, dataset.height - top)
            dataset.read(window=((top, top + rows), (0, dataset.width)))


def tile(path: Path, options: argparse.Namespace):
    """Cut the file into a shard with its table."""
    folder = path.parent / "shard"
    tiles = TileSettings(size=options.size, overlap=options.overlap)
    outputs = [folder / name for name in ("tiles.npy", "tiles.parquet")]
    scene = Scene("x", (path,), frozenset({"unlabelled"}))
    tile_scene(scene, path.parent / "survey.parquet", None, tiles, *outputs, {})


def retile(path: Path, options: argparse.Namespace):
    """Cut the file into one GeoTIFF a tile by GDAL's own script."""
    folder = path.parent / "retile"
    folder.mkdir(exist_ok=True)
    size, overlap = str(options.size), str(options.overlap)
    command = ["gdal_retile.py", "-q", "-ps", size, size, "-overlap", overlap]
    subprocess.run([*command, "-targetDir", str(folder), str(path)], check=True)


def gdal2tiles(path: Path, options: argparse.Namespace):
    """Cut the file into one PNG a tile by GDAL's own script, at its own resolution alone."""
    with rasterio.open(path) as dataset:
        zoom = math.ceil(math.log2(max(dataset.shape) / options.size))
    command = ["gdal2tiles.py", "-q", "-p", "raster", "-z", str(zoom), "-w", "none", "-r", "near"]
    command += [f"--tilesize={options.size}", "--processes=1"]
    subprocess.run([*command, str(path), str(path.parent / "gdal2tiles")], check=True)


TASKS = {
    "read": read,
    "read_rows": read_rows,
    "tile": tile,
    "retile": retile,
    "gdal2tiles": gdal2tiles,
}
#: What a task needs on the path.
NEEDS = {"retile": "gdal_retile.py", "gdal2tiles": "gdal2tiles.py"}
Figures = tuple[float, float, float]


def peak_mb() -> float:
    """Return the peak memory of this process alone (`ru_maxrss` would count the parent's too)."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def measure(name: str, path: Path, options: argparse.Namespace) -> Figures:
    """Run a task in a process of its own; return seconds, those of CPU, and peak memory in MB."""
    command = [sys.executable, __file__, "--task", name, "--file", str(path)]
    command += ["--size", str(options.size), "--overlap", str(options.overlap)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds, busy, peak = done.stdout.split()
    for written in ("shard", "retile", "gdal2tiles"):
        shutil.rmtree(path.parent / written, ignore_errors=True)
    return float(seconds), float(busy), float(peak)


def main():
    """Draw, measure and report; with --task, be one of the measured processes."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--side", type=int, default=20_000, help="pixels of the file's side")
    parser.add_argument("--block", type=int, default=512, help="side of its blocks")
    parser.add_argument("--compress", default="deflate", help="deflate, lzw, jpeg, none")
    parser.add_argument("--size", type=int, default=256, help="side of a tile")
    parser.add_argument("--overlap", type=int, default=0, help="pixels shared by neighbours")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument(
        "--tasks", nargs="+", default=list(TASKS), choices=TASKS, help="beside read"
    )
    parser.add_argument("--folder", type=Path, default=None, help="where to write (temporary)")
    parser.add_argument("--task", choices=TASKS, help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.task:
        start, before = time.perf_counter(), sum(os.times()[:4])
        TASKS[options.task](options.file, options)
        print(time.perf_counter() - start, sum(os.times()[:4]) - before, peak_mb())
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        path = Path(folder) / "scene.tif"
        draw(path, options.side, options.block, options.compress)
        scene = Scene("x", (path,), frozenset({"unlabelled"}))
        tiles = TileSettings(size=options.size, overlap=options.overlap)
        survey_scene(scene, tiles, path.parent / "survey.parquet", {})
        asked = [name for name in TASKS if name in ("read", *options.tasks)]
        names = [name for name in asked if name not in NEEDS or shutil.which(NEEDS[name])]
        results: dict[str, list[Figures]] = {name: [] for name in names}
        for turn in range(options.repeat):
            for name in names[:: -1 if turn % 2 else 1]:
                results[name].append(measure(name, path, options))
        report(results, options, path.stat().st_size)


def report(results: dict[str, list[Figures]], options: argparse.Namespace, size: int):
    """Print the best time of each task, its speed and its share of the speed of reading."""
    pixels = options.side**2
    print(f"{options.side} x {options.side} x 3, {options.compress}, {size / 1e6:.0f} MB")
    best = {name: [min(kind) for kind in zip(*runs, strict=True)] for name, runs in results.items()}
    for name, (seconds, busy, _) in best.items():
        print(
            f"{name:10} {seconds:7.2f} s ({busy:.2f} s CPU) {pixels / seconds / 1e6:6.1f} Mpx/s  "
            f"{max(peak for *_, peak in results[name]):5.0f} MB peak  speed / read: "
            f"{best['read'][0] / seconds:.2f} by the clock, {best['read'][1] / busy:.2f} by CPU"
        )
    for name, needed in NEEDS.items():
        if name in options.tasks and name not in results:
            print(f"{name} not measured: there is no {needed} on the path")


if __name__ == "__main__":
    main()
