"""Every recipe of a detector builds, reads its pipeline and takes a training step."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.logging import MMLogger
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from safetensors.torch import save_file

from urbanssl.classes import CLASSES
from urbanssl.detect import registration
from urbanssl.engine.detection_data import TileItems
from urbanssl.engine.weights import load_weights
from urbanssl.errors import WeightsError
from urbanssl.load_settings import load_settings

from mmdet.registry import MODELS  # isort: skip

RECIPES = Path(__file__).parents[2] / "config" / "models"
TINY = ("deformable_detr_tiny.py", "detreg_tiny.py", "vitdet_tiny.py")
FULL = ("deformable_detr_r50.py", "detreg_r50.py", "vitdet_vit-b.py")

assert registration.__doc__


@pytest.fixture(scope="module", autouse=True)
def quiet():
    MMLogger.get_instance("mmengine", log_level="ERROR")
    with DefaultScope.overwrite_default_scope("mmdet"):
        yield


@pytest.fixture(scope="module")
def swav_file(tmp_path_factory):
    """Weights of an untrained ResNet under SwAV's names, by depth."""
    folder = tmp_path_factory.mktemp("swav")

    def made(depth):
        path = folder / f"{depth}.safetensors"
        if not path.is_file():
            state = getattr(torchvision.models, f"resnet{depth}")().state_dict()
            save_file({k: v for k, v in state.items() if not k.startswith("fc.")}, path)
        return path

    return made


def recipe(name, swav_file):
    config = Config.fromfile(str(RECIPES / name), import_custom_modules=True)
    if "embedder" in config.model:
        config.model.embedder.weights = str(swav_file(config.model.embedder.depth))
    return config


def network(config):
    model = MODELS.build(config.model)
    model.init_weights()
    return model.train()


def tiles(folder, size, boxes, labels):
    """Shard of one tile: dark ground, bright boxes; and its item."""
    image = np.full((1, size, size, 3), 60, dtype=np.uint8)
    for x1, y1, x2, y2 in np.asarray(boxes, dtype=int).reshape(-1, 4):
        image[0, y1:y2, x1:x2] = 220
    path = folder / "tiles.npy"
    np.save(path, image)
    found = [
        {"bbox": list(map(float, box)), "bbox_label": label, "ignore_flag": 0}
        for box, label in zip(boxes, labels, strict=True)
    ]
    return {
        "img_id": 0,
        "img_path": "scene/image/0_0",
        "height": size,
        "width": size,
        "tile": (str(path), 0),
        "instances": found,
    }


BOXES, LABELS = [[10, 12, 50, 40], [70, 60, 110, 120]], [0, 0]


def batch(config, items, seed=0):
    data = TileItems(items, config.train_pipeline, ("object",), seed)
    return pseudo_collate([data[(seed, number)] for number in range(len(items))])


def step(model, config, wrapper, data):
    losses = model.train_step(data, wrapper)
    return {name: float(value) for name, value in losses.items()}


def small(config, side):
    """The same recipe with small images: the sizes of its resizing are replaced."""
    pipeline = [
        entry
        for entry in config.train_pipeline
        if not entry.type.startswith(("RandomC", "RandomResize", "Resize", "Pad"))
    ]
    resize = {"type": "Resize", "scale": (side, side), "keep_ratio": False}
    config.train_pipeline = [*pipeline[:2], resize, *pipeline[2:]]
    return config


@pytest.mark.parametrize("name", TINY)
def test_tiny_recipe_takes_a_training_step(name, swav_file, tmp_path):
    config = recipe(name, swav_file)
    model = network(config)
    before = {key: value.clone() for key, value in model.named_parameters()}
    wrapper = build_optim_wrapper(model, config.optim_wrapper)
    losses = step(model, config, wrapper, batch(config, [tiles(tmp_path, 128, BOXES, LABELS)] * 2))
    assert all(np.isfinite(list(losses.values())))
    learning = [key for key, value in model.named_parameters() if value.requires_grad]
    still = [key for key in learning if torch.equal(before[key], model.get_parameter(key))]
    assert len(still) < 0.1 * len(learning), still


@pytest.mark.slow
@pytest.mark.parametrize("name", FULL)
def test_full_recipe_takes_a_training_step(name, swav_file, tmp_path):
    config = small(recipe(name, swav_file), 128)
    model = network(config)
    wrapper = build_optim_wrapper(model, config.optim_wrapper)
    losses = step(model, config, wrapper, batch(config, [tiles(tmp_path, 128, BOXES, LABELS)]))
    assert all(np.isfinite(list(losses.values())))


@pytest.mark.slow
@pytest.mark.parametrize("name", FULL)
def test_pipeline_of_a_full_recipe_gives_a_tile_with_its_boxes(name, swav_file, tmp_path):
    config = recipe(name, swav_file)
    data = batch(config, [tiles(tmp_path, 512, BOXES, LABELS)])
    assert data["inputs"][0].shape[0] == 3
    assert len(data["data_samples"][0].gt_instances) <= len(BOXES)


FINETUNED = ("deformable_detr_tiny.py", "vitdet_tiny.py")


def test_every_arm_has_a_network_whose_first_class_is_tested_below():
    settings = load_settings(RECIPES.parent / "config.yaml")
    assert {Path(arm.recipe).name for arm in settings.detect.arms.values()} == set(FINETUNED)
    assert settings.labels.classes[0] == CLASSES[0]


@pytest.mark.parametrize("name", FINETUNED)
def test_first_class_is_learned_and_predicted(name, swav_file, tmp_path):
    """Label 0 is a class, not the background: a tile with nothing else must come back."""
    torch.manual_seed(0)
    config = small(recipe(name, swav_file), 128)
    config.train_pipeline = [e for e in config.train_pipeline if not e.type.startswith("Random")]
    config.optim_wrapper.optimizer.lr = 1e-3
    model = network(config)
    wrapper = build_optim_wrapper(model, config.optim_wrapper)
    data = batch(config, [tiles(tmp_path, 128, BOXES, LABELS)])
    for _ in range(100):
        step(model, config, wrapper, data)
    found = predict(model, data).pred_instances
    best = found[found.scores.argsort(descending=True)[:2]]
    assert best.labels.tolist() == [0, 0]
    assert best.scores.min() > 0.1
    gaps = (best.bboxes[:, None] - torch.tensor(BOXES).float()[None]).abs().amax(-1).amin(0)
    assert gaps.max() < 12, best.bboxes


def predict(model, data):
    samples = [sample.clone() for sample in data["data_samples"]]
    model.eval()
    with torch.no_grad():
        return model.test_step({"inputs": data["inputs"], "data_samples": samples})[0]


@pytest.mark.parametrize("name", ["deformable_detr_tiny.py", "detreg_tiny.py", "vitdet_tiny.py"])
def test_batch_without_boxes_is_trained_on(name, swav_file, tmp_path):
    config = recipe(name, swav_file)
    model = network(config)
    wrapper = build_optim_wrapper(model, config.optim_wrapper)
    data = batch(config, [tiles(tmp_path, 96, [], [])] * 2)
    losses = step(model, config, wrapper, data)
    assert all(np.isfinite(list(losses.values())))
    if name == "detreg_tiny.py":
        assert losses["loss_embedding"] == 0


def test_detreg_trains_on_a_mixed_batch_and_keeps_a_frozen_backbone(swav_file, tmp_path):
    config = recipe("detreg_tiny.py", swav_file)
    config.model.frozen_backbone = True
    model = network(config)
    load_weights(model, swav_file(18), prefixes={"": "backbone."})
    before = {k: v.clone() for k, v in model.state_dict().items() if "backbone" in k}
    folder = tmp_path / "empty"
    folder.mkdir()
    items = [tiles(tmp_path, 96, BOXES[:1], [0]), tiles(folder, 96, [], [])]
    wrapper = build_optim_wrapper(model, config.optim_wrapper)
    losses = step(model, config, wrapper, batch(config, items))
    assert losses["loss_embedding"] > 0
    assert all(torch.equal(value, model.state_dict()[key]) for key, value in before.items())


def test_detreg_without_embedder_weights_is_refused():
    config = Config.fromfile(str(RECIPES / "detreg_tiny.py"), import_custom_modules=True)
    with pytest.raises(WeightsError, match="SwAV"):
        MODELS.build(config.model)


@pytest.mark.parametrize(
    ("pretrained", "finetuned"), [("detreg_tiny.py", "deformable_detr_tiny.py")]
)
def test_detreg_weights_start_the_detector_without_its_classes(
    pretrained, finetuned, swav_file, tmp_path
):
    source = network(recipe(pretrained, swav_file))
    path = tmp_path / "detreg.safetensors"
    state = source.exported_state()
    assert not any(name.startswith("embedder.") for name in state)
    save_file({name: value.clone() for name, value in state.items()}, path)
    config = recipe(finetuned, swav_file)
    model = network(config)
    how = config.initial_weights["detreg"]
    report = load_weights(model, path, how["expected"], how["prefixes"], how["skip"])
    assert report.share == 1
    own = model.state_dict()
    last = len(model.bbox_head.cls_branches) - 1
    left_out = {name for name in own if name not in report.matched and "num_batches" not in name}
    assert left_out == {
        f"bbox_head.cls_branches.{layer}.{part}"
        for layer in range(last)
        for part in ("weight", "bias")
    }


def test_swav_weights_fill_the_whole_backbone(swav_file):
    config = recipe("deformable_detr_tiny.py", swav_file)
    how = config.initial_weights["swav"]
    model = network(config)
    report = load_weights(model, swav_file(18), how["expected"], how["prefixes"])
    wanted = [n for n in model.backbone.state_dict() if not n.endswith("num_batches_tracked")]
    assert len(report.matched) == len(wanted)
