"""Tiles for training: many memory-mapped shards as one index, one gather a batch."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from urbanssl.engine.order import StepBatches
from urbanssl.errors import Problem, TrainingError


class Shards:
    """Tile arrays of many scenes as one sequence; memory does not grow with the number of tiles.

    Attributes:
        size: side of the tiles in pixels.
    """

    def __init__(
        self,
        arrays: Sequence[Path],
        keep: Sequence[NDArray[np.int64]] | None = None,
        tables: Sequence[Path] = (),
    ) -> None:
        """Open the shards.

        Args:
            arrays: `(N, S, S, 3)` uint8 files.
            keep: for each shard the indices of the tiles that are used; None: all.
            tables: the shards' tile tables, for those who ask where tiles lie.

        Raises:
            TrainingError: shards are not uint8 tiles of one size, or no tile is left.
        """
        self.paths, self.tables = list(arrays), list(tables)
        # Only the headers are kept: pages of a mapped file would count as this process's memory.
        headers = [np.load(path, mmap_mode="r") for path in arrays]
        self._check(headers)
        self._starts = [int(header.offset) for header in headers]
        self._keep = [None] * len(arrays) if keep is None else list(keep)
        counts = [
            len(array) if kept is None else len(kept)
            for array, kept in zip(headers, self._keep, strict=True)
        ]
        self._ends = np.cumsum(counts)
        self.size = int(headers[0].shape[1])
        if not len(self):
            raise TrainingError.at(
                ", ".join(map(str, arrays)),
                "no tile is left to train on",
                "lower `tiles.min_valid`, add scenes, or set `pretrain.strict: false`",
            )

    def _check(self, headers: Sequence[NDArray[np.uint8]]) -> None:
        problems = []
        sizes = {array.shape[1:] for array in headers}
        for path, array in zip(self.paths, headers, strict=True):
            shape_fits = array.ndim == 4 and array.shape[3] == 3 and array.flags.c_contiguous
            if not shape_fits or array.dtype != np.uint8:
                what = f"{array.shape} {array.dtype}, not (N, S, S, 3) uint8 in C order"
                problems.append(Problem(str(path), what, "make the tiles again"))
            elif len(sizes) > 1:
                what = f"tiles of {array.shape[1]} pixels among sizes {sorted(sizes)}"
                problems.append(Problem(str(path), what, "use one `tiles.size` for all scenes"))
        if problems:
            raise TrainingError.listing(problems, "tile arrays cannot be used together")

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def locate(self, tiles: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return for each tile its shard and its index there."""
        shards = np.searchsorted(self._ends, tiles, side="right")
        index = tiles - np.concatenate([[0], self._ends])[shards]
        for shard in np.unique(shards):
            kept = self._keep[shard]
            if kept is not None:
                here = shards == shard
                index[here] = kept[index[here]]
        return shards, index

    def gather(self, tiles: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return tiles, `(B, S, S, 3)` uint8, read in the order of the files."""
        shards, index = self.locate(np.asarray(tiles, dtype=np.int64))
        batch = np.empty((len(index), self.size, self.size, 3), dtype=np.uint8)
        order = np.lexsort((index, shards))
        for shard in np.unique(shards):
            with open(self.paths[shard], "rb", buffering=0) as stored:
                for place in order[shards[order] == shard]:
                    at = self._starts[shard] + int(index[place]) * batch[place].nbytes
                    if os.preadv(stored.fileno(), [batch[place]], at) != batch[place].nbytes:
                        raise OSError(f"{self.paths[shard]} ends before tile {index[place]}")
        return batch


def kept_tiles(
    tables: Sequence[Path], splits: Path | None, strict: bool
) -> list[NDArray[np.int64]] | None:
    """Return for each shard the tiles that pretraining may see; None: all of them.

    With `strict`, tiles of the val and test splits and of the buffers around them are left out:
    a tile of the buffer may overlap one of the test.

    Args:
        tables: tile tables, in the order of the shards.
        splits: table of `tile_id, split`; None where nothing is labelled.
        strict: leave them out.
    """
    if not strict or splits is None:
        return None
    table = pq.read_table(splits, columns=["tile_id", "split"])
    barred = table.filter(pc.not_equal(table["split"], "train"))["tile_id"].combine_chunks()
    keep = []
    for path in tables:
        names = pq.read_table(path, columns=["tile_id"])["tile_id"].combine_chunks()
        free = pc.invert(pc.is_in(names, value_set=barred.cast(names.type)))
        keep.append(np.flatnonzero(free.to_numpy(zero_copy_only=False)).astype(np.int64))
    return keep


class TileBatches:
    """Batches of tiles for SwAV and MAE, each a dict for the model's forward.

    A batch holds `inputs` (B, S, S, 3) uint8, `step`, `draw` (seed of the step's random numbers,
    which are drawn for the whole batch over all processes) and `rows` (first, last, total): the
    rows of the global batch that this process has.
    """

    def __init__(self, shards: Shards, batches: StepBatches, ahead: int = 0) -> None:
        """Read from shards.

        Args:
            shards: the tiles.
            batches: which tiles at which step.
            ahead: batches that a thread reads ahead; 0 reads when asked.
        """
        self.dataset = shards
        self.batches = batches
        self._ahead = ahead

    def resume_at(self, step: int) -> None:
        """Go to a step: the next batch is that step's."""
        self.batches.start = step

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return _read_ahead(self._read(), self._ahead) if self._ahead else self._read()

    def _read(self) -> Iterator[dict[str, Any]]:
        rows = (*self.batches.rows, self.batches.batch)
        for step, batch in enumerate(self.batches, self.batches.start):
            tiles = np.array([tile for _, tile in batch], dtype=np.int64)
            inputs = torch.from_numpy(self.dataset.gather(tiles))
            if self._ahead and torch.cuda.is_available():
                inputs = inputs.pin_memory()
            draw = step_seed(self.batches.seed, step)
            yield {"inputs": inputs, "step": step, "draw": draw, "rows": rows}


def step_seed(seed: int, step: int, rank: int = 0) -> int:
    """Return the seed of a step's random numbers: 63 bits, unlike for every seed, step, rank."""
    state = np.random.SeedSequence([seed, step, rank]).generate_state(1, np.uint64)
    return int(state[0] >> np.uint64(1))


def _read_ahead(batches: Iterator[dict[str, Any]], depth: int) -> Iterator[dict[str, Any]]:
    """Yield what an iterator yields, read by a thread that runs `depth` items ahead."""
    waiting: queue.Queue[tuple[str, Any]] = queue.Queue(maxsize=depth)
    stop = threading.Event()

    def put(item: tuple[str, Any]) -> bool:
        while not stop.is_set():
            try:
                waiting.put(item, timeout=0.5)
            except queue.Full:
                continue
            return True
        return False

    def work() -> None:
        try:
            for batch in batches:
                if not put(("batch", batch)):
                    return
            put(("end", None))
        except (OSError, ValueError, RuntimeError) as error:
            put(("error", error))

    thread = threading.Thread(target=work, name="tile-reader", daemon=True)
    thread.start()
    try:
        while True:
            kind, item = waiting.get()
            if kind == "error":
                raise item
            if kind == "end":
                return
            yield item
    finally:
        stop.set()
        thread.join()
