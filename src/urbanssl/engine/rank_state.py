"""State that differs between processes, such as SwAV's queue: gathered into one checkpoint."""

from __future__ import annotations

import torch
import torch.distributed as dist
from mmengine.dist import get_dist_info
from torch import nn

from urbanssl.errors import TrainingError


def rank_buffers(model: nn.Module) -> dict[str, torch.Tensor]:
    """Return the buffers that a model names in `rank_buffers`: each process has its own."""
    names = getattr(model, "rank_buffers", ())
    return {name: model.get_buffer(name) for name in names}


def gather_rank_buffers(model: nn.Module) -> list[dict[str, torch.Tensor]]:
    """Return the rank buffers of every process, in the order of the processes; all must call."""
    mine = {name: value.detach().cpu() for name, value in rank_buffers(model).items()}
    world = get_dist_info()[1]
    if world == 1 or not mine:
        return [mine]
    gathered: list[dict[str, torch.Tensor]] = [{} for _ in range(world)]
    dist.all_gather_object(gathered, mine)
    return gathered


def restore_rank_buffers(model: nn.Module, saved: list[dict[str, torch.Tensor]]) -> None:
    """Copy this process's share of what `gather_rank_buffers` returned into the model.

    Raises:
        TrainingError: the checkpoint was written by another number of processes.
    """
    rank, world = get_dist_info()
    mine = rank_buffers(model)
    if not mine:
        return
    if len(saved) != world:
        raise TrainingError.at(
            "checkpoint",
            f"written by {len(saved)} processes, resumed by {world}",
            "resume with the same number of GPUs, or remove the work folder to start anew",
        )
    for name, buffer in mine.items():
        buffer.copy_(saved[rank][name])
