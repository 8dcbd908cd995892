"""Arms summed up over seeds, and each self-supervised start against the same network from random.

Intervals combine what the test tiles leave open (bootstrap of spatial blocks, in the score files)
with what the seeds leave open (Student's t over the seeds): the half-widths add in quadrature,
and what lies beyond 0 and 1 is cut off.
Differences are paired: every run is scored on the same resamples of blocks, so the difference is
taken within each resample, and its percentiles are the interval.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from urbanssl.report.gather import Results, Run, fractions_of
from urbanssl.report.wording import bounds_of, is_number

Interval = tuple[float, float]


@dataclass(frozen=True)
class Summary:
    """A statistic of one arm at one label fraction, over its seeds.

    Attributes:
        arm: name of the arm.
        fraction: share of the training tiles, percent.
        value: mean over the seeds.
        interval: 95 % interval, None where the score files carry none and there is one seed.
        seeds: number of seeds.
    """

    arm: str
    fraction: float
    value: float
    interval: Interval | None
    seeds: int


@dataclass(frozen=True)
class Difference:
    """A self-supervised start minus the same network from random weights.

    Attributes:
        arm: the arm with the self-supervised start.
        baseline: the arm from random weights.
        fraction: share of the training tiles, percent.
        value: mean difference over the seeds they share.
        interval: 95 % interval, None where it cannot be told.
        seeds: number of seeds they share.
        longer: the baseline trains for more steps of finetuning.
    """

    arm: str
    baseline: str
    fraction: float
    value: float
    interval: Interval | None
    seeds: int
    longer: bool

    @property
    def finding(self) -> str:
        """`better`, `worse` or `open`: what the interval allows to say."""
        if self.interval is None or self.interval[0] <= 0 <= self.interval[1]:
            return "open"
        return "better" if self.value > 0 else "worse"


def summarise(runs: Sequence[Run], statistic: str, on: str = "tiles") -> list[Summary]:
    """Return a statistic for every arm and fraction, in the order of the runs."""
    groups: dict[tuple[str, float], list[Run]] = {}
    for run in runs:
        if is_number(run.stats(on).get(statistic)):
            groups.setdefault((run.arm, run.fraction), []).append(run)
    return [_summary(key, group, statistic, on) for key, group in groups.items()]


def _summary(key: tuple[str, float], runs: list[Run], statistic: str, on: str) -> Summary:
    values = np.array([run.stats(on)[statistic] for run in runs], dtype=float)
    halves = [half for run in runs if (half := _half(run, statistic, on)) is not None]
    mean = float(values.mean())
    if len(runs) == 1:
        return Summary(*key, mean, bounds_of(runs[0].interval(statistic, on)), 1)
    half = math.hypot(float(np.mean(halves)) if halves else 0.0, _seed_half(values))
    return Summary(*key, mean, (max(0.0, mean - half), min(1.0, mean + half)), len(runs))


def _half(run: Run, statistic: str, on: str) -> float | None:
    bounds = bounds_of(run.interval(statistic, on))
    return None if bounds is None else (bounds[1] - bounds[0]) / 2


def _seed_half(values: np.ndarray) -> float:
    """Return the half-width of the 95 % interval of a mean over seeds, `(n,)` with n > 1."""
    spread = float(values.std(ddof=1)) / math.sqrt(len(values))
    return float(student.ppf(0.975, len(values) - 1)) * spread


def random_twins(results: Results, arm: str) -> list[str]:
    """Return the arms with the same recipe that start from random weights."""
    ours = results.arm(arm)
    if ours is None or ours.init == "random":
        return []
    return [
        name
        for name, other in results.settings.detect.arms.items()
        if other.init == "random" and other.recipe == ours.recipe
    ]


def _steps(results: Results, arm: str) -> int:
    found = results.arm(arm)
    return (found and found.steps) or results.settings.detect.steps


def differences(results: Results, statistic: str, on: str = "tiles") -> list[Difference]:
    """Return start-against-random for every arm and fraction where both were scored."""
    found = []
    for fraction in fractions_of(results.scored):
        at_fraction = [run for run in results.scored if run.fraction == fraction]
        for arm in dict.fromkeys(run.arm for run in at_fraction):
            for twin in random_twins(results, arm):
                ours = {run.seed: run for run in at_fraction if run.arm == arm}
                theirs = {run.seed: run for run in at_fraction if run.arm == twin}
                pairs = [(ours[seed], theirs[seed]) for seed in sorted(set(ours) & set(theirs))]
                if pairs:
                    longer = _steps(results, twin) > _steps(results, arm)
                    value, interval = _difference(pairs, statistic, on)
                    found.append(
                        Difference(arm, twin, fraction, value, interval, len(pairs), longer)
                    )
    return found


def _difference(
    pairs: list[tuple[Run, Run]], statistic: str, on: str
) -> tuple[float, Interval | None]:
    values = np.array([a.stats(on)[statistic] - b.stats(on)[statistic] for a, b in pairs])
    mean = float(values.mean())
    ends = _paired(pairs, statistic, on)
    if not ends:
        return mean, None
    interval = (ends[0], ends[1])
    if len(pairs) > 1:
        low, high = (math.hypot(end - mean, _seed_half(values)) for end in interval)
        interval = (mean - low, mean + high)
    return mean, interval


def _paired(pairs: Sequence[tuple[Run, Run]], statistic: str, on: str) -> list[float]:
    """Return the 95 % interval of the mean difference over resamples; empty without resamples."""
    drawn = [(a.draws(statistic, on), b.draws(statistic, on)) for a, b in pairs]
    lengths = {len(values) for pair in drawn for values in pair}
    if len(lengths) != 1 or lengths == {0}:
        return []
    table = np.array(drawn, dtype=float)
    gaps = (table[:, 0] - table[:, 1]).mean(0)
    known = gaps[np.isfinite(gaps)]
    ends: list[float] = np.percentile(known, [2.5, 97.5]).tolist() if known.size else []
    return ends
