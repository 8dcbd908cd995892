"""What is watched while a network trains: numbers that are none, a loss that stays, a collapse.

The hooks find troubles; `urbanssl.engine.trouble` says what is done about them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from urbanssl.engine.trouble import Trouble


def not_finite(point: Mapping[str, float]) -> Trouble | None:
    """Return the trouble of a point of the curve that holds a value that is no finite number."""
    bad = {name: value for name, value in point.items() if not math.isfinite(value)}
    if not bad:
        return None
    remedy = "lower `lr`, use `precision: bf16` or `fp32` instead of fp16, look for empty tiles"
    return Trouble("not_finite", f"not finite: {bad}", remedy)


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

    def after_train_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Mapping[str, Any] | None = None,
    ) -> None:
        """Judge the last window of the curve, once it is long enough."""
        loop = runner.train_loop
        points = loop.curve.points
        length = max(self.window * runner.max_iters, _SHORTEST_WINDOW)
        first = runner.iter + 1 - length
        if first < loop.troubles.last_change + length or not points:
            return
        if points[-1]["step"] != runner.iter + 1:
            return
        window = [point for point in points if point["step"] > first]
        loss = sum(point["loss"] for point in window) / len(window)
        level = points[-1][self.level]
        if loss > level - self.margin:
            what = f"the loss sits at {loss:.3f}; {level:.3f} is what no learning gives"
            loop.troubles.meet(runner, Trouble("stall", what, self.remedy), not self.stop)


@HOOKS.register_module()
class StopAtCollapse(Hook):
    """Stop when a measured value stays out of bounds: every image gets the same feature or code.

    Args:
        key: the measured value, such as `feature_std`.
        remedy: what to change, for the message.
        floor: the least value that is no collapse.
        ceiling: the largest value that is none.
        share_of: key of a measured value by which the first is divided, such as `ln_k`.
        patience: share of the training for which the value may stay outside; at least 50 steps.
        stop: stop the training; otherwise it only warns.
    """

    def __init__(
        self,
        key: str,
        remedy: str,
        floor: float = -math.inf,
        ceiling: float = math.inf,
        share_of: str | None = None,
        patience: float = 0.1,
        stop: bool = True,
    ) -> None:
        self.key, self.share_of, self.floor, self.ceiling = key, share_of, floor, ceiling
        self.patience, self.stop, self.remedy = patience, stop, remedy

    def after_train_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Mapping[str, Any] | None = None,
    ) -> None:
        """Judge the last points of the curve."""
        loop = runner.train_loop
        first = runner.iter + 1 - max(self.patience * runner.max_iters, _SHORTEST_WINDOW)
        window = [self._value(point) for point in loop.curve.points if point["step"] > first]
        if first < loop.troubles.last_change or not window:
            return
        name = self.key if self.share_of is None else f"{self.key} / {self.share_of}"
        said = f"`{name}` stays at {window[-1]:.2g}"
        if max(window) < self.floor:
            what = f"{said}, below {self.floor:g}: collapsed"
        elif min(window) > self.ceiling:
            what = f"{said}, above {self.ceiling:g}: collapsed"
        else:
            return
        loop.troubles.meet(runner, Trouble("collapse", what, self.remedy), not self.stop)

    def _value(self, point: Mapping[str, float]) -> float:
        return point[self.key] / (1.0 if self.share_of is None else point[self.share_of])
