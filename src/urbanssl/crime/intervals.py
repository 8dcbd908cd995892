"""Uncertainty of a score: whole regions are resampled, and models learn without them too.

The question is how well areas are told apart in *another* region, so regions are what must be
drawn anew: areas of one region share its streets, its police and its weather, however far apart.
Taking a region away changes a score twice, as a place that is predicted and as one that is learned
from. With predictions kept, the second change is missed. With models fitted again, scores that are
made of pairs of regions that happen to be alike, as those of features that say nothing are, change
twice over. The variance taken is the geometric mean of both: right for those, and right where
regions differ by themselves, since both agree there. How often such intervals cover the truth
is counted by `urbanssl.crime.validation`.

Sources: Efron and Stein (1981), The jackknife estimate of variance, Annals of Statistics 9
(scores made of pairs: twice the variance); Nadeau and Bengio (2003), Inference for the
generalization error, Machine Learning 52 (predictions kept: half of it); Field and Welsh (2007),
Bootstrapping clustered data, JRSS B 69 (whole clusters resampled).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, t

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

#: More regions than this are put into so many groups, each left out as one.
MOST_GROUPS = 24


@dataclass(frozen=True)
class Resamples:
    """Which regions are left out and how often each is drawn; the same for all feature sets.

    Attributes:
        group: (n,) group of regions of each area, from 0; a group is one region where they are few.
        present: (1 + G, n) 1 or 0: all areas, then all but those of each group.
        counts: (B, G) how often each group is drawn.
    """

    group: Ints
    present: NDArray[np.float32]
    counts: Ints


def resample_regions(region: NDArray, draws: int, rng: np.random.Generator) -> Resamples:
    """Return resamples of whole regions.

    Args:
        region: (n,).
        draws: resamples B.
        rng: random numbers.
    """
    _, number, areas = np.unique(region, return_inverse=True, return_counts=True)
    filled = np.zeros(min(MOST_GROUPS, len(areas)))
    place = np.zeros(len(areas), np.int64)
    for one in np.argsort(-areas, kind="stable"):
        place[one] = np.argmin(filled)
        filled[place[one]] += areas[one]
    group = place[number.reshape(-1)]
    groups = len(filled)
    present = np.vstack([np.ones(len(group)), np.arange(groups)[:, None] != group])
    counts = rng.multinomial(groups, np.full(groups, 1 / groups), size=draws)
    return Resamples(group, present.astype(np.float32), counts)


def influence(scores: Floats) -> Floats:
    """Return (G,) how much each group of regions moves a score; their mean is 0.

    Args:
        scores: (2, 1 + G) the score of all regions, then without each group: first with
            predictions kept, then with models fitted again.
    """
    without = scores[:, 1:]
    change = (without.shape[1] - 1) * (without.mean(axis=1, keepdims=True) - without)
    kept, refitted = change.var(axis=1)
    scaled: Floats = change[1] * (kept / max(refitted, 1e-24)) ** 0.25
    return scaled


def interval(
    scores: Floats,
    counts: Ints,
    within: tuple[float, float] = (-np.inf, np.inf),
    level: float = 0.95,
) -> list[float | None]:
    """Return the interval of a score by resampled regions; nothing where it has no value.

    Quantiles of the resampled mean influence, widened by Student's t for the number of groups.

    Args:
        scores: see `influence`.
        counts: (B, G) how often each group is drawn, see `Resamples`.
        within: values the score can have.
        level: of confidence.
    """
    groups = counts.shape[1]
    if groups < 3 or not np.isfinite(scores).all():
        return [None, None]
    value, tail = float(scores[0, 0]), (1 - level) / 2
    low, high = np.quantile(counts @ influence(scores) / groups, [tail, 1 - tail])
    wider = np.sqrt(groups / (groups - 1)) * t.ppf(1 - tail, groups - 1) / norm.ppf(1 - tail)
    ends = np.clip([value + wider * low, value + wider * high], *within)
    return [float(ends[0]), float(ends[1])]


def difference(one: Floats, two: Floats, counts: Ints) -> dict[str, Any]:
    """Return the interval of a difference of two scores on the same resamples of regions."""
    return {"interval": interval(one - two, counts)}


def block_weights(
    blocks: Ints, region: NDArray, draws: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return (draws, n) how often each area is drawn when whole blocks are, within each region.

    For what one model does in the regions at hand; neighbours rise and fall together.

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
