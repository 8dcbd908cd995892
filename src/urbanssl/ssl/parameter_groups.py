"""Which weights decay and how fast each layer learns: the tables of MAE's two trainings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence


def pretraining_decay(
    parameters: Iterable[tuple[str, Sequence[int]]], weight_decay: float
) -> dict[str, float]:
    """Return the weight decay of each parameter in MAE's pretraining.

    None for vectors and biases; class and mask tokens, which have three dimensions, decay.

    Args:
        parameters: (name, shape) of the trainable parameters.
        weight_decay: of those that decay.
    """
    return {
        name: 0.0 if len(shape) == 1 or name.endswith(".bias") else weight_decay
        for name, shape in parameters
    }


def layer_of(name: str, depth: int) -> int:
    """Return the layer of a parameter: 0 is the embedding, `depth` + 1 the head."""
    if name in ("cls_token", "pos_embed") or name.startswith("patch_embed"):
        return 0
    block = re.match(r"blocks\.(\d+)\.", name)
    return int(block[1]) + 1 if block else depth + 1


def layer_scale(name: str, depth: int, decay: float) -> float:
    """Return the factor of the learning rate of a parameter, decay^(layers above it).

    Bao et al. 2022 (BEiT), appendix; used by MAE's fine-tuning.
    """
    return decay ** (depth + 1 - layer_of(name, depth))


def finetuning_groups(
    parameters: Iterable[tuple[str, Sequence[int]]], depth: int, decay: float, weight_decay: float
) -> list[dict[str, object]]:
    """Return the optimiser groups of MAE's fine-tuning.

    Args:
        parameters: (name, shape) of the trainable parameters.
        depth: number of blocks.
        decay: factor of the learning rate from a layer to the one below.
        weight_decay: of all but vectors, the class token and the position embedding.

    Returns:
        groups in order of first appearance: `{"names", "lr_scale", "weight_decay"}`.
    """
    groups: dict[tuple[int, bool], dict[str, object]] = {}
    members: dict[tuple[int, bool], list[str]] = {}
    for name, shape in parameters:
        exempt = len(shape) == 1 or name in ("cls_token", "pos_embed")
        key = (layer_of(name, depth), exempt)
        members.setdefault(key, []).append(name)
        groups[key] = {
            "names": members[key],
            "lr_scale": layer_scale(name, depth, decay),
            "weight_decay": 0.0 if exempt else weight_decay,
        }
    return list(groups.values())
