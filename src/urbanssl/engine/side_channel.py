"""Small numbers that the processes of a training agree on, over the CPU, beside the gradients."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.distributed as dist
from mmengine.dist import get_dist_info


class SideChannel:
    """Shares flags and numbers among all processes; with one process it changes nothing.

    Every process must call the same methods in the same order.
    """

    def __init__(self) -> None:
        self._world = get_dist_info()[1]
        self._group = dist.new_group(backend="gloo") if self._world > 1 else None

    def any(self, flag: bool) -> bool:
        """Return whether the flag is set in any process."""
        if self._group is None:
            return flag
        flags = torch.tensor(int(flag))
        dist.all_reduce(flags, dist.ReduceOp.MAX, group=self._group)
        return bool(flags)

    def mean(self, numbers: Mapping[str, float]) -> dict[str, float]:
        """Return the mean of each number over the processes; all must give the same names."""
        if self._group is None:
            return dict(numbers)
        names = sorted(numbers)
        sums = torch.tensor([numbers[name] for name in names], dtype=torch.float64)
        dist.all_reduce(sums, group=self._group)
        return dict(zip(names, (sums / self._world).tolist(), strict=True))
