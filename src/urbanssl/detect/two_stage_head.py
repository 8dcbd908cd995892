"""Head of Deformable DETR whose first stage asks only whether something is there.

Source: Zhu et al. 2021, Deformable DETR, appendix A.4 (two-stage: a binary classification of
every pixel of the encoder); several matches an object: Jia et al. 2023, H-DETR, section 3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmcv.ops import batched_nms
from mmdet.models.dense_heads import DeformableDETRHead
from mmdet.registry import MODELS
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy, bbox_overlaps, bbox_xyxy_to_cxcywh
from mmdet.utils import reduce_mean
from mmengine.model import bias_init_with_prob
from mmengine.structures import InstanceData
from torch import Tensor, nn

#: Predictions of which this share lies within an ignored object are not background.
_IGNORED_SHARE = 0.5


def not_ignored(boxes: Tensor, meta: Mapping[str, Any]) -> Tensor:
    """Return 1 for predicted boxes that may count as background, 0 for those on ignored objects.

    Args:
        boxes: predictions of one image `(N, 4)`, centre and size, 0 to 1.
        meta: the image's `img_shape` and, where it has such objects, `ignored`: their boxes in
            pixels `(M, 4)`.
    """
    ignored = meta.get("ignored")
    if ignored is None or not len(ignored):
        return boxes.new_ones(len(boxes))
    height, width = meta["img_shape"][:2]
    corners = bbox_cxcywh_to_xyxy(boxes.detach()) * boxes.new_tensor([width, height] * 2)
    inside = bbox_overlaps(corners, ignored.to(corners), mode="iof").amax(1)
    return (inside < _IGNORED_SHARE).to(boxes.dtype)


@MODELS.register_module()
class TwoStageHead(DeformableDETRHead):
    """mmdet's `DeformableDETRHead` with one objectness logit in the first stage.

    mmdet gives the first stage one logit a class and uses the first alone. With one logit, the
    first stage of a class-agnostic pretraining (DETReg) fits a detector of any number of classes.
    And objects marked to be ignored (cut by the tile's edge) are not background, where mmdet's
    head knows no such objects. Without a first stage and such objects it is mmdet's head.
    """

    def __init__(self, *args: Any, first_stage_matches: int = 1, **kwargs: Any) -> None:
        """Make the layers.

        Args:
            *args: as of `DeformableDETRHead`.
            first_stage_matches: pixels of the encoder that each object is matched to; the paper
                has 1. More give the encoder more to learn from; the second stage, matched one to
                one, tells duplicates apart.
            **kwargs: as of `DeformableDETRHead`.
        """
        self.first_stage_matches = first_stage_matches
        super().__init__(*args, **kwargs)

    def _init_layers(self) -> None:
        super()._init_layers()
        if self.as_two_stage:
            self.cls_branches[-1] = nn.Linear(self.embed_dims, 1)

    def init_weights(self) -> None:
        """Draw the weights; every class starts at a probability of 0.01."""
        super().init_weights()
        nn.init.constant_(self.cls_branches[-1].bias, bias_init_with_prob(0.01))

    def loss(  # type: ignore[override]
        self,
        hidden_states: Tensor,
        references: list[Tensor],
        enc_outputs_class: Tensor | None,
        enc_outputs_coord: Tensor | None,
        batch_data_samples: Sequence[Any],
    ) -> dict[str, Tensor]:
        """Return the losses of a batch.

        Args:
            hidden_states: `(layers, B, Q, width)`.
            references: reference points of every decoder layer.
            enc_outputs_class: objectness of the first stage, or None.
            enc_outputs_coord: boxes of the first stage, or None.
            batch_data_samples: with `gt_instances` and `ignored_instances`, boxes in pixels.
        """
        truths = [sample.gt_instances for sample in batch_data_samples]
        metas = [
            {**sample.metainfo, "ignored": sample.ignored_instances.bboxes}
            if "ignored_instances" in sample
            else sample.metainfo
            for sample in batch_data_samples
        ]
        logits, boxes = self(hidden_states, references)
        return self.loss_by_feat(logits, boxes, enc_outputs_class, enc_outputs_coord, truths, metas)

    def _get_targets_single(
        self, cls_score: Tensor, bbox_pred: Tensor, gt_instances: InstanceData, img_meta: dict
    ) -> tuple:
        labels, weights, *rest = super()._get_targets_single(
            cls_score, bbox_pred, gt_instances, img_meta
        )
        background = labels == self.num_classes
        weights = torch.where(background, not_ignored(bbox_pred, img_meta), weights)
        return (labels, weights, *rest)

    def loss_by_feat(
        self,
        all_layers_cls_scores: Tensor,
        all_layers_bbox_preds: Tensor,
        enc_cls_scores: Tensor | None,
        enc_bbox_preds: Tensor | None,
        batch_gt_instances: list[InstanceData],
        batch_img_metas: list[dict],
        batch_gt_instances_ignore: list[InstanceData] | None = None,
    ) -> dict[str, Tensor]:
        """Return the losses of every decoder layer and of the first stage.

        Args:
            all_layers_cls_scores: logits `(layers, B, Q, classes)`.
            all_layers_bbox_preds: boxes `(layers, B, Q, 4)`, centre and size, 0 to 1.
            enc_cls_scores: objectness logits of the first stage `(B, S, 1)`, or None.
            enc_bbox_preds: its boxes `(B, S, 4)`, or None.
            batch_gt_instances: boxes in pixels and labels of every image.
            batch_img_metas: with `img_shape` of every image.
            batch_gt_instances_ignore: not used.
        """
        losses = super().loss_by_feat(
            all_layers_cls_scores,
            all_layers_bbox_preds,
            None,
            None,
            batch_gt_instances,
            batch_img_metas,
            batch_gt_instances_ignore,
        )
        if enc_cls_scores is not None and enc_bbox_preds is not None:
            losses.update(
                self._first_stage_losses(
                    enc_cls_scores, enc_bbox_preds, batch_gt_instances, batch_img_metas
                )
            )
        return losses

    def _first_stage_losses(
        self,
        logits: Tensor,
        boxes: Tensor,
        truths: Sequence[InstanceData],
        metas: Sequence[dict],
    ) -> dict[str, Tensor]:
        places, wanted, sizes = [], [], []
        for number, (truth, meta) in enumerate(zip(truths, metas, strict=True)):
            matched, target = self._match(logits[number], boxes[number], truth, meta)
            places.append(matched + number * boxes.shape[1])
            wanted.append(target)
            height, width = meta["img_shape"][:2]
            sizes.append(boxes.new_tensor([width, height, width, height]).expand_as(target))
        place, target, size = torch.cat(places), torch.cat(wanted), torch.cat(sizes)
        count = reduce_mean(logits.new_tensor(float(len(place)))).clamp(min=1)
        # In mmdet the label behind the last class, here 1, is the background.
        labels = torch.ones(logits.shape[:2].numel(), dtype=torch.long, device=logits.device)
        labels[place] = 0
        pairs = zip(boxes, metas, strict=True)
        weights = torch.cat([not_ignored(image_boxes, meta) for image_boxes, meta in pairs])
        weights[place] = 1
        found = boxes.flatten(0, 1)[place]
        corners = bbox_cxcywh_to_xyxy(found) * size
        return {
            "enc_loss_cls": self.loss_cls(logits.flatten(0, 1), labels, weights, avg_factor=count),
            "enc_loss_bbox": self.loss_bbox(found, target, avg_factor=count),
            "enc_loss_iou": self.loss_iou(
                corners, bbox_cxcywh_to_xyxy(target) * size, avg_factor=count
            ),
        }

    def _match(
        self, logits: Tensor, boxes: Tensor, truth: InstanceData, meta: dict
    ) -> tuple[Tensor, Tensor]:
        """Return the places matched to an object, and their target boxes (normalised cxcywh)."""
        height, width = meta["img_shape"][:2]
        size = boxes.new_tensor([width, height, width, height])
        copies = truth.bboxes.repeat(self.first_stage_matches, 1)
        wanted = InstanceData(
            bboxes=copies,
            labels=torch.zeros(len(copies), dtype=torch.long, device=boxes.device),
        )
        predicted = InstanceData(scores=logits, bboxes=bbox_cxcywh_to_xyxy(boxes) * size)
        assigned = self.assigner.assign(predicted, wanted, meta).gt_inds
        places = (assigned > 0).nonzero().flatten()
        return places, bbox_xyxy_to_cxcywh(copies[assigned[places] - 1] / size)

    def _predict_by_feat_single(self, *args: Any, **kwargs: Any) -> InstanceData:
        """Return the boxes of one image, without repeats where the recipe asks for that.

        Two decoder layers trained for minutes do not learn to keep quiet about an object that
        another query has found; `test_cfg.nms` then drops the repeats of each class.
        """
        found = super()._predict_by_feat_single(*args, **kwargs)
        nms = (self.test_cfg or {}).get("nms")
        if nms is None or not len(found):
            return found
        _, kept = batched_nms(found.bboxes, found.scores, found.labels, dict(nms))
        return found[kept]
