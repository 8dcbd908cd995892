"""Uncertainty of a score: blocks of areas resampled within regions, pairs on the same draws."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def block_weights(
    blocks: Ints, region: NDArray, draws: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return (draws, n) how often each area is drawn when whole blocks are, within each region.

    Neighbours rise and fall together, so areas drawn one by one would make intervals too short.

    Args:
        blocks: (n,) block of each area.
        region: (n,).
        draws: resamples.
        rng: random numbers.
    """
    weights = np.zeros((draws, len(blocks)), np.float32)
    for name in np.unique(region):
        inside = np.flatnonzero(region == name)
        _, member = np.unique(blocks[inside], return_inverse=True)
        count = int(member.max()) + 1
        drawn = rng.multinomial(count, np.full(count, 1 / count), size=draws)
        weights[:, inside] = drawn[:, member.reshape(-1)]
    return weights


def interval(draws: Floats, level: float = 0.95) -> list[float | None]:
    """Return the percentile interval of a score's resamples; nothing where it has no value."""
    finite = draws[np.isfinite(draws)]
    if finite.size < 0.9 * draws.size or finite.size == 0:
        return [None, None]
    tail = (1 - level) / 2
    low, high = np.quantile(finite, [tail, 1 - tail])
    return [float(low), float(high)]


def difference(one: Floats, two: Floats, level: float = 0.95) -> dict[str, Any]:
    """Return the interval of a difference on the same resamples, and how often it is above 0."""
    gap = one - two
    finite = gap[np.isfinite(gap)]
    above = float(((finite > 0).sum() + 0.5 * (finite == 0).sum()) / max(1, finite.size))
    return {"interval": interval(gap, level), "share_above_zero": above}
