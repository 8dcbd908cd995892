"""The queue of past embeddings that helps small batches fill the prototypes.

Caron et al. 2020, section 4 and appendix A ("queue"); order as in the reference: slot 0 newest.
"""

from __future__ import annotations

import torch


def is_full(queue: torch.Tensor) -> bool:
    """Tell whether a queue `(L, D)` has been filled: its oldest row is not all zero."""
    return bool(queue[-1].any())


def push(queue: torch.Tensor, batch: torch.Tensor) -> None:
    """Move a queue on by a batch, in place: the batch takes the first rows, in its order.

    Args:
        queue: `(L, D)`, L at least B.
        batch: `(B, D)` embeddings.
    """
    count = len(batch)
    queue[count:] = queue[:-count].clone()
    queue[:count] = batch.detach()
