"""Tile shards: one `.npy` a scene, written tile by tile without knowing how many there will be."""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray


class ShardWriter:
    """Appends tiles to a `.npy` file; the header gets their number at the end.

    Sequential writing keeps memory flat (pages of a memory map count as ours) and leaves out tiles
    without holes. NumPy pads the header so that the first axis can grow.

    Args:
        path: file to write, replaced where it exists.
        size: side of a tile in pixels.
    """

    def __init__(self, path: Path, size: int) -> None:
        self._path = path
        self._tile = np.empty((size, size, 3), np.uint8)
        self.count = 0

    def __enter__(self) -> ShardWriter:
        self._stream = open(self._path, "wb", buffering=0)
        self._header()
        self._start = self._stream.tell()
        return self

    def append(self, pixels: NDArray[np.uint8]) -> str:
        """Write a tile and return the SHA-256 of its bytes.

        Args:
            pixels: (3, rows, columns) uint8, at most `size` of each; the rest of the tile is 0.
        """
        tile = self._tile
        rows, columns = pixels.shape[1:]
        if (rows, columns) != tile.shape[:2]:
            tile[...] = 0
        # Bands to pixels by OpenCV: NumPy would move one byte at a time.
        cv2.merge(list(pixels), tile[:rows, :columns])
        rest = tile.data.cast("B")
        while rest:  # an unbuffered stream may stop short (signals, quotas)
            rest = rest[self._stream.write(rest) :]
        self.count += 1
        return hashlib.sha256(tile.data).hexdigest()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None:
            self._stream.seek(0)
            self._header()
            if self._stream.tell() != self._start:
                raise RuntimeError(f"{self._path}: the header changed its length")
        self._stream.close()

    def _header(self) -> None:
        content: dict[str, Any] = {
            "descr": npy.dtype_to_descr(np.dtype(np.uint8)),
            "fortran_order": False,
            "shape": (self.count, *self._tile.shape),
        }
        npy.write_array_header_1_0(self._stream, content)
