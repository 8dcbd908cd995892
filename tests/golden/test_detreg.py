"""DETReg's targets: which boxes, what SwAV sees in them."""

import numpy as np
import torch
import torchvision
from torchvision.ops import FrozenBatchNorm2d

from urbanssl.ops import bridge

bridge.install()

from urbanssl.ssl.detreg_embedding import LowerStages, crop_patches  # noqa: E402
from urbanssl.ssl.detreg_targets import (  # noqa: E402
    box_areas,
    crop_boxes,
    first_proposals,
    flip_boxes,
    normalise_boxes,
    resize_boxes,
    resized_size,
)


def stand_in(state):
    """The narrow ResNet that the vectors were made with: blocks and widths from its weights."""
    blocks = [
        len({name.split(".")[1] for name in state if name.startswith(f"layer{stage}.")})
        for stage in (1, 2)
    ]
    network = torchvision.models.ResNet(
        torchvision.models.resnet.Bottleneck,
        [*blocks, 1, 1],
        width_per_group=state["layer1.0.conv1.weight"].shape[0],
        norm_layer=FrozenBatchNorm2d,
    )
    model = LowerStages(network)
    model.load_state_dict(state)
    return model.eval()


def test_embeddings(golden):
    """Option `intermediate`, the default; the option `head` is not offered."""
    vectors = golden("detreg_embedding.npz")
    image = torch.from_numpy(vectors["image"]).permute(2, 0, 1)
    expected = vectors["patch_u8"]
    patches = crop_patches(image, torch.from_numpy(vectors["boxes_xyxy"]), expected.shape[1])
    vectors.compare("patches", patches.permute(0, 2, 3, 1), expected, 0, 1)
    state = {name: torch.from_numpy(v) for name, v in vectors.prefixed("tv__").items()}
    with torch.no_grad():
        ours = stand_in(state)(patches)
    vectors.compare("embeddings", ours, vectors["intermediate"], 1e-3, 1e-4)


def test_targets_of_an_image(golden):
    """The vectors' `area` is the original's x2 * y2, which is no area and is not ours."""
    vectors = golden("detreg_targets.npz")
    size = vectors["image"].shape[:2]
    boxes = first_proposals(vectors["proposals_xyxy"], int(vectors["max_prop"]))
    after = tuple(int(side) for side in vectors["val_size"])
    assert after == tuple(vectors["val_image_shape"][1:])
    ours = normalise_boxes(resize_boxes(boxes, size, after), after)
    vectors.compare("boxes", ours, vectors["val_boxes"], 1e-6, 1e-7)


def test_chain_of_transforms(golden):
    vectors = golden("detreg_targets.npz")
    width = vectors["image"].shape[1]
    boxes = flip_boxes(vectors["proposals_xyxy"], width)
    vectors.compare("flipped", boxes, vectors["chain_flip_boxes"], 1e-6, 1e-5)
    region = tuple(int(number) for number in vectors["chain_region"])
    boxes, kept = crop_boxes(boxes, region)
    vectors.compare("kept by the crop", kept, vectors["chain_kept"])
    vectors.compare("cropped", boxes, vectors["chain_crop_boxes"], 1e-6, 1e-5)
    vectors.compare(
        "areas after the crop", box_areas(boxes), vectors["chain_crop_area"], 1e-6, 1e-3
    )
    before = region[2:]
    after = resized_size(before, *(int(number) for number in vectors["chain_resize"]))
    vectors.compare("size", after, vectors["chain_size"])
    boxes = resize_boxes(boxes, before, after)
    vectors.compare("resized", boxes, vectors["chain_resize_boxes"], 1e-6, 1e-4)
    vectors.compare("areas", box_areas(boxes), vectors["chain_resize_area"], 1e-5, 1e-2)
    vectors.compare("boxes", normalise_boxes(boxes, after), vectors["chain_boxes"], 1e-6, 1e-6)


def test_resized_sizes(golden):
    """The vectors' sizes are for a short side of 480 and a long side of at most 600."""
    vectors = golden("detreg_targets.npz")
    ours = [resized_size((int(h), int(w)), 480, 600) for h, w in vectors["size_in"]]
    vectors.compare("resized sizes", np.array(ours), vectors["size_out"])
