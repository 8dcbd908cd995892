"""DETReg: pretraining a detector to find proposals and to embed them as SwAV does.

Source: Bar et al. 2022, DETReg: Unsupervised Pretraining with Region Priors for Object Detection.
"""

from __future__ import annotations

from typing import Any

import torch
from mmdet.registry import MODELS
from mmdet.structures import SampleList
from torch import Tensor

from urbanssl.detect.deformable_detr import CompactDeformableDETR


@MODELS.register_module()
class DETReg(CompactDeformableDETR):
    """Deformable DETR with `DETRegHead` and a frozen embedder that makes its targets.

    The boxes of `gt_instances` are class-agnostic proposals; images without any are welcome.
    """

    def __init__(
        self, *args: Any, embedder: dict[str, Any], frozen_backbone: bool = True, **kwargs: Any
    ) -> None:
        """Build detector and embedder.

        Args:
            *args: as of `DeformableDETR`.
            embedder: config of the embedder, with its weights.
            frozen_backbone: the backbone keeps its (SwAV) weights, as in the paper.
            **kwargs: as of `DeformableDETR`.
        """
        super().__init__(*args, **kwargs)
        self.embedder = MODELS.build(embedder)
        self.frozen_backbone = frozen_backbone
        if frozen_backbone:
            self.backbone.requires_grad_(False)
        self.train()

    def train(self, mode: bool = True) -> DETReg:
        """Switch to training; a frozen backbone stays in evaluation mode."""
        super().train(mode)
        if self.frozen_backbone:
            self.backbone.eval()
        return self

    def loss(self, batch_inputs: Tensor, batch_data_samples: SampleList) -> dict[str, Tensor]:
        """Return the losses of a batch.

        Args:
            batch_inputs: normalised images `(B, 3, H, W)`.
            batch_data_samples: their proposals, `gt_instances.bboxes` in pixels.
        """
        images = self._pixels(batch_inputs)
        for image, sample in zip(images, batch_data_samples, strict=True):
            truth = sample.gt_instances
            truth.labels = torch.zeros_like(truth.labels)
            truth.embeddings = self.embedder.embed_boxes(image, truth.bboxes)
        return super().loss(batch_inputs, batch_data_samples)

    def _pixels(self, normalised: Tensor) -> Tensor:
        """Return images as uint8, as they were before the preprocessor."""
        raw = normalised * self.data_preprocessor.std + self.data_preprocessor.mean
        return raw.round().clamp(0, 255).to(torch.uint8)

    def exported_state(self) -> dict[str, Tensor]:
        """Return the detector's weights, without the embedder's: those are SwAV's."""
        state = self.state_dict()
        return {name: value for name, value in state.items() if not name.startswith("embedder.")}
