"""What is watched while a network trains: numbers that are none, a loss that stays, a collapse."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from urbanssl.engine.log import say
from urbanssl.errors import TrainingError


def check_finite(point: Mapping[str, float]) -> None:
    """Stop the training at the first value that is not a finite number.

    Raises:
        TrainingError: naming the step and the values.
    """
    bad = {name: value for name, value in point.items() if not math.isfinite(value)}
    if bad:
        raise TrainingError.at(
            f"step {int(point['step'])}",
            f"not finite: {bad}",
            "lower `lr`, use `precision: bf16` or `fp32` instead of fp16, look for empty tiles",
        )


#: Steps below which a window says nothing: every training starts near the value of no learning,
#: and one of fewer steps is a trial that nothing here stops.
_SHORTEST_WINDOW = 50


@HOOKS.register_module()
class StopAtStall(Hook):
    """Stop when the mean loss of a window stays within a margin of the value of no learning.

    SwAV's loss is ln K (K prototypes) where every prototype is as likely as any other: a training
    that sits there learns nothing.

    Args:
        level: key of the outputs that holds the value of no learning.
        margin: how much lower the loss must get to count as learning.
        window: share of the training over which this is judged, after as many steps; at least 50.
        stop: stop the training; otherwise it only warns.
        remedy: what to change, for the message.
    """

    def __init__(
        self,
        remedy: str,
        level: str = "ln_k",
        margin: float = 0.02,
        window: float = 0.25,
        stop: bool = True,
    ) -> None:
        self.level, self.margin, self.window = level, margin, window
        self.stop, self.remedy = stop, remedy
        self._warned = False

    def after_train_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Mapping[str, Any] | None = None,
    ) -> None:
        """Judge the last window of the curve, once it is long enough."""
        points = runner.train_loop.curve.points
        length = max(self.window * runner.max_iters, _SHORTEST_WINDOW)
        first = runner.iter + 1 - length
        if first < length or not points or self._warned:
            return
        if points[-1]["step"] != runner.iter + 1:
            return
        window = [point for point in points if point["step"] > first]
        loss = sum(point["loss"] for point in window) / len(window)
        level = points[-1][self.level]
        if loss > level - self.margin:
            self._report(runner.iter + 1, loss, level)

    def _report(self, step: int, loss: float, level: float) -> None:
        what = f"the loss sits at {loss:.3f}; {level:.3f} is what no learning gives"
        if self.stop:
            raise TrainingError.at(f"step {step}", what, self.remedy)
        say(f"WARNING step {step}: {what}; {self.remedy}")
        self._warned = True


@HOOKS.register_module()
class StopAtCollapse(Hook):
    """Stop when a measured value stays below a floor: every image gets the same feature.

    Args:
        key: the measured value, such as `feature_std`.
        floor: the least value that is no collapse.
        patience: share of the training for which the value may stay below; at least 50 steps.
        remedy: what to change, for the message.
    """

    def __init__(self, key: str, floor: float, remedy: str, patience: float = 0.1) -> None:
        self.key, self.floor, self.patience, self.remedy = key, floor, patience, remedy

    def after_train_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Mapping[str, Any] | None = None,
    ) -> None:
        """Judge the last points of the curve."""
        points = runner.train_loop.curve.points
        first = runner.iter + 1 - max(self.patience * runner.max_iters, _SHORTEST_WINDOW)
        window = [point[self.key] for point in points if point["step"] > first]
        if first >= 0 and window and max(window) < self.floor:
            raise TrainingError.at(
                f"step {runner.iter + 1}",
                f"`{self.key}` stays at {max(window):.2g}, below {self.floor:g}: collapsed",
                self.remedy,
            )
