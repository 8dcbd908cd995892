"""What Deformable DETR is made of, as the recipes build it, against the original implementation.

The network uses mmdet's classes; so these are checked, with the settings of the full recipe. Where
mmdet differs from the original by design, the test says how.
"""

from pathlib import Path

import numpy as np
import pytest
import torch

from urbanssl.detect import registration
from urbanssl.detect.detreg_head import embedding_loss
from urbanssl.ops.deform_attn import deformable_attention, deformable_attention_gradients

from mmcv.ops import MultiScaleDeformableAttention  # isort: skip
from mmdet.models.layers import SinePositionalEncoding, inverse_sigmoid  # isort: skip
from mmdet.registry import MODELS  # isort: skip
from mmdet.structures.bbox import (  # isort: skip
    bbox_cxcywh_to_xyxy,
    bbox_overlaps,
    bbox_xyxy_to_cxcywh,
)
from mmengine.config import Config  # isort: skip
from mmengine.registry import DefaultScope  # isort: skip
from mmengine.structures import InstanceData  # isort: skip

assert registration.__doc__
RECIPE = Path(__file__).parents[2] / "config" / "models" / "deformable_detr_r50.py"
TINY = RECIPE.with_name("deformable_detr_tiny.py")


@pytest.fixture(autouse=True)
def scope():
    with DefaultScope.overwrite_default_scope("mmdet"):
        yield


def head(classes, layers=1, recipe=RECIPE, two_stage=False, **changes):
    config = Config.fromfile(str(recipe)).model
    settings = {**config.bbox_head, "num_classes": classes, "embed_dims": 8, **changes}
    built = {"num_pred_layer": layers + two_stage, "as_two_stage": two_stage}
    parts = {"train_cfg": config.train_cfg, "test_cfg": config.test_cfg}
    return MODELS.build({**settings, **built, **parts})


def double(vectors, key):
    return torch.from_numpy(vectors[key]).double()


def samples(vectors, case, key="mm_img_hw"):
    """Targets of a case as mmdet takes them: boxes in pixels, and the images' sizes."""
    counts = [int(n) for n in vectors[f"{case}_counts"]]
    if f"{case}_{key}" in vectors:
        sizes = vectors[f"{case}_{key}"].tolist()
    else:
        sizes = [[64 + 32 * n, 128] for n in range(len(counts))]
    labels = torch.from_numpy(vectors[f"{case}_labels"]).split(counts)
    boxes = double(vectors, f"{case}_boxes").split(counts)
    truths, metas = [], []
    for label, box, (height, width) in zip(labels, boxes, sizes, strict=True):
        scale = box.new_tensor([width, height, width, height])
        truths.append(InstanceData(bboxes=bbox_cxcywh_to_xyxy(box) * scale, labels=label))
        metas.append({"img_shape": (height, width)})
    return truths, metas


def test_box_operations(golden):
    vectors = golden("detr_boxops.npz")
    ours = inverse_sigmoid(double(vectors, "x"), eps=1e-5)
    vectors.compare("inverse sigmoid", ours, vectors["inverse_sigmoid"], 1e-12, 1e-14)
    for name in "ab":
        corners = bbox_cxcywh_to_xyxy(double(vectors, f"{name}_cxcywh"))
        vectors.compare(f"{name} corners", corners, vectors[f"{name}_xyxy"], 1e-12, 1e-14)
    back = bbox_xyxy_to_cxcywh(double(vectors, "a_xyxy"))
    vectors.compare("a centre and size", back, vectors["a_back"], 1e-12, 1e-14)


def test_overlaps(golden):
    """mmdet floors the union at 1e-6: two boxes without area have 0 where the original has NaN."""
    vectors = golden("detr_boxops.npz")
    # In pixels, as the network uses them, the floor does not touch boxes that have an area.
    one, other = double(vectors, "a_xyxy") * 1e6, double(vectors, "b_xyxy") * 1e6
    for mode in ("iou", "giou"):
        expected = vectors[mode]
        ours = bbox_overlaps(one, other, mode).numpy()
        assert np.isfinite(ours).all()
        defined = np.isfinite(expected)
        vectors.compare(mode, ours[defined], expected[defined], 1e-9, 1e-12)


def test_deformable_attention(golden):
    vectors = golden("detr_msda.npz")
    for case in vectors.cases("loc"):
        if case.endswith("_grad"):
            continue
        shapes = [tuple(row) for row in vectors[f"{case}_shapes"].tolist()]
        value, spots, shares = (
            double(vectors, f"{case}_{name}") for name in ("value", "loc", "att")
        )
        ours = deformable_attention(value, shapes, spots, shares)
        vectors.compare(f"{case} output", ours, vectors[f"{case}_out"], 1e-9, 1e-12)
        single = deformable_attention(value.float(), shapes, spots.float(), shares.float())
        vectors.compare(f"{case} output, float32", single, vectors[f"{case}_out"], 1e-4, 1e-5)
        if f"{case}_grad_out" in vectors:
            upstream = double(vectors, f"{case}_grad_out")
            found = deformable_attention_gradients(value, shapes, spots, shares, upstream)
            for name, gradient in zip(("value", "loc", "att"), found, strict=True):
                # A location on the line between two pixels has no gradient: none is stored.
                if f"{case}_grad_{name}" in vectors:
                    expected = vectors[f"{case}_grad_{name}"]
                    vectors.compare(f"{case} gradient of {name}", gradient, expected, 1e-9, 1e-12)


def test_deformable_attention_module(golden):
    vectors = golden("detr_msda.npz")
    for case in vectors.cases("cfg"):
        width, levels, heads, points = (int(n) for n in vectors[f"{case}_cfg"])
        module = MultiScaleDeformableAttention(
            width, heads, levels, points, dropout=0.0, batch_first=True
        )
        start = module.sampling_offsets.bias.detach()
        vectors.compare(f"{case} first offsets", start, vectors[f"init_{case}_bias"], 0, 1e-6)
        state = vectors.prefixed(f"{case}_sd__")
        module.load_state_dict({k: torch.from_numpy(v) for k, v in state.items()})
        module.double().eval()
        shapes = torch.from_numpy(vectors[f"{case}_shapes"])
        query = double(vectors, f"{case}_query")
        for mask, name in ((f"{case}_pad_mask", "out"), (None, "out_nomask")):
            with torch.no_grad():
                ours = module(
                    query,
                    value=double(vectors, f"{case}_input"),
                    identity=torch.zeros_like(query),
                    key_padding_mask=None if mask is None else torch.from_numpy(vectors[mask]),
                    reference_points=double(vectors, f"{case}_ref"),
                    spatial_shapes=shapes,
                )
            vectors.compare(f"{case} module {name}", ours, vectors[f"{case}_{name}"], 1e-9, 1e-12)


def test_positions(golden):
    vectors = golden("detr_posembed.npz")
    offset = Config.fromfile(str(RECIPE)).model.positional_encoding.offset
    for case in vectors.cases("mask"):
        features, normalize = (int(n) for n in vectors[f"{case}_cfg"])
        encoding = SinePositionalEncoding(features, normalize=bool(normalize), offset=offset)
        mask = torch.from_numpy(vectors[f"{case}_mask"])
        valid = np.broadcast_to(~vectors[f"{case}_mask"][:, None], vectors[f"{case}_pos"].shape)
        # Where a row or column is padding alone, its last count is 0 and the number is noise.
        ours = encoding(mask).numpy()[valid]
        vectors.compare(f"{case} positions", ours, vectors[f"{case}_pos"][valid], 0, 1e-5)


def test_matcher(golden):
    vectors = golden("detr_matcher.npz")
    for case in vectors.cases("counts"):
        truths, metas = samples(vectors, case)
        logits, boxes = (double(vectors, f"{case}_pred_{n}") for n in ("logits", "boxes"))
        assigner = head(logits.shape[-1]).assigner
        for number, (truth, meta) in enumerate(zip(truths, metas, strict=True)):
            height, width = meta["img_shape"]
            scale = boxes.new_tensor([width, height, width, height])
            corners = bbox_cxcywh_to_xyxy(boxes[number]) * scale
            predicted = InstanceData(scores=logits[number], bboxes=corners)
            name = f"{case} image {number}"
            if len(truth):
                cost = sum(part(predicted, truth, meta) for part in assigner.match_costs)
                vectors.compare(
                    f"{name} cost", cost, vectors[f"{case}_cost_img{number}"], 1e-8, 1e-9
                )
            assigned = assigner.assign(predicted, truth, meta).gt_inds
            queries = (assigned > 0).nonzero().flatten()
            expected = vectors[f"{case}_query_idx_img{number}"]
            vectors.compare(f"{name} queries", queries, expected)
            targets = vectors[f"{case}_target_idx_img{number}"]
            vectors.compare(f"{name} targets", assigned[queries] - 1, targets)


def layers_of(vectors, case):
    """Logits and boxes of all decoder layers, the last one last, requiring gradients."""
    names = sorted(
        k for k in vectors.data if k.startswith(f"{case}_aux") and k.endswith("_pred_boxes")
    )
    names = [*names, f"{case}_pred_boxes"]
    boxes = [double(vectors, name).requires_grad_() for name in names]
    logits = [double(vectors, n.replace("boxes", "logits")).requires_grad_() for n in names]
    return logits, boxes


def matched_share(vectors, case, truths, queries):
    """All objects over matched ones: mmdet divides by the latter, the original by the former."""
    total = sum(len(truth) for truth in truths)
    return max(total, 1) / max(sum(min(len(truth), queries) for truth in truths), 1)


OFFICIAL = {"loss_cls": ("ce", 2.0), "loss_bbox": ("bbox", 5.0), "loss_iou": ("giou", 2.0)}


def test_losses(golden):
    vectors = golden("detr_criterion.npz")
    for case in vectors.cases("counts"):
        truths, metas = samples(vectors, case)
        logits, boxes = layers_of(vectors, case)
        first = None, None
        if f"{case}_enc_pred_boxes" in vectors:
            first = (
                double(vectors, f"{case}_enc_pred_logits"),
                double(vectors, f"{case}_enc_pred_boxes"),
            )
        module = head(logits[0].shape[-1], len(logits), two_stage=first[0] is not None)
        losses = module.loss_by_feat(torch.stack(logits), torch.stack(boxes), *first, truths, metas)
        share = matched_share(vectors, case, truths, logits[0].shape[1])
        for name, loss in losses.items():
            loss = loss.sum().detach()
            expected = vectors[f"{case}_mm_{name}"].sum()
            vectors.compare(f"{case} {name}, mmdet", loss, expected, 1e-5, 1e-5)
            layer, _, kind = name.rpartition(".")
            kind, suffix = kind.removeprefix("enc_"), layer.replace("d", "_")
            if "enc_" in name:
                suffix = "_enc"
            key, weight = OFFICIAL[kind]
            original = weight * share * vectors[f"{case}_loss_{key}{suffix}"]
            vectors.compare(f"{case} {name}, original", loss, original, 1e-6, 1e-6)
        parts = torch.autograd.grad(sum(losses.values()).sum(), [logits[-1], boxes[-1]])
        for name, gradient in zip(("logits", "boxes"), parts, strict=True):
            expected = vectors[f"{case}_mm_grad_pred_{name}"]
            vectors.compare(f"{case} gradient of {name}", gradient, expected, 1e-4, 1e-5)


def test_embedding_loss(golden):
    vectors = golden("detr_criterion.npz")
    for case in vectors.cases("loss_object_embedding"):
        truths, metas = samples(vectors, case)
        logits, boxes = layers_of(vectors, case)
        pretraining = TINY.with_name("detreg_tiny.py")
        pairs = head(1, recipe=pretraining)._pairs(
            logits[-1].detach(), boxes[-1].detach(), truths, metas
        )
        described = double(vectors, f"{case}_pred_features").requires_grad_()
        counts = [len(truth) for truth in truths]
        wanted = double(vectors, f"{case}_target_features").split(counts)
        loss = embedding_loss(
            torch.cat([described[n, queries] for n, (queries, _) in enumerate(pairs)]),
            torch.cat([w[objects] for w, (_, objects) in zip(wanted, pairs, strict=True)]),
        )
        expected = vectors[f"{case}_loss_object_embedding"]
        vectors.compare(f"{case} embedding loss", loss.detach(), expected, 1e-6, 1e-7)
        gradient = torch.autograd.grad(loss, described)[0]
        expected = vectors[f"{case}_grad_pred_features"]
        vectors.compare(f"{case} embedding gradient", gradient, expected, 1e-4, 1e-6)


def test_first_stage_with_one_logit_has_the_originals_box_losses(golden):
    """Its class loss lacks the logits of classes that the original never uses."""
    vectors = golden("detr_criterion.npz")
    for case in vectors.cases("enc_pred_boxes"):
        truths, metas = samples(vectors, case)
        logits, boxes = layers_of(vectors, case)
        module = head(logits[0].shape[-1], len(logits), TINY, two_stage=True, first_stage_matches=1)
        first = double(vectors, f"{case}_enc_pred_logits")
        losses = module.loss_by_feat(
            torch.stack(logits),
            torch.stack(boxes),
            first[..., :1],
            double(vectors, f"{case}_enc_pred_boxes"),
            truths,
            metas,
        )
        unused = first[..., 1:].sigmoid()
        rest = 0.75 * unused**2 * -(1 - unused).log()
        rest = 2.0 * rest.sum() / sum(len(truth) for truth in truths)
        share = matched_share(vectors, case, truths, first.shape[1])
        for name, (key, weight) in OFFICIAL.items():
            ours = losses[f"enc_{name}"].detach() + (rest if name == "loss_cls" else 0)
            original = weight * share * vectors[f"{case}_loss_{key}_enc"]
            vectors.compare(f"{case} first stage {name}", ours, original, 1e-6, 1e-6)


def test_boxes_of_a_prediction(golden):
    """mmdet clips boxes to the image, the original does not."""
    vectors = golden("detr_postprocess.npz")
    logits, boxes = (torch.from_numpy(vectors[f"pred_{name}"]) for name in ("logits", "boxes"))
    module = head(logits.shape[-1])
    module.test_cfg = {"max_per_img": vectors["scores"].shape[1]}
    for number, (height, width) in enumerate(vectors["target_sizes"].tolist()):
        found = module._predict_by_feat_single(
            logits[number], boxes[number], {"img_shape": (height, width)}, rescale=False
        )
        name = f"image {number}"
        vectors.compare(f"{name} scores", found.scores, vectors["scores"][number], 1e-5)
        vectors.compare(f"{name} labels", found.labels, vectors["labels"][number])
        expected = vectors["boxes"][number].clip(0, [width, height, width, height])
        vectors.compare(f"{name} boxes", found.bboxes, expected, 1e-5, 1e-4)
