"""Sinkhorn-Knopp assignment of samples to prototypes, in the log domain: no score is too large.

Caron et al. 2020, "Unsupervised Learning of Visual Features by Contrasting Cluster Assignments",
section 3.1 and appendix A. The plain exponential of the reference overflows float32 beyond scores
of 4.4 (epsilon 0.05) and then returns not-a-number for every sample; this does not.
"""

from __future__ import annotations

import math

import torch
import torch.distributed as dist


def sinkhorn(scores: torch.Tensor, epsilon: float = 0.05, iterations: int = 3) -> torch.Tensor:
    """Return soft assignments, balanced over the prototypes.

    Args:
        scores: `(B, K)` dot products of B samples with K prototypes, not divided by a temperature.
            With several processes each holds as many rows; prototypes are balanced over all.
        epsilon: entropy of the assignment; smaller is sharper.
        iterations: how often prototypes, then samples are normalised.

    Returns:
        `(B, K)`, at least float32; every row sums to 1, columns to about B / K.
    """
    logits = scores.detach().to(torch.promote_types(scores.dtype, torch.float32)) / epsilon
    samples = logits.shape[0] * _world()
    prototypes = logits.shape[1]
    logits = logits - torch.logsumexp(_logsumexp_samples(logits), 1, keepdim=True)
    for _ in range(iterations):
        logits = logits - _logsumexp_samples(logits) - math.log(prototypes)
        logits = logits - torch.logsumexp(logits, 1, keepdim=True) - math.log(samples)
    return torch.exp(logits + math.log(samples))


def _world() -> int:
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def _logsumexp_samples(logits: torch.Tensor) -> torch.Tensor:
    """Return log sum exp over the samples of all processes, `(1, K)`."""
    if _world() == 1:
        return torch.logsumexp(logits, 0, keepdim=True)
    highest = logits.amax(0, keepdim=True)
    dist.all_reduce(highest, dist.ReduceOp.MAX)
    total = torch.exp(logits - highest).sum(0, keepdim=True)
    dist.all_reduce(total)
    return highest + torch.log(total)
