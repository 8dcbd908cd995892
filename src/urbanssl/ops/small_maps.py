"""Convolutions of maps a few pixels wide, as matrix products.

Crops of 48 pixels end as maps of 2 x 2: most of a 3 x 3 kernel then lies on padding, and CPU
convolutions multiply that too, in pieces too small to be fast. One product for each place of the
output, of the pixels and weights that meet there, takes a fifth of the time for outputs of 2 x 2
and three quarters for 3 x 3 (`benchmarks/small_maps.py`).
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

#: Side of the largest output that is made of products; from 4 x 4 on convolutions are faster.
LARGEST = 3


class SmallMapConv2d(nn.Conv2d):
    """A convolution that gives the same numbers, faster where its output is small, on CPU."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return `(N, O, h, w)` of `(N, C, H, W)`, as `torch.nn.Conv2d` does."""
        rows, columns = (self._meetings(images.shape[2 + axis], axis) for axis in (0, 1))
        if images.device.type != "cpu" or max(len(rows), len(columns)) > LARGEST:
            return super().forward(images)
        pixels, weight = images.permute(0, 2, 3, 1), self.weight.permute(0, 2, 3, 1)
        places = [
            functional.linear(
                pixels[:, y, x].flatten(1), weight[:, above, beside].flatten(1), self.bias
            )
            for y, above in rows
            for x, beside in columns
        ]
        return torch.stack(places, 1).unflatten(1, (len(rows), len(columns))).permute(0, 3, 1, 2)

    def _meetings(self, side: int, axis: int) -> list[tuple[slice, slice]]:
        """Return which pixels and which weights meet at each place of the output, on an axis."""
        kernel, pad = self.kernel_size[axis], int(self.padding[axis])
        found = []
        for first in range(-pad, side + pad - kernel + 1, self.stride[axis]):
            low = max(first, 0)
            high = max(low, min(first + kernel, side))
            found.append((slice(low, high), slice(low - first, high - first)))
        return found


def with_small_maps(network: nn.Module) -> nn.Module:
    """Make `SmallMapConv2d` of the plain convolutions of a network, in place.

    Convolutions of 1 x 1 are products already; those in groups, dilated, or padded by other than
    zeros stay as they are.
    """
    for layer in network.modules():
        if type(layer) is nn.Conv2d and _is_plain(layer):
            layer.__class__ = SmallMapConv2d  # another `forward`, and nothing else
    return network


def _is_plain(layer: nn.Conv2d) -> bool:
    return (
        max(layer.kernel_size) > 1
        and layer.groups == 1
        and set(layer.dilation) == {1}
        and layer.padding_mode == "zeros"
        and not isinstance(layer.padding, str)
    )
