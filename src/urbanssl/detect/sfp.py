"""The simple feature pyramid of ViTDet: all levels from the last map of a plain ViT.

Source: Li et al. 2022, Exploring Plain Vision Transformer Backbones for Object Detection,
section 3 (simple feature pyramid) and appendix A.2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch.nn.functional as F
from mmdet.registry import MODELS
from mmengine.model import BaseModule
from torch import Tensor, nn


@MODELS.register_module()
class PixelLayerNorm(nn.LayerNorm):
    """Layer norm over the channels of every pixel of a map `(B, C, H, W)`."""

    def __init__(self, num_features: int, eps: float = 1e-6) -> None:
        super().__init__(num_features, eps)

    def forward(self, maps: Tensor) -> Tensor:
        """Normalise; the shape stays."""
        return super().forward(maps.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class NormedConv(nn.Conv2d):
    """A convolution without bias, followed by a layer norm over channels."""

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__(inputs, outputs, kernel, padding=kernel // 2, bias=False)
        self.norm = PixelLayerNorm(outputs)

    def forward(self, maps: Tensor) -> Tensor:
        """Convolve and normalise."""
        return self.norm(super().forward(maps))


def _rescale(channels: int, scale: float) -> tuple[list[nn.Module], int]:
    """Return the layers that scale a map by a power of 2, and its channels afterwards."""
    if scale == 4.0:
        layers: list[nn.Module] = [
            nn.ConvTranspose2d(channels, channels // 2, 2, 2),
            PixelLayerNorm(channels // 2),
            nn.GELU(),
            nn.ConvTranspose2d(channels // 2, channels // 4, 2, 2),
        ]
        return layers, channels // 4
    if scale == 2.0:
        return [nn.ConvTranspose2d(channels, channels // 2, 2, 2)], channels // 2
    if scale == 1.0:
        return [], channels
    if scale == 0.5:
        return [nn.MaxPool2d(2, 2)], channels
    raise ValueError(f"scale {scale} of the feature pyramid is none of 4, 2, 1, 0.5")


@MODELS.register_module()
class SimpleFeaturePyramid(BaseModule):
    """Feature pyramid from one map: each level is scaled from it alone."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int = 256,
        stride: int = 16,
        scales: Sequence[float] = (4.0, 2.0, 1.0, 0.5),
        extra_level: bool = True,
        init_cfg: dict | None = None,
    ) -> None:
        """Make the layers.

        Args:
            in_channels: channels of the map.
            out_channels: channels of every level.
            stride: stride of the map in pixels.
            scales: scale of each level against the map, of 4, 2, 1 and 0.5.
            extra_level: add every second pixel of the last level as a level of its own.
            init_cfg: as of every mmengine module.
        """
        super().__init__(init_cfg)
        self.extra_level = extra_level
        self._stages: list[str] = []
        for scale in scales:
            layers, channels = _rescale(in_channels, scale)
            layers += [
                NormedConv(channels, out_channels, 1),
                NormedConv(out_channels, out_channels, 3),
            ]
            name = f"simfp_{int(math.log2(stride / scale))}"
            self.add_module(name, nn.Sequential(*layers))
            self._stages.append(name)

    def forward(self, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Turn the map `inputs[-1]` `(B, C, H, W)` into the levels, finest first."""
        levels = [self.get_submodule(name)(inputs[-1]) for name in self._stages]
        if self.extra_level:
            levels.append(F.max_pool2d(levels[-1], 1, 2))
        return tuple(levels)
