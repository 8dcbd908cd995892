import argparse

import pytest
import torch
import torchvision
from mmengine.logging.history_buffer import HistoryBuffer
from torch import nn

from urbanssl.engine.weight_files import read_weights, weights_about, write_weights
from urbanssl.engine.weights import load_weights
from urbanssl.errors import WeightsError


class Detector(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = torchvision.models.resnet18()
        del self.backbone.fc
        self.head = nn.Linear(4, 2)


class Tokens(nn.Module):
    def __init__(self, tokens):
        super().__init__()
        self.pos_embed = nn.Parameter(torch.zeros(1, tokens, 8))


@pytest.fixture
def resnet():
    torch.manual_seed(1)
    return torchvision.models.resnet18().state_dict()


def test_official_swav_checkpoint_fills_the_backbone_of_a_detector(tmp_path, resnet):
    state = {f"module.{name}": value for name, value in resnet.items() if "fc" not in name}
    state |= {"module.projection_head.0.weight": torch.ones(4, 512)}
    state |= {"module.prototypes.weight": torch.ones(6, 4)}
    torch.save({"epoch": 400, "state_dict": state}, tmp_path / "swav.pth.tar")
    model = Detector()
    report = load_weights(model, tmp_path / "swav.pth.tar", 1.0, {"": "backbone."})
    assert (report.kind, report.share) == ("swav", 1.0)
    assert torch.equal(model.backbone.conv1.weight, resnet["conv1.weight"])
    assert torch.equal(
        model.backbone.layer1[0].bn1.running_mean, resnet["layer1.0.bn1.running_mean"]
    )


def test_wrong_key_level_is_refused_with_the_names_instead_of_loading_nothing(tmp_path, resnet):
    torch.save({f"encoder.{n}": v for n, v in resnet.items()}, tmp_path / "other.pth")
    with pytest.raises(
        WeightsError, match=r"(?s)0 of the.*backbone\.conv1\.weight.*encoder\.conv1"
    ):
        load_weights(Detector(), tmp_path / "other.pth", 1.0, {"": "backbone."})


def test_fewer_tensors_than_expected_are_refused_and_enough_are_not(tmp_path, resnet):
    half = {name: value for name, value in resnet.items() if not name.startswith("layer4")}
    torch.save(half, tmp_path / "half.pth")
    with pytest.raises(WeightsError, match=r"backbone\.layer4\.0\.conv1\.weight"):
        load_weights(Detector(), tmp_path / "half.pth", 0.99, {"": "backbone."})
    assert load_weights(Detector(), tmp_path / "half.pth", 0.5, {"": "backbone."}).share < 0.99


def test_refused_weights_leave_the_network_as_it_was(tmp_path, resnet):
    torch.save({"conv1.weight": resnet["conv1.weight"]}, tmp_path / "one.pth")
    model = Detector()
    before = model.backbone.conv1.weight.clone()
    with pytest.raises(WeightsError):
        load_weights(model, tmp_path / "one.pth", 0.5, {"": "backbone."})
    assert torch.equal(model.backbone.conv1.weight, before)


def test_tensor_of_another_shape_is_named_with_both_shapes(tmp_path):
    write_weights(tmp_path / "w.safetensors", {"weight": torch.ones(3, 3)}, {})
    with pytest.raises(WeightsError, match=r"weight: \(3, 3\) in file, \(2, 3\)"):
        load_weights(nn.Linear(3, 2, bias=False), tmp_path / "w.safetensors")


@pytest.mark.parametrize("name", ["w.safetensors", "w.pth"])
def test_a_file_that_is_not_there_is_not_called_damaged(tmp_path, name):
    with pytest.raises(WeightsError, match=r"is not there\n.*give the path"):
        load_weights(nn.Linear(3, 2), tmp_path / name)


def test_skipped_names_may_be_missing(tmp_path):
    write_weights(tmp_path / "w.safetensors", {"bias": torch.ones(2)}, {})
    model = nn.Linear(3, 2)
    assert load_weights(model, tmp_path / "w.safetensors", skip=["^weight"]).share == 1
    assert model.bias.tolist() == [1, 1]


@pytest.mark.parametrize(("in_file", "in_model"), [(17, 50), (17, 16), (16, 49), (50, 17)])
def test_position_embedding_is_resized_and_an_unused_class_token_goes(tmp_path, in_file, in_model):
    positions = torch.rand(1, 1, 8).expand(1, in_file, 8).contiguous()
    write_weights(tmp_path / "w.safetensors", {"pos_embed": positions}, {})
    model = Tokens(in_model)
    report = load_weights(model, tmp_path / "w.safetensors")
    assert report.resized == ("pos_embed",)
    assert torch.allclose(model.pos_embed, positions[:, :1].expand(1, in_model, 8), atol=1e-5)


def test_mae_release_with_its_command_line_inside_is_read(tmp_path):
    state = {"mask_token": torch.zeros(1, 1, 4), "decoder_embed.weight": torch.zeros(4, 4)}
    content = {"model": state, "args": argparse.Namespace(lr=1.0), "epoch": 3}
    torch.save(content, tmp_path / "mae.pth")
    read, kind = read_weights(tmp_path / "mae.pth")
    assert (set(read), kind) == (set(state), "mae")


def test_mmengine_checkpoint_with_its_logs_inside_is_read(tmp_path):
    hub = {"loss": HistoryBuffer([1.0, 2.0], [1, 1])}
    state = {"bbox_head.weight": torch.ones(2)}
    torch.save({"state_dict": state, "message_hub": hub}, tmp_path / "epoch_1.pth")
    assert read_weights(tmp_path / "epoch_1.pth")[1] == "detector"


def test_mmpretrain_vit_gets_the_names_of_timm(tmp_path):
    state = {
        "backbone.patch_embed.projection.weight": torch.zeros(2),
        "backbone.layers.0.ln1.weight": torch.zeros(2),
        "backbone.layers.0.attn.qkv.weight": torch.zeros(2),
        "backbone.layers.3.ffn.layers.0.0.bias": torch.zeros(2),
        "backbone.layers.3.ffn.layers.1.bias": torch.zeros(2),
        "backbone.ln1.weight": torch.zeros(2),
    }
    torch.save({"state_dict": state}, tmp_path / "vit.pth")
    names, kind = read_weights(tmp_path / "vit.pth")
    assert kind == "vit"
    assert set(names) == {
        "patch_embed.proj.weight",
        "blocks.0.norm1.weight",
        "blocks.0.attn.qkv.weight",
        "blocks.3.mlp.fc1.bias",
        "blocks.3.mlp.fc2.bias",
        "norm.weight",
    }


class _Evil:
    def __reduce__(self):
        return (print, ("this ran",))


def test_a_file_that_would_run_code_is_refused(tmp_path, capsys):
    torch.save({"state_dict": _Evil()}, tmp_path / "evil.pth")
    with pytest.raises(WeightsError, match="plain tensors"):
        read_weights(tmp_path / "evil.pth")
    assert "this ran" not in capsys.readouterr().out


def test_text_travels_with_the_weights(tmp_path):
    write_weights(tmp_path / "w.safetensors", {"a": torch.ones(1)}, {"seed": "3"})
    assert weights_about(tmp_path / "w.safetensors") == {"seed": "3"}


def test_truncated_file_is_named(tmp_path):
    (tmp_path / "cut.safetensors").write_bytes(b"123")
    with pytest.raises(WeightsError, match=r"cut\.safetensors"):
        read_weights(tmp_path / "cut.safetensors")
