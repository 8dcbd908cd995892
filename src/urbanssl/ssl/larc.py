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


def scale_gradients(
    parameters: list[torch.Tensor],
    lr: float,
    weight_decay: float,
    trust: float = 0.001,
    clip: bool = False,
    eps: float = 1e-8,
) -> None:
    """Turn gradients, in place, into those that plain SGD without weight decay is given instead.

    All tensors go together, and no norm is waited for: what is left alone is chosen on the device.

    Args:
        parameters: tensors with a gradient.
        lr: learning rate; matters only with `clip`.
        weight_decay: factor of the parameter added to the gradient.
        trust: trust coefficient.
        clip: never exceed the plain learning rate.
        eps: added to the denominator.
    """
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    sizes = torch.stack(torch._foreach_norm(parameters))
    slopes = torch.stack(torch._foreach_norm(gradients))
    local = trust * sizes / (slopes + weight_decay * sizes + eps)
    if clip:
        local = (local / lr).clamp_max(1.0)
    active = (sizes != 0) & (slopes != 0)
    scale = torch.where(active, local, 1.0)
    decay = torch.where(active, local * weight_decay, 0.0)
    torch._foreach_mul_(gradients, list(scale.unbind()))
    torch._foreach_add_(gradients, torch._foreach_mul(parameters, list(decay.unbind())))


@OPTIMIZERS.register_module()
class LARC(SGD):
    """SGD with momentum whose gradients are scaled by `scale_gradients`.

    Args:
        params: parameters or groups.
        lr: learning rate.
        momentum: of SGD.
        weight_decay: applied inside LARC.
        trust: trust coefficient.
        clip: see `scale_gradients`.
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
            learning = [entry for entry in group["params"] if entry.grad is not None]
            if learning:
                scale_gradients(learning, group["lr"], decay, self.trust, self.clip)
            group["weight_decay"] = 0.0
        try:
            loss: float | None = super().step(closure)
        finally:
            for group, decay in zip(self.param_groups, decays, strict=True):
                group["weight_decay"] = decay
        return loss
