"""Prediction: the boxes of a tile do not depend on its batch, weights must match."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from mmengine.registry import MODELS, init_default_scope
from safetensors.torch import load_file, save_file

from urbanssl.artifacts import table_about
from urbanssl.detect.predict import input_size, predict_scenes
from urbanssl.engine.recipe import read_model
from urbanssl.errors import SceneError, WeightsError
from urbanssl.settings import PredictSettings

ROOT = Path(__file__).parents[2]
CLASSES = ("plane", "ship", "harbor")
KEY = ["score", "x1", "y1", "x2", "y2"]


@pytest.fixture(scope="module", params=["deformable_detr_tiny", "vitdet_tiny"])
def run(request, tmp_path_factory):
    """A recipe at 96 px, weights drawn at random, and five tiles of 128 px."""
    folder = tmp_path_factory.mktemp(request.param)
    recipe = folder / "recipe.py"
    source = ROOT / f"config/models/{request.param}.py"
    recipe.write_text(source.read_text().replace("input_size = 192", "input_size = 96"))
    config = read_model(recipe, len(CLASSES))
    init_default_scope("mmdet")
    torch.manual_seed(0)
    model = MODELS.build(config.model)
    model.init_weights()
    save_file({k: v.contiguous() for k, v in model.state_dict().items()}, folder / "w.safetensors")
    tiles = np.random.default_rng(0).integers(0, 255, (5, 128, 128, 3), dtype=np.uint8)
    tiles[:, 40:80, 40:90] = (200, 40, 40)
    np.save(folder / "tiles.npy", tiles)
    names = [f"s/i/0_{n}" for n in range(5)]
    pd.DataFrame({"tile_id": names}).to_parquet(folder / "tiles.parquet")
    splits = pd.DataFrame({"tile_id": names, "split": ["train", "val", "none", "test", "train"]})
    splits.to_parquet(folder / "splits.parquet")
    return folder


def predicted(folder, classes=CLASSES, only=None, weights="w.safetensors", **settings):
    settings = {"min_score": 0.0, "max_per_tile": 20, "batch_size": 2} | settings
    predict_scenes(
        folder / "recipe.py", folder / weights, [folder / "tiles.npy"], [folder / "tiles.parquet"],
        classes, PredictSettings(**settings), [folder / "out.parquet"], {"seed": 3}, [only],
    )  # fmt: skip
    return pd.read_parquet(folder / "out.parquet")


def test_boxes_are_in_tile_pixels_best_first_and_known_by_name(run):
    boxes = predicted(run)
    assert boxes.columns.tolist() == ["tile_id", "class_name", *KEY]
    assert set(boxes.class_name) <= set(CLASSES)
    corners = boxes[["x1", "y1", "x2", "y2"]].to_numpy()
    assert corners.min() >= 0
    assert 96 < corners.max() <= 128
    assert (
        boxes.groupby("tile_id", observed=True)
        .score.apply(lambda s: (s.diff()[1:] <= 0).all())
        .all()
    )
    assert (boxes.groupby("tile_id", observed=True).size() <= 20).all()
    assert table_about(run / "out.parquet") == {"seed": 3}


def test_the_batch_does_not_matter(run):
    one, five = predicted(run, batch_size=1), predicted(run, batch_size=5)
    assert one.tile_id.tolist() == five.tile_id.tolist()
    np.testing.assert_allclose(one.score, five.score, atol=1e-4)


def test_predicting_twice_gives_the_same_file(run):
    pd.testing.assert_frame_equal(predicted(run), predicted(run))


def test_only_val_and_test_tiles_are_predicted_where_splits_are_given(run):
    boxes = predicted(run, only=run / "splits.parquet")
    assert boxes.tile_id.unique().tolist() == ["s/i/0_1", "s/i/0_3"]
    whole = predicted(run, batch_size=1)
    for name, rows in boxes.groupby("tile_id", observed=True):
        np.testing.assert_allclose(rows.score, whole[whole.tile_id == name].score, atol=1e-4)


def test_boxes_below_the_score_are_dropped(run):
    boxes = predicted(run)
    least = float(boxes.score.median())
    assert predicted(run, min_score=least).score.min() >= np.float32(least)
    assert len(predicted(run, min_score=1.0)) == 0


def test_weights_of_other_classes_are_refused(run):
    with pytest.raises(WeightsError, match="in file"):
        predicted(run, classes=(*CLASSES, "bridge"))


def test_weights_with_a_tensor_too_many_are_refused(run):
    state = load_file(run / "w.safetensors")
    save_file({**state, "stray.weight": torch.zeros(2)}, run / "more.safetensors")
    with pytest.raises(WeightsError, match=r"stray\.weight"):
        predicted(run, weights="more.safetensors")


def test_shard_and_table_of_different_length_are_refused(run, tmp_path):
    for name in ("recipe.py", "w.safetensors", "tiles.npy"):
        (tmp_path / name).symlink_to(run / name)
    pd.DataFrame({"tile_id": ["s/i/0_0"]}).to_parquet(tmp_path / "tiles.parquet")
    with pytest.raises(SceneError, match=r"5 tiles.*1 rows"):
        predicted(tmp_path)


def test_input_size_comes_from_the_recipe_or_its_resize():
    class Recipe(dict):
        __getattr__ = dict.__getitem__

    assert input_size(Recipe(input_size=64)) == 64
    resize = {"type": "Resize", "scale": (1333, 800), "keep_ratio": True}
    assert input_size(Recipe(test_pipeline=[{"type": "LoadTile"}, resize])) == 800
    assert input_size(Recipe()) is None
