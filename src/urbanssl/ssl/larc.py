"""LARC: the learning rate of each tensor follows the ratio of its norm to its gradient's.

You, Gitman, Ginsburg 2017, "Large Batch Training of Convolutional Networks"; the rule that SwAV
used (apex). A tensor whose own or gradient's norm is exactly zero keeps its gradient as it is, with
neither scaling nor weight decay, as there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from mmengine.registry import OPTIMIZERS
from torch.optim import SGD


def larc_gradient(
    parameter: torch.Tensor,
    gradient: torch.Tensor,
    lr: float,
    weight_decay: float,
    trust: float = 0.001,
    clip: bool = False,
    eps: float = 1e-8,
) -> torch.Tensor:
    """Return the gradient that plain SGD, without weight decay, is given instead.

    Args:
        parameter: any shape.
        gradient: of the same shape.
        lr: learning rate; matters only with `clip`.
        weight_decay: factor of the parameter added to the gradient.
        trust: trust coefficient.
        clip: never exceed the plain learning rate.
        eps: added to the denominator.
    """
    size, slope = parameter.norm(), gradient.norm()
    local = trust * size / (slope + weight_decay * size + eps)
    if clip:
        local = (local / lr).clamp_max(1.0)
    scaled = local * (gradient + weight_decay * parameter)
    # A choice on the device: no step waits for the norms to come back to the processor.
    return torch.where((size != 0) & (slope != 0), scaled, gradient)


@OPTIMIZERS.register_module()
class LARC(SGD):
    """SGD with momentum whose gradients are scaled by `larc_gradient`.

    Args:
        params: parameters or groups.
        lr: learning rate.
        momentum: of SGD.
        weight_decay: applied inside LARC.
        trust: trust coefficient.
        clip: see `larc_gradient`.
    """

    def __init__(
        self,
        params: Any,
        lr: float,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        trust: float = 0.001,
        clip: bool = False,
    ) -> None:
        super().__init__(params, lr=lr, momentum=momentum, weight_decay=weight_decay)
        self.trust, self.clip = trust, clip

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Scale the gradients, then take SGD's step without weight decay."""
        decays = [group["weight_decay"] for group in self.param_groups]
        for group, decay in zip(self.param_groups, decays, strict=True):
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.grad.copy_(
                        larc_gradient(
                            parameter, parameter.grad, group["lr"], decay, self.trust, self.clip
                        )
                    )
            group["weight_decay"] = 0.0
        try:
            loss: float | None = super().step(closure)
        finally:
            for group, decay in zip(self.param_groups, decays, strict=True):
                group["weight_decay"] = decay
        return loss
