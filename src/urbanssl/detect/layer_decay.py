"""Layer-wise decay of the learning rate, for finetuning a plain ViT.

Source: Li et al. 2022, Exploring Plain Vision Transformer Backbones for Object Detection,
appendix A.2; idea: Clark et al. 2020, ELECTRA.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from mmengine.optim import OptimWrapper
from mmengine.optim.optimizer import OptimWrapperDict
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS, OPTIMIZERS
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

_NORMS = (nn.LayerNorm, nn.GroupNorm, _NormBase)


def layer_decay_factor(name: str, decay: float, layers: int) -> float:
    """Return the factor on the learning rate of a parameter, by its name in the whole model.

    Positions and patches of the backbone have `decay ** (layers + 1)`, block i has
    `decay ** (layers - i)`, everything else has 1.

    Args:
        name: such as `backbone.blocks.3.attn.qkv.weight`.
        decay: factor from one layer to the one before.
        layers: number of blocks of the backbone.
    """
    layer = layers + 1
    if name.startswith("backbone"):
        block = re.search(r"\.blocks\.(\d+)\.", name)
        if ".pos_embed" in name or ".patch_embed" in name:
            layer = 0
        elif block and ".residual." not in name:
            layer = int(block.group(1)) + 1
    return decay ** (layers + 1 - layer)


def _decayless(model: nn.Module) -> Iterator[str]:
    """Yield the names of norm parameters and absolute positions: their weights do not decay."""
    for prefix, module in model.named_modules():
        for name, _ in module.named_parameters(prefix, recurse=False):
            if isinstance(module, _NORMS) or name.endswith("pos_embed"):
                yield name


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LayerDecayConstructor:
    """Builds an optimiser with a parameter group for every layer of the backbone.

    In a recipe: `optim_wrapper = dict(constructor="LayerDecayConstructor", paramwise_cfg=dict(
    decay_rate=0.7, num_layers=12), ...)`.
    """

    def __init__(self, optim_wrapper_cfg: dict[str, Any], paramwise_cfg: dict[str, Any]) -> None:
        """Keep what was asked for.

        Args:
            optim_wrapper_cfg: the recipe's `optim_wrapper` without constructor and paramwise_cfg.
            paramwise_cfg: `decay_rate`, factor from a layer to the one before, and `num_layers`,
                number of blocks.
        """
        self.wrapper = dict(optim_wrapper_cfg)
        self.decay = float(paramwise_cfg["decay_rate"])
        self.layers = int(paramwise_cfg["num_layers"])

    def __call__(self, model: nn.Module) -> OptimWrapper | OptimWrapperDict:
        """Return the wrapped optimiser of a model."""
        # A model wrapped for several processes has its names behind `module.`.
        model = getattr(model, "module", model)
        options = dict(self.wrapper.pop("optimizer"))
        rate, weight_decay = options["lr"], options.get("weight_decay", 0.0)
        fixed = set(_decayless(model))
        groups: dict[tuple[float, bool], dict[str, Any]] = {}
        for name, parameter in model.named_parameters():
            if not parameter.requires_grad:
                continue
            factor = layer_decay_factor(name, self.decay, self.layers)
            group = groups.setdefault(
                (factor, name in fixed),
                {
                    "params": [],
                    "lr": rate * factor,
                    "weight_decay": 0.0 if name in fixed else weight_decay,
                },
            )
            group["params"].append(parameter)
        optimizer = OPTIMIZERS.build({**options, "params": list(groups.values())})
        wrapper = {"type": "OptimWrapper", **self.wrapper}
        return OPTIM_WRAPPERS.build(wrapper, default_args={"optimizer": optimizer})
