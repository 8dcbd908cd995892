"""Batch norm over the joined batch of all processes, on any backend.

PyTorch's own `SyncBatchNorm` runs on GPUs alone; this one serves processes on CPUs (gloo), so that
two of them train as one does on the joined batch. Ioffe and Szegedy 2015, "Batch Normalization".
"""

from __future__ import annotations

from typing import cast

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.nn.functional import all_reduce
from torch.nn.modules.batchnorm import _BatchNorm


class JoinedBatchNorm(_BatchNorm):
    """Batch norm whose moments, and their gradients, are those of all processes together.

    Every process must hold as many values a channel. The variance is taken around the joined mean:
    the difference of two large sums would lose digits.
    """

    def _check_input_dim(self, values: torch.Tensor) -> None:
        if values.dim() < 2:
            raise ValueError(f"batch norm needs (N, C, ...), got {tuple(values.shape)}")

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Return `(N, C, ...)` normalised by the moments of the joined batch."""
        if not self.training:
            return super().forward(values)
        self._check_input_dim(values)
        others = [place for place in range(values.dim()) if place != 1]
        shape = [1, -1, *[1] * (values.dim() - 2)]
        mean = _joined(values.mean(others))
        centred = values - mean.view(shape)
        variance = _joined(centred.square().mean(others))
        self._follow(mean.detach(), variance.detach(), values.numel() // values.shape[1])
        normal = centred * (variance + self.eps).rsqrt().view(shape)
        return normal * self.weight.view(shape) + self.bias.view(shape) if self.affine else normal

    def _follow(self, mean: torch.Tensor, variance: torch.Tensor, local: int) -> None:
        """Move the running moments on; the variance kept is the unbiased one."""
        if self.running_mean is None or self.running_var is None:
            return
        tracked = cast(torch.Tensor, self.num_batches_tracked)
        tracked.add_(1)
        momentum = 1 / float(tracked) if self.momentum is None else self.momentum
        count = local * dist.get_world_size()
        self.running_mean.lerp_(mean, momentum)
        self.running_var.lerp_(variance * count / max(count - 1, 1), momentum)


def _joined(moment: torch.Tensor) -> torch.Tensor:
    """Return the mean of a moment over the processes; gradients flow to all of them."""
    return cast(torch.Tensor, all_reduce(moment)) / dist.get_world_size()


def join_batch_norms(network: nn.Module) -> nn.Module:
    """Return the network with `JoinedBatchNorm` for every batch norm; it shares their tensors."""
    for name, child in network.named_children():
        if isinstance(child, _BatchNorm) and not isinstance(child, JoinedBatchNorm):
            joined = JoinedBatchNorm(
                child.num_features,
                child.eps,
                child.momentum,
                child.affine,
                child.track_running_stats,
            )
            joined.load_state_dict(child.state_dict())
            setattr(network, name, joined.train(child.training))
        else:
            join_batch_norms(child)
    return network
