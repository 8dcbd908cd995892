"""Features of the tiny networks."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.registry import MODELS, DefaultScope
from safetensors.torch import save_file

from urbanssl.engine.recipe import read_model
from urbanssl.errors import WeightsError
from urbanssl.features.networks import network_features

MODELS_OF = {
    "swav": "swav_tiny",
    "mae": "mae_tiny",
    "detr": "deformable_detr_tiny",
    "vitdet": "vitdet_tiny",
}
RECIPES = Path(__file__).parents[2] / "config" / "models"


def built(name):
    recipe = RECIPES / f"{MODELS_OF[name]}.py"
    config = read_model(recipe, 16 if name in ("detr", "vitdet") else None)
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope(config.get("default_scope", "mmengine")):
        model = MODELS.build(config.model)
    model.init_weights()  # until then mmdet's level embedding is whatever lay in memory
    return recipe, model


@pytest.fixture
def tiles():
    return np.random.default_rng(0).integers(0, 256, (3, 128, 128, 3), dtype=np.uint8)


@pytest.mark.parametrize("name", MODELS_OF)
def test_features_depend_on_the_tile_alone(name, tiles, tmp_path):
    recipe, model = built(name)
    state = model.exported_state() if hasattr(model, "exported_state") else model.state_dict()
    weights = tmp_path / "weights.safetensors"
    save_file({key: value.contiguous().clone() for key, value in state.items()}, weights)
    features = network_features(name, recipe, weights, 16)
    together, alone = features(tiles), features(tiles[1:2])
    assert together.shape[0] == 3
    assert together.shape[1] > 32
    assert together.dtype == np.float32
    assert together[1:2] == pytest.approx(alone, rel=1e-3, abs=1e-4)
    assert np.abs(together[0] - together[1]).max() > 1e-4


def test_weights_of_another_network_are_refused(tmp_path):
    recipe, _ = built("mae")
    _, other = built("swav")
    weights = tmp_path / "weights.safetensors"
    save_file({k: v.contiguous().clone() for k, v in other.exported_state().items()}, weights)
    with pytest.raises(WeightsError):
        network_features("mae", recipe, weights, 16)


def test_weights_that_give_no_numbers_are_refused(tiles, tmp_path):
    recipe, model = built("swav")
    state = {k: v.contiguous().clone() for k, v in model.exported_state().items()}
    state["conv1.weight"][0] = float("nan")
    weights = tmp_path / "weights.safetensors"
    save_file(state, weights)
    with pytest.raises(WeightsError, match=r"weights\.safetensors.*not finite"):
        network_features("swav", recipe, weights, 16)(tiles)
