"""Weights of others start our networks; ours load into the networks of others, strictly."""

from pathlib import Path

import pytest
import timm
import torch
import torchvision
from mmengine.config import Config
from safetensors.torch import load_file

from urbanssl.engine.weight_files import read_weights, write_weights
from urbanssl.engine.weights import load_weights
from urbanssl.errors import WeightsError
from urbanssl.ssl.mae_model import MAE
from urbanssl.ssl.swav_model import SwAV

MODELS = Path(__file__).parents[2] / "config" / "models"
CROPS = [{"count": 2, "size": 32, "scale": (0.2, 1.0)}]


def start(network, path, recipe):
    """Fill a network as its recipe says for a file of any origin."""
    how = Config.fromfile(MODELS / recipe, import_custom_modules=False).initial_weights["file"]
    return load_weights(network, path, **how)


@pytest.fixture(scope="module")
def resnet():
    torch.manual_seed(1)
    return torchvision.models.resnet18().state_dict()


def official_swav(resnet):
    heads = SwAV("resnet18", CROPS, 8, (16, 4)).state_dict()
    kept = {n: v for n, v in heads.items() if not n.startswith("backbone.")}
    state = {n: v for n, v in resnet.items() if not n.startswith("fc.")} | kept
    return {"epoch": 400, "state_dict": {f"module.{n}": v for n, v in state.items()}}


def torchvisions(resnet):
    return resnet


def mmpretrains(resnet):
    body = {f"backbone.{n}": v for n, v in resnet.items() if not n.startswith("fc.")}
    return {"state_dict": body | {"head.fc.weight": resnet["fc.weight"]}, "meta": {"epoch": 1}}


@pytest.mark.parametrize("made", [official_swav, torchvisions, mmpretrains])
def test_swav_starts_from_a_resnet_of_any_origin(tmp_path, resnet, made):
    torch.save(made(resnet), tmp_path / "w.pth.tar")
    network = SwAV("resnet18", CROPS, 8, (16, 4))
    report = start(network, tmp_path / "w.pth.tar", "swav_tiny.py")
    assert report.share == 1
    assert torch.equal(network.backbone.layer4[1].conv2.weight, resnet["layer4.1.conv2.weight"])
    if made is official_swav:
        given = made(resnet)["state_dict"]
        assert report.kind == "swav"
        assert network.prototypes.weight.shape == given["module.prototypes.weight"].shape


def test_a_resnet_with_a_layer_missing_does_not_start_swav(tmp_path, resnet):
    short = {name: value for name, value in resnet.items() if name != "layer3.1.bn2.weight"}
    torch.save(short, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=r"(?s)missing.*backbone\.layer3\.1\.bn2\.weight"):
        start(SwAV("resnet18", CROPS, 8, (16, 4)), tmp_path / "w.pth", "swav_tiny.py")


def small_mae():
    return MAE(64, 16, 32, 2, 2, 16, 1, 2)


def small_timm(**how):
    shape = {"img_size": 64, "patch_size": 16, "embed_dim": 32, "depth": 2, "num_heads": 2}
    return timm.models.VisionTransformer(**shape, **how)


@pytest.mark.parametrize(
    "how",
    [
        {"num_classes": 10},
        # MAE's fine-tuning pools the patches: its norm is called otherwise.
        {"num_classes": 10, "global_pool": "avg"},
    ],
)
def test_mae_starts_from_a_transformer_of_any_origin(tmp_path, how):
    state = small_timm(**how).state_dict()
    torch.save({"model": state, "epoch": 3}, tmp_path / "vit.pth")
    network = small_mae()
    report = start(network, tmp_path / "vit.pth", "mae_tiny.py")
    assert (report.kind, report.share) == ("vit", 1)
    assert torch.equal(network.blocks[1].attn.qkv.weight, state["blocks.1.attn.qkv.weight"])


def test_official_mae_fills_the_decoder_too(tmp_path):
    given = small_mae().state_dict()
    torch.save({"model": given}, tmp_path / "mae.pth")
    network = small_mae()
    report = start(network, tmp_path / "mae.pth", "mae_vit-b.py")
    assert report.kind == "mae"
    assert torch.equal(network.decoder_pred.weight, given["decoder_pred.weight"])


def written(tmp_path, network):
    write_weights(tmp_path / "encoder.safetensors", network.encoder_state(), {})
    return load_file(tmp_path / "encoder.safetensors")


def test_resnet50_of_swav_loads_into_torchvision_and_mmdet_strictly(tmp_path):
    from urbanssl.ops.bridge import install

    install()
    from mmdet.models.backbones import ResNet

    encoder = written(tmp_path, SwAV("resnet50", CROPS, 8, (16, 4)))
    theirs = torchvision.models.resnet50()
    theirs.fc = torch.nn.Identity()
    theirs.load_state_dict(encoder, strict=True)
    detectors = ResNet(depth=50)
    detectors.load_state_dict(encoder, strict=True)
    images = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        detectors.eval()
        last = detectors(images)[-1]
        assert torch.allclose(last.mean((2, 3)), theirs.eval()(images), atol=1e-5)


def test_small_transformer_of_mae_loads_into_timm_strictly_and_sees_the_same(tmp_path):
    network, theirs = small_mae(), small_timm(num_classes=0)
    theirs.load_state_dict(written(tmp_path, network), strict=True)
    images = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        assert torch.allclose(theirs.forward_features(images), network.encode(images), atol=1e-5)


@pytest.mark.slow
def test_vit_b_of_mae_loads_into_timm_strictly(tmp_path):
    encoder = written(tmp_path, MAE(224, 16, 768, 12, 12, 64, 1, 2))
    timm.create_model("vit_base_patch16_224", num_classes=0).load_state_dict(encoder, strict=True)


def test_ours_are_read_back_as_what_they_are(tmp_path):
    write_weights(
        tmp_path / "w.safetensors", SwAV("resnet18", CROPS, 8, (16, 4)).exported_state(), {}
    )
    assert read_weights(tmp_path / "w.safetensors")[1] == "swav"
