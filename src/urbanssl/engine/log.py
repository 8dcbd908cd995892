"""The curve of a training, for its JSON log, and the lines that a reader follows it by."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import torch
from mmengine.dist import is_main_process


def say(line: str) -> None:
    """Write a line to the log of the job, from the first process only."""
    if is_main_process():
        sys.stdout.write(line + "\n")
        sys.stdout.flush()


class Curve:
    """What a training measured, averaged over every few steps.

    Values stay on their device until a point is due, so that no step waits for them.

    Attributes:
        points: `{"step", "lr", "loss", ...}`, `step` counted from 1.
        every: steps that one point averages.
    """

    def __init__(self, every: int) -> None:
        self.every = every
        self.points: list[dict[str, float]] = []
        self._sums: dict[str, Any] = {}
        self._count = 0

    def add(self, step: int, outputs: Mapping[str, Any], lr: float) -> dict[str, float] | None:
        """Take in the outputs of a step (from 0); return the point if one is due."""
        for name, value in outputs.items():
            number = value.detach().double().mean() if isinstance(value, torch.Tensor) else value
            self._sums[name] = self._sums.get(name, 0.0) + number
        self._count += 1
        if (step + 1) % self.every:
            return None
        point = {"step": step + 1, "lr": lr}
        point |= {name: float(value) / self._count for name, value in self._sums.items()}
        self.points.append(point)
        self._sums, self._count = {}, 0
        return point

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint must hold, as plain numbers."""
        sums = {name: float(value) for name, value in self._sums.items()}
        return {"points": self.points, "sums": sums, "count": self._count}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take back what `state` returned."""
        self.points, self._count = list(state["points"]), int(state["count"])
        self._sums = dict(state["sums"])

    def tell(self, step: int, steps: int, seconds: float) -> None:
        """Write about forty lines over the training: step, time left, and the measured values."""
        if step % max(self.every, steps // 40) and step != steps:
            return
        point = self.points[-1]
        values = "  ".join(f"{k} {v:.4g}" for k, v in point.items() if k != "step")
        left = seconds / max(step, 1) * (steps - step)
        say(f"step {step}/{steps}  {values}  {seconds:.0f} s, {left:.0f} s left")
