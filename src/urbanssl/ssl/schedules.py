"""Learning-rate schedules of SwAV and MAE, as pure functions and as mmengine's schedulers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from mmengine.optim.scheduler.param_scheduler import _ParamScheduler
from mmengine.registry import PARAM_SCHEDULERS
from numpy.typing import NDArray


def swav_schedule(
    steps: int, warmup: int, base: float, final: float, start: float = 0.0
) -> NDArray[np.float64]:
    """Return SwAV's learning rate of every step (Caron et al. 2020, appendix A).

    A linear ramp of `warmup` values from `start` to `base`, both included, then half a cosine of
    the remaining values from `base` towards `final`, which is not reached.

    Args:
        steps: how many steps in all.
        warmup: how many of them are the ramp.
        base: learning rate after the ramp.
        final: learning rate at the end.
        start: learning rate of the first step, with a ramp.

    Returns:
        `(steps,)` float64.
    """
    rest = steps - warmup
    wave = 1 + np.cos(np.pi * np.arange(rest) / max(rest, 1))
    return np.concatenate([np.linspace(start, base, warmup), final + (base - final) / 2 * wave])


def mae_schedule(
    progress: float, warmup: float, length: float, base: float, final: float = 0.0
) -> float:
    """Return MAE's learning rate at a point of the training (He et al. 2022, appendix A.1).

    Args:
        progress: how far the training is (epochs, or steps).
        warmup: length of the ramp from 0, in the same unit.
        length: length of the training, in the same unit.
        base: learning rate after the ramp.
        final: learning rate at the end.
    """
    if progress < warmup:
        return base * progress / warmup
    share = (progress - warmup) / (length - warmup)
    return final + (base - final) / 2 * (1 + math.cos(math.pi * share))


def scaled_lr(base: float, batch: int) -> float:
    """Return MAE's learning rate for a batch over all processes: base lr x batch / 256."""
    return base * batch / 256


class _Whole(_ParamScheduler):
    """A scheduler over the whole training; `end` is its number of steps."""

    def __init__(self, optimizer: Any, end: int, warmup: int = 0, **others: Any) -> None:
        self.warmup = warmup
        super().__init__(optimizer, "lr", end=end, **others)

    def value(self, step: int, base: float) -> float:
        """Return the learning rate of a step (from 0)."""
        raise NotImplementedError(f"{type(self).__name__} must define the value of a step")

    def _get_value(self) -> list[float]:
        return [self.value(self.last_step, base) for base in self.base_values]


@PARAM_SCHEDULERS.register_module()
class SwavLR(_Whole):
    """`swav_schedule` of each group's own learning rate.

    Args:
        optimizer: the optimiser.
        end: number of steps of the training.
        warmup: steps of the ramp.
        final: learning rate at the end, as a share of the learning rate.
        start: learning rate at the start of the ramp, as a share of the learning rate.
        others: of mmengine's schedulers.
    """

    def __init__(
        self,
        optimizer: Any,
        end: int,
        warmup: int = 0,
        final: float = 0.001,
        start: float = 0.0,
        **others: Any,
    ) -> None:
        self.shares = swav_schedule(end, warmup, 1.0, final, start).tolist()
        super().__init__(optimizer, end, warmup, **others)

    def value(self, step: int, base: float) -> float:
        """Return the learning rate of a step (from 0)."""
        share: float = self.shares[min(step, len(self.shares) - 1)]
        return base * share


@PARAM_SCHEDULERS.register_module()
class MaeLR(_Whole):
    """`mae_schedule` of each group's own learning rate.

    Args:
        optimizer: the optimiser.
        end: number of steps of the training.
        warmup: steps of the ramp.
        final: learning rate at the end, as a share of the learning rate.
        others: of mmengine's schedulers.
    """

    def __init__(
        self, optimizer: Any, end: int, warmup: int = 0, final: float = 0.0, **others: Any
    ) -> None:
        self.final = final
        super().__init__(optimizer, end, warmup, **others)

    def value(self, step: int, base: float) -> float:
        """Return the learning rate of a step (from 0)."""
        return mae_schedule(step, self.warmup, self.end, base, base * self.final)
