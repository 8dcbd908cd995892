"""ViTDet's parts against detectron2's."""

import numpy as np
import torch

from urbanssl.ops import bridge

bridge.install()

from urbanssl.detect.layer_decay import layer_decay_factor  # noqa: E402
from urbanssl.detect.relative_position import (  # noqa: E402
    relative_bias,
    relative_rows,
    resize_positions,
    window_partition,
    window_unpartition,
)
from urbanssl.detect.sfp import SimpleFeaturePyramid  # noqa: E402
from urbanssl.detect.vit import ViTDetBackbone  # noqa: E402


def weights(vectors, prefix="sd__"):
    return {name: torch.from_numpy(v) for name, v in vectors.prefixed(prefix).items()}


def test_windows(golden):
    vectors = golden("vitdet_window_relpos.npz")
    for case in vectors.cases("windows"):
        tokens = torch.from_numpy(vectors[f"{case}_x"])
        side = int(vectors[f"{case}_window"])
        windows, padded = window_partition(tokens, side)
        vectors.compare(f"{case} windows", windows, vectors[f"{case}_windows"])
        vectors.compare(f"{case} padded size", padded, vectors[f"{case}_padded_hw"])
        back = window_unpartition(windows, side, padded, tokens.shape[1:3])
        vectors.compare(f"{case} put together again", back, tokens)


def test_relative_positions(golden):
    vectors = golden("vitdet_window_relpos.npz")
    for case in vectors.cases("sizes"):
        q_h, q_w, k_h, k_w = (int(side) for side in vectors[f"{case}_sizes"])
        query, logits, table_h, table_w = (
            torch.from_numpy(vectors[f"{case}_{name}"]) for name in ("q", "attn", "rel_h", "rel_w")
        )
        bias = relative_bias(query, table_h, table_w, (q_h, q_w), (k_h, k_w))
        vectors.compare(f"{case} logits", logits + bias, vectors[f"{case}_out"], 1e-10, 1e-12)
        rows = relative_rows(q_h, k_h, table_h)
        vectors.compare(f"{case} rows", rows, vectors[f"{case}_Rh"], 1e-10, 1e-12)


def test_absolute_positions_on_another_grid(golden):
    vectors = golden("vitdet_window_relpos.npz")
    for case in vectors.cases("pos"):
        stored = torch.from_numpy(vectors[f"{case}_pos"])
        side = int((stored.shape[1] - 1) ** 0.5)
        class_token = side * side == stored.shape[1] - 1
        expected = vectors[f"{case}_out"]
        ours = resize_positions(stored, expected.shape[1:3], class_token)
        vectors.compare(f"{case} positions", ours, expected, 1e-4, 1e-5)


def backbone(vectors):
    image, patch, width, depth, heads, window, pretrained = (int(n) for n in vectors["config"])
    state = weights(vectors)
    windows = {int(n) for n in vectors["window_blocks"]}
    model = ViTDetBackbone(
        img_size=image,
        patch_size=patch,
        embed_dims=width,
        depth=depth,
        num_heads=heads,
        mlp_ratio=state["blocks.0.mlp.fc1.weight"].shape[0] / width,
        window_size=window,
        global_blocks=[number for number in range(depth) if number not in windows],
        pretrain_img_size=pretrained,
    )
    model.load_state_dict(state)
    return model.eval()


def test_backbone(golden):
    vectors = golden("vitdet_vit.npz")
    model, image = backbone(vectors), torch.from_numpy(vectors["image"])
    with torch.no_grad():
        vectors.compare("map, float32", model(image)[0], vectors["out"], 1e-3, 1e-4)
        exact = model.double()(image.double())[0]
    vectors.compare("map, float64", exact, vectors["out"], 1e-9, 1e-10)


def test_feature_pyramid(golden):
    vectors = golden("vitdet_sfp.npz")
    state, image = weights(vectors), torch.from_numpy(vectors["x"])
    levels = sorted((k for k in vectors.data if k[0] == "p" and k[1:].isdigit()), key=len)
    shapes = [vectors[name].shape[-1] for name in levels]
    scales = [side / image.shape[-1] for side in shapes[:-1]]
    stride = int(2 ** int(levels[0][1:]) * scales[0])
    neck = SimpleFeaturePyramid(image.shape[1], vectors[levels[0]].shape[1], stride, scales)
    neck.load_state_dict(state)
    with torch.no_grad():
        rough = neck((image,))
        exact = neck.double()((image.double(),))
    assert len(exact) == len(levels)
    for name, single, double in zip(levels, rough, exact, strict=True):
        vectors.compare(f"{name}, float32", single, vectors[name], 1e-3, 1e-4)
        # The file holds the float64 results rounded to float32.
        vectors.compare(f"{name}, float64", double, vectors[name], 1e-6, 1e-6)


def test_layer_decay(golden):
    vectors = golden("vitdet_lr_decay.npz")
    for case in vectors.cases("cfg"):
        decay, layers = vectors[f"{case}_cfg"]
        ours = [
            layer_decay_factor(str(name), float(decay), int(layers))
            for name in vectors[f"{case}_names"]
        ]
        vectors.compare(f"{case} factors", np.array(ours), vectors[f"{case}_factor"], 1e-12)
