"""DETReg's head: is there an object, where, and what would SwAV say of it.

Source: Bar et al. 2022, DETReg, section 3.2, equations 1 to 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmdet.registry import MODELS
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy
from mmengine.structures import InstanceData
from torch import Tensor, nn

from urbanssl.detect.two_stage_head import TwoStageHead


def embedding_loss(predicted: Tensor, wanted: Tensor) -> Tensor:
    """Return the mean absolute difference over pairs and numbers; 0 where there is no pair.

    Args:
        predicted: embeddings of the matched queries `(pairs, D)`.
        wanted: embeddings of the objects they are matched to.
    """
    if not len(predicted):
        # Still part of the graph: with several processes every one must have the same gradients.
        return predicted.sum()
    return (predicted - wanted).abs().mean()


@MODELS.register_module()
class DETRegHead(TwoStageHead):
    """Class-agnostic head with an embedding of every object, on the last decoder layer."""

    def __init__(
        self,
        *args: Any,
        embedding_channels: int = 512,
        embedding_weight: float = 1.0,
        **kwargs: Any,
    ) -> None:
        """Make the layers.

        Args:
            *args: as of `TwoStageHead`.
            embedding_channels: numbers of a target embedding.
            embedding_weight: weight of the embedding loss.
            **kwargs: as of `TwoStageHead`; `num_classes` is 1 whatever it says.
        """
        self.embedding_channels = embedding_channels
        self.embedding_weight = embedding_weight
        super().__init__(*args, **{**kwargs, "num_classes": 1})

    def _init_layers(self) -> None:
        super()._init_layers()
        self.embedding_branch = nn.Sequential(
            nn.Linear(self.embed_dims, self.embed_dims),
            nn.ReLU(),
            nn.Linear(self.embed_dims, self.embedding_channels),
        )

    def loss(  # type: ignore[override]
        self,
        hidden_states: Tensor,
        references: list[Tensor],
        enc_outputs_class: Tensor | None,
        enc_outputs_coord: Tensor | None,
        batch_data_samples: Sequence[Any],
    ) -> dict[str, Tensor]:
        """Return the losses of Deformable DETR and the embedding loss.

        Args:
            hidden_states: `(layers, B, Q, width)`.
            references: reference points of every decoder layer.
            enc_outputs_class: objectness of the first stage, or None.
            enc_outputs_coord: boxes of the first stage, or None.
            batch_data_samples: with `gt_instances`: `bboxes` in pixels, `labels` (all 0) and
                `embeddings` `(objects, embedding_channels)`.
        """
        truths = [sample.gt_instances for sample in batch_data_samples]
        metas = [sample.metainfo for sample in batch_data_samples]
        logits, boxes = self(hidden_states, references)
        losses = self.loss_by_feat(
            logits, boxes, enc_outputs_class, enc_outputs_coord, truths, metas
        )
        described = self.embedding_branch(hidden_states[-1])
        pairs = self._pairs(logits[-1].detach(), boxes[-1].detach(), truths, metas)
        predicted = [described[n, queries] for n, (queries, _) in enumerate(pairs)]
        wanted = [t.embeddings[objects] for t, (_, objects) in zip(truths, pairs, strict=True)]
        losses["loss_embedding"] = self.embedding_weight * embedding_loss(
            torch.cat(predicted), torch.cat(wanted)
        )
        return losses

    def _pairs(
        self,
        logits: Tensor,
        boxes: Tensor,
        truths: Sequence[InstanceData],
        metas: Sequence[dict],
    ) -> list[tuple[Tensor, Tensor]]:
        """Return for every image the matched queries and the objects they are matched to."""
        pairs = []
        for number, (truth, meta) in enumerate(zip(truths, metas, strict=True)):
            height, width = meta["img_shape"][:2]
            corners = bbox_cxcywh_to_xyxy(boxes[number])
            corners = corners * corners.new_tensor([width, height, width, height])
            predicted = InstanceData(scores=logits[number], bboxes=corners)
            assigned = self.assigner.assign(predicted, truth, meta).gt_inds
            queries = (assigned > 0).nonzero().flatten()
            pairs.append((queries, assigned[queries] - 1))
        return pairs
