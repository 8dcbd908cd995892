"""SwAV's prototypes: rows of unit length, frozen for the first steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS


@torch.no_grad()
def normalise_rows(weight: torch.Tensor) -> None:
    """Scale the rows of `(K, D)` to unit length, in place, before the forward pass.

    The norm is floored at 1e-12 (Caron et al. 2020, appendix A).
    """
    weight.div_(weight.norm(dim=1, keepdim=True).clamp_min(1e-12))


@HOOKS.register_module()
class FreezePrototypes(Hook):
    """Keep the prototypes out of the first optimiser steps.

    Their gradient is dropped, so neither momentum nor weight decay touches them; the rows are
    still normalised at every step. The network's `freeze` says how many steps.
    """

    def before_train(self, runner: Any) -> None:
        """Have the gradient dropped right before each of the optimiser's first steps."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        prototypes = model.prototypes.weight
        frozen = freeze_steps(model.freeze, runner.max_iters)

        def drop(optimizer: Any, arguments: tuple[Any, ...], named: Mapping[str, Any]) -> None:
            if runner.iter < frozen:
                prototypes.grad = None

        runner.optim_wrapper.optimizer.register_step_pre_hook(drop)


def freeze_steps(given: float, steps: int) -> int:
    """Return a number of steps: integers are steps, floats a share of the training."""
    return round(given * steps) if isinstance(given, float) else given
