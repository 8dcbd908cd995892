"""DETReg's embedding targets: what a frozen SwAV encoder sees in the box of each proposal.

Source: Bar et al. 2022, DETReg, section 3.2 (object embedding task).
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
import torchvision
from mmdet.registry import MODELS
from torch import Tensor, nn
from torchvision.ops import FrozenBatchNorm2d

from urbanssl.engine.weights import load_weights
from urbanssl.errors import WeightsError

#: Mean and standard deviation of ImageNet's channels, of images from 0 to 1.
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def crop_patches(image: Tensor, boxes: Tensor, size: int) -> Tensor:
    """Cut boxes out of an image and resize them to squares.

    Corners are rounded to whole pixels (halves to even) and pixels outside the image are black, as
    Pillow's crop does; a box below one pixel has one. Resizing is bilinear, with antialiasing
    where a crop shrinks.

    Args:
        image: `(3, H, W)` uint8.
        boxes: `(N, 4)`, x1, y1, x2, y2 in pixels.
        size: side of the patches in pixels.

    Returns:
        `(N, 3, size, size)` uint8.
    """
    patches = image.new_empty(len(boxes), 3, size, size)
    for patch, corners in zip(patches, boxes.round().long().tolist(), strict=True):
        left, top = corners[:2]
        right, bottom = max(corners[2], left + 1), max(corners[3], top + 1)
        inside = image[:, max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
        before = (min(-min(left, 0), right - left), min(-min(top, 0), bottom - top))
        missing = (
            right - left - before[0] - inside.shape[2],
            bottom - top - before[1] - inside.shape[1],
        )
        crop = F.pad(inside, (before[0], missing[0], before[1], missing[1]))
        patch.copy_(_resized(crop, size))
    return patches


def _resized(crop: Tensor, size: int) -> Tensor:
    """Resize as Pillow does: along rows, to whole levels, then along columns."""
    image = crop[None].float()
    for shape in ((crop.shape[1], size), (size, size)):
        image = F.interpolate(image, shape, mode="bilinear", antialias=True)
        image = (image + 0.5).floor().clamp(0, 255)
    return image[0]


class LowerStages(nn.Module):
    """The first layers of a ResNet, up to its second stage, averaged over the place."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: torchvision.models.ResNet) -> None:
        """Take the layers of a network; their names stay."""
        super().__init__()
        self.conv1, self.bn1 = network.conv1, network.bn1
        self.layer1, self.layer2 = network.layer1, network.layer2
        self.register_buffer("mean", 255 * torch.tensor(MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", 255 * torch.tensor(STD).view(3, 1, 1), persistent=False)

    def forward(self, patches: Tensor) -> Tensor:
        """Return embeddings `(N, channels)` of patches `(N, 3, size, size)` uint8."""
        images = (patches - self.mean) / self.std
        maps = F.relu(self.bn1(self.conv1(images)))
        maps = self.layer1(F.max_pool2d(maps, 3, 2, 1))
        return self.layer2(maps).mean((2, 3))


@MODELS.register_module()
class ObjectEmbedder(LowerStages):
    """A frozen SwAV encoder, never trained, with the batch statistics of its weights."""

    def __init__(
        self, weights: str | None = None, depth: int = 50, patch: int = 128, expected: float = 1.0
    ) -> None:
        """Build the encoder and load its weights.

        Args:
            weights: SwAV weights, with the names of torchvision's ResNet.
            depth: 18 or 50.
            patch: side in pixels to which the crops are resized; the paper has 128.
            expected: share of the encoder's tensors that the file must fill.

        Raises:
            WeightsError: there is no file, or it does not fit.
        """
        if weights is None:
            raise WeightsError.at(
                "DETReg's `embedder.weights`",
                "no file is given: targets made by a random encoder would teach nothing",
                "pretrain SwAV first, or name a file with SwAV weights",
            )
        network = torchvision.models.get_model(
            f"resnet{depth}", weights=None, norm_layer=FrozenBatchNorm2d
        )
        super().__init__(network)
        self.patch = patch
        self.channels = 128 if depth == 18 else 512
        load_weights(self, Path(weights), expected=expected)
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> ObjectEmbedder:
        """Stay in evaluation mode whatever is asked."""
        return super().train(False)

    @torch.no_grad()
    def embed_boxes(self, image: Tensor, boxes: Tensor) -> Tensor:
        """Return embeddings `(N, channels)` of the boxes `(N, 4)` of an image `(3, H, W)` uint8."""
        if not len(boxes):
            return boxes.new_zeros(0, self.channels)
        return self(crop_patches(image, boxes, self.patch))
