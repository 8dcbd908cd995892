"""In which order tiles are seen: a pure function of the seed, so that resuming needs no state."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


@lru_cache(maxsize=4)
def epoch_order(seed: int, epoch: int, length: int) -> NDArray[np.int64]:
    """Return the order of an epoch: a permutation of `length` places, `(length,)` int64."""
    return np.random.default_rng([seed, epoch]).permutation(length)


def places(seed: int, positions: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """Return which tile stands at each position of the endless sequence of epochs.

    Args:
        seed: seed of the training.
        positions: `(B,)` positions, counted from 0 at the first step.
        length: how many tiles there are.
    """
    epochs, within = np.divmod(positions, length)
    found = np.empty(len(positions), dtype=np.int64)
    for epoch in np.unique(epochs):
        here = epochs == epoch
        found[here] = epoch_order(seed, int(epoch), length)[within[here]]
    return found


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
    """

    def __init__(
        self, length: int, batch: int, steps: int, seed: int, rank: int, world: int
    ) -> None:
        self.length, self.batch, self.steps, self.seed = length, batch, steps, seed
        share = batch // world
        self.rows = (rank * share, (rank + 1) * share)
        self.start = 0

    def __len__(self) -> int:
        return self.steps - self.start

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        for step in range(self.start, self.steps):
            positions = step * self.batch + np.arange(*self.rows, dtype=np.int64)
            tiles = places(self.seed, positions, self.length)
            yield list(zip(positions.tolist(), tiles.tolist(), strict=True))
