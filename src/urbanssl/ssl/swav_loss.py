"""SwAV's multi-crop swapped prediction: the code of one crop is predicted from all others.

Caron et al. 2020, equations 1-2 and section 3.2. Crops lie crop after crop: rows
`[v * B, (v + 1) * B)` belong to crop v, the large crops first.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.nn import functional

from urbanssl.ssl.queue import is_full, push
from urbanssl.ssl.sinkhorn import sinkhorn


def assignments(
    embeddings: torch.Tensor,
    prototypes: torch.Tensor,
    batch: int,
    crops: Sequence[int],
    queue: torch.Tensor | None,
    epsilon: float,
    iterations: int,
    full: bool | None = None,
) -> list[torch.Tensor]:
    """Return the codes of the crops that others are to predict; moves the queue on.

    A queue is used once its oldest row is filled, as found before this step's batch is pushed.

    Args:
        embeddings: `(V * B, D)` of unit length.
        prototypes: `(K, D)` of unit length.
        batch: B.
        crops: the crops to assign.
        queue: `(len(crops), L, D)`, changed in place, or None.
        epsilon: see `sinkhorn`.
        iterations: see `sinkhorn`.
        full: whether the queue is full; None: look, which waits for the device.

    Returns:
        for each of `crops`, `(B, K)` codes without gradient.
    """
    codes = []
    with torch.no_grad():
        for place, crop in enumerate(crops):
            own = embeddings[crop * batch : (crop + 1) * batch].detach()
            stock = own
            if queue is not None:
                if is_full(queue[place]) if full is None else full:
                    stock = torch.cat([queue[place].to(own.dtype), own])
                push(queue[place], own)
            codes.append(sinkhorn(stock @ prototypes.detach().T, epsilon, iterations)[-batch:])
    return codes


def swapped_prediction(
    scores: torch.Tensor, codes: Sequence[torch.Tensor], crops: Sequence[int], temperature: float
) -> torch.Tensor:
    """Return the loss: mean cross entropy of every other crop's prediction with each code.

    Args:
        scores: `(V * B, K)` dot products of embeddings and prototypes.
        codes: for each of `crops`, `(B, K)`.
        crops: the crops the codes belong to.
        temperature: of the predictions' softmax.

    Returns:
        a scalar; ln K where nothing is learned.
    """
    batch = len(codes[0])
    logs = functional.log_softmax(scores / temperature, dim=1).unflatten(0, (-1, batch))
    others = logs.shape[0] - 1
    total = logs.new_zeros(())
    for crop, code in zip(crops, codes, strict=True):
        entropy = -(code.to(logs.dtype) * logs).sum(2).mean(1)
        total = total + (entropy.sum() - entropy[crop]) / others
    return total / len(codes)
