"""Time and memory of opening ten million tiles in ten thousand shards, and of sampling them.

    python benchmarks/tile_index.py               # 10,000 shards of 1,000 tiles

The shards are sparse files, so that pixels cost neither disk nor reading: what is measured is the
index. `open` finds every shard and, as with `pretrain.strict`, reads every tile's name; `sample`
draws batches in the order of an epoch. Memory is what the process holds for itself (anonymous
pages): pages of mapped files go when the system wants them back.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from urbanssl.engine.data import Shards, kept_tiles
from urbanssl.engine.order import StepBatches


def lay_out(folder: Path, shards: int, tiles: int, side: int) -> tuple[list[Path], list[Path]]:
    """Write sparse shards, their tables of names and the splits of the first one."""
    arrays, tables = [], []
    for number in range(shards):
        array, table = folder / f"{number}.npy", folder / f"{number}.parquet"
        header = {"descr": "|u1", "fortran_order": False, "shape": (tiles, side, side, 3)}
        with open(array, "wb") as stream:
            np.lib.format.write_array_header_1_0(stream, header)
            stream.truncate(stream.tell() + tiles * side * side * 3)
        names = pa.array([f"s{number:06d}/image/{tile // 32}_{tile % 32}" for tile in range(tiles)])
        pq.write_table(pa.table({"tile_id": names}), table)
        if number == 0:
            split = pa.array(["test" if tile % 2 else "train" for tile in range(tiles)])
            pq.write_table(pa.table({"tile_id": names, "split": split}), folder / "splits.parquet")
        arrays.append(array)
        tables.append(table)
    return arrays, tables


def own_memory() -> float:
    """Return the anonymous memory of this process in MB."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("RssAnon:")[2].split()[0]) / 1024


def main():
    """Lay out, open, sample, report."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--shards", type=int, default=10_000)
    parser.add_argument("--tiles", type=int, default=1000, help="tiles of a shard")
    parser.add_argument("--side", type=int, default=256, help="side of a tile")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=10, help="batches to draw")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        arrays, tables = lay_out(folder, options.shards, options.tiles, options.side)
        before = own_memory()
        start = time.perf_counter()
        keep = kept_tiles(tables, folder / "splits.parquet", strict=True)
        shards = Shards(arrays, keep)
        opened, held = time.perf_counter() - start, own_memory() - before
        print(f"open: {len(shards):,} tiles, {len(arrays):,} shards: {opened:.1f} s, {held:.0f} MB")
        batches = StepBatches(len(shards), options.batch, options.steps, seed=0, rank=0, world=1)
        most, start = 0.0, time.perf_counter()
        for batch in batches:
            shards.gather(np.array([tile for _, tile in batch]))
            most = max(most, own_memory() - before)
        seconds = time.perf_counter() - start
        print(
            f"sample: {options.steps} batches of {options.batch} in {seconds:.1f} s "
            f"({options.steps * options.batch / seconds:.0f} tiles/s), {most:.0f} MB at most"
        )


if __name__ == "__main__":
    main()
