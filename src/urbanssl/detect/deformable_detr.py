"""Deformable DETR for small networks: mmdet's detector, two-stage at any width.

Source: Zhu et al. 2021, Deformable DETR, appendix A.4 (two-stage).
"""

from __future__ import annotations

import math

import torch
from mmdet.models.detectors import DeformableDETR
from mmdet.registry import MODELS
from torch import Tensor


def box_sine_embedding(boxes: Tensor, features: int, temperature: float = 10000.0) -> Tensor:
    """Return sines and cosines of each of a box's four numbers.

    Args:
        boxes: `(N, Q, 4)`, centre and size, 0 to 1.
        features: numbers for each of the four, even.
        temperature: ratio between the longest and the shortest wave length.

    Returns:
        `(N, Q, 4 * features)`, sine and cosine alternating.
    """
    place = torch.arange(features // 2, dtype=boxes.dtype, device=boxes.device)
    angle = boxes[..., None] * 2 * math.pi / temperature ** (2 * place / features)
    return torch.stack([angle.sin(), angle.cos()], -1).flatten(2)


@MODELS.register_module()
class CompactDeformableDETR(DeformableDETR):
    """mmdet's `DeformableDETR` whose two-stage form works at other widths than 256.

    mmdet embeds the boxes of the first stage in 4 x 128 numbers whatever the width of the
    network; here it is twice the width, as its own layers expect.
    """

    def get_proposal_pos_embed(self, proposals: Tensor) -> Tensor:  # type: ignore[override]
        """Return the embedding `(N, Q, 2 * width)` of box logits `(N, Q, 4)`."""
        return box_sine_embedding(proposals.sigmoid(), self.embed_dims // 2)
