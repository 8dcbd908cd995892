"""mmdet's own configs are arms as they are: colours, schedule, start and the whole path."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from mmengine.dataset import Compose
from mmengine.registry import DefaultScope
from PIL import Image

from urbanssl.artifacts import read_json
from urbanssl.detect import registration
from urbanssl.detect.predict import _batch, input_size, takes_bgr
from urbanssl.engine.detection_data import TileItems
from urbanssl.engine.mmdet_recipe import house_recipe
from urbanssl.engine.recipe import in_steps, thaw
from urbanssl.errors import TrainingError
from urbanssl.recipe_file import recipe_file

from mmdet.registry import MODELS  # isort: skip

assert registration.__doc__
ROOT = Path(__file__).parents[2]
FASTER = "mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py"
RTMDET = "mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py"


def recipe(name, steps=200):
    return house_recipe(Path(recipe_file(name)), steps)


def test_a_path_is_a_recipe_too_and_a_name_lies_in_mmdets_package():
    assert recipe_file("config/models/vitdet_tiny.py") == "config/models/vitdet_tiny.py"
    assert Path(recipe_file(FASTER)).is_file()


@pytest.mark.parametrize("name", [FASTER, RTMDET])
def test_a_tile_has_the_colours_that_mmdets_own_tools_would_give_the_network(name, tmp_path):
    tile = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    np.save(tmp_path / "tiles.npy", tile[None])
    Image.fromarray(tile).save(tmp_path / "tile.png")
    config = recipe(name)
    packing = {"type": "PackDetInputs", "meta_keys": ()}
    preprocess = MODELS.build({**config.model.data_preprocessor, "_scope_": "mmdet"})
    item = {"img_id": 0, "img_path": "t", "height": 64, "width": 64}
    item |= {"tile": (str(tmp_path / "tiles.npy"), 0), "instances": []}
    with DefaultScope.overwrite_default_scope("mmdet"):
        theirs = Compose([{"type": "LoadImageFromFile"}, packing])
        expected = theirs({"img_path": str(tmp_path / "tile.png")})["inputs"]
        trained = TileItems([item], [config.train_pipeline[0], packing], ("x",), 0)[(0, 0)]
    assert torch.equal(trained["inputs"], expected)
    predicted = _batch(np.ascontiguousarray(tile[None, ..., ::-1]), None)["inputs"][0]
    assert takes_bgr(config)
    assert torch.equal(predicted, expected)
    red = preprocess({"inputs": [expected], "data_samples": None})["inputs"][0]
    channel = {FASTER: 0, RTMDET: 2}[name]
    whitened = (torch.tensor(tile[..., 0]).float() - 123.675) / 58.395
    torch.testing.assert_close(red[channel, :64, :64], whitened)


def test_epochs_become_shares_of_the_training_and_a_warm_up_a_tenth_at_most():
    warm, drops = (in_steps(entry, 120) for entry in recipe(FASTER, 120).param_scheduler)
    assert (warm["begin"], warm["end"], warm["by_epoch"]) == (0, 12, False)
    assert (drops["end"], drops["milestones"], drops["by_epoch"]) == (120, [80, 110], False)
    _, cosine = (in_steps(entry, 120) for entry in recipe(RTMDET, 120).param_scheduler)
    assert (cosine["begin"], cosine["end"], cosine["T_max"]) == (60, 120, 60)


def test_nothing_is_fetched_and_a_random_start_freezes_nothing():
    config = recipe(FASTER)
    assert "Pretrained" not in str(config.model)
    assert "EMAHook" not in str(recipe(RTMDET).custom_hooks)
    thaw(config.model)
    model = MODELS.build({**config.model, "_scope_": "mmdet"}).train()
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert model.backbone.bn1.training
    assert config.initial_weights["file"] == {"prefixes": {"": "backbone."}, "expected": 1.0}


def test_tiles_are_predicted_at_the_size_that_the_config_says():
    assert (input_size(recipe(FASTER)), input_size(recipe(RTMDET))) == (800, 640)


def test_a_config_that_needs_what_tiles_have_not_is_refused_with_everything_it_lacks():
    with pytest.raises(TrainingError, match=r"2 problems(.|\n)*Mosaic needs(.|\n)*MixUp needs"):
        recipe("mmdet::yolox/yolox_s_8xb8-300e_coco.py")
    with pytest.raises(TrainingError, match="masks"):
        recipe("mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py")


SETTINGS = """\
detect:
  arms:
    rtmdet-random: { recipe: "mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py", init: random }
"""


@pytest.mark.slow
def test_three_lines_of_settings_train_predict_merge_and_score_mmdets_rtmdet(tmp_path):
    """The lines of docs/tutorials/add-an-arm.md; what is added makes the city and the run tiny."""
    assert SETTINGS in (ROOT / "docs" / "tutorials" / "add-an-arm.md").read_text()
    settings = yaml.safe_load(SETTINGS)
    settings["detect"] |= {"steps": 2, "batch_size": 2}
    settings |= {
        "results": "run",
        "city": {"regions": 2, "labelled_regions": 1, "areas_per_side": 2, "area_px": 144},
        "tiles": {"size": 128, "overlap": 32},
        "splits": {"block": 60.0, "buffer": 0.0},
        "predict": {"study_arm": "rtmdet-random", "min_score": 0.0, "max_per_tile": 20},
        "features": {"sets": ["histogram"]},
    }
    (tmp_path / "config").symlink_to(ROOT / "config")
    (tmp_path / "settings.yaml").write_text(yaml.safe_dump(settings))
    scored = "run/score/rtmdet-random_f100_s0.json"
    ran = subprocess.run(
        [
            *(sys.executable, "-m", "snakemake", scored, "--nocolor", "--cores", "1"),
            *("--snakefile", str(ROOT / "Snakefile"), "--configfile", "settings.yaml"),
        ],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=1500,
    )
    assert ran.returncode == 0, ran.stdout
    score = read_json(tmp_path / scored)
    assert 0 <= score["tiles"]["stats"]["AP50"] <= 1
    log = read_json(tmp_path / "run" / "detect" / "rtmdet-random_f100_s0" / "log.json")
    assert all(np.isfinite(point["loss"]) for point in log["curve"])
    boxes = next((tmp_path / "run" / "predict").glob("*/*.boxes.parquet"))
    assert len(pd.read_parquet(boxes)) > 0
