"""In which order tiles are seen: a pure function of the seed, so that resuming needs no state."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

#: Keeps the draw of tiles without objects apart from the order of an epoch.
_EMPTY_DRAW = 1


@lru_cache(maxsize=4)
def epoch_order(seed: int, epoch: int, length: int) -> NDArray[np.int64]:
    """Return the order of an epoch: a permutation of `length` places, `(length,)` int64."""
    return np.random.default_rng([seed, epoch]).permutation(length)


def places(
    seed: int,
    positions: NDArray[np.int64],
    length: int,
    order: Callable[[int, int, int], NDArray[np.int64]] = epoch_order,
) -> NDArray[np.int64]:
    """Return which tile stands at each position of the endless sequence of epochs.

    Args:
        seed: seed of the training.
        positions: `(B,)` positions, counted from 0 at the first step.
        length: how many tiles an epoch has.
        order: tiles of an epoch `(length,)`, told the seed, the epoch and the length.
    """
    epochs, within = np.divmod(positions, length)
    found = np.empty(len(positions), dtype=np.int64)
    for epoch in np.unique(epochs):
        here = epochs == epoch
        found[here] = order(seed, int(epoch), length)[within[here]]
    return found


class FewerEmpty:
    """Epochs of every tile with objects and of some without, those drawn anew for each epoch.

    Where the tiles without objects are no larger a share than allowed, or where no tile has any
    object, an epoch is all tiles, in the order of `epoch_order`.

    Args:
        empty: `(N,)` bool, which tiles have no object.
        most: largest share of an epoch that such tiles make, 0 to 1.
        seed: seed of the training.
    """

    def __init__(self, empty: NDArray[np.bool_], most: float, seed: int) -> None:
        self.seed = seed
        self._full, self._empty = np.flatnonzero(~empty), np.flatnonzero(empty)
        allowed = len(empty) if most == 1 else round(most / (1 - most) * len(self._full))
        self._taken = min(allowed, len(self._empty)) if len(self._full) else len(self._empty)
        self._order = lru_cache(maxsize=2)(self._draw)

    def __len__(self) -> int:
        """Return how many tiles an epoch has."""
        return len(self._full) + self._taken

    def __call__(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return which tile stands at each position of the endless sequence of epochs."""
        return places(self.seed, positions, len(self), self._order)

    def _draw(self, seed: int, epoch: int, length: int) -> NDArray[np.int64]:
        order = epoch_order(seed, epoch, length)
        if self._taken == len(self._empty):
            return order
        rng = np.random.default_rng([seed, epoch, _EMPTY_DRAW])
        drawn = rng.choice(self._empty, self._taken, replace=False)
        return np.concatenate([self._full, drawn])[order]


class StepBatches:
    """Batches of (position, tile), one a step, from a step on; a batch sampler for torch.

    Every process gets its share of the same global batch, so one process sees what many see.

    Args:
        length: how many tiles there are.
        batch: tiles a step, over all processes.
        steps: at which step to end.
        seed: seed of the training.
        rank: which process this is.
        world: how many processes there are; must divide `batch`.
        tile_at: tiles at positions, such as a `FewerEmpty`; None shows each of `length` tiles
            once an epoch.
    """

    def __init__(
        self,
        length: int,
        batch: int,
        steps: int,
        seed: int,
        rank: int,
        world: int,
        tile_at: Callable[[NDArray[np.int64]], NDArray[np.int64]] | None = None,
    ) -> None:
        self.length, self.batch, self.steps, self.seed = length, batch, steps, seed
        share = batch // world
        self.rows = (rank * share, (rank + 1) * share)
        self.start = 0
        self._tile_at = tile_at or (lambda positions: places(seed, positions, length))

    def __len__(self) -> int:
        return self.steps - self.start

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        for step in range(self.start, self.steps):
            positions = step * self.batch + np.arange(*self.rows, dtype=np.int64)
            tiles = self._tile_at(positions)
            yield list(zip(positions.tolist(), tiles.tolist(), strict=True))
