"""A toy network, tiles and jobs for the tests of the engine."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from mmengine.model import BaseModel
from mmengine.registry import MODELS
from torch import nn

from urbanssl.engine.job import TrainJob
from urbanssl.settings_training import Budget

RECIPE = """
default_scope = "mmengine"
model = dict(type="ToyNetwork", fail_at={fail_at})
optim_wrapper = dict(optimizer=dict(type="SGD", lr=0.1, momentum=0.9))
param_scheduler = [dict(type="CosineAnnealingLR", T_max=1.0, begin=0, end=1.0)]
initial_weights = dict(file=dict(prefixes={{"": ""}}, expected=1.0))
"""


@MODELS.register_module(force=True)
class ToyNetwork(BaseModel):
    rank_buffers = ("memory",)

    def __init__(self, fail_at=None):
        super().__init__()
        self.first = nn.Linear(3, 8)
        self.norm = nn.BatchNorm1d(8)
        self.last = nn.Linear(8, 1)
        self.fail_at = fail_at
        self.register_buffer("memory", torch.zeros(1))

    def forward(self, inputs, step, draw, rows, mode="loss"):
        if step == self.fail_at:
            raise KeyboardInterrupt
        colours = inputs.float().mean((1, 2)) / 255
        hidden = torch.dropout(self.norm(self.first(colours)), 0.3, self.training)
        noise = torch.randn(len(inputs), 1) * 0.01
        self.memory += hidden.detach().mean()
        return {"loss": ((self.last(hidden) + noise - colours[:, :1]) ** 2).mean()}


@pytest.fixture
def shards(tmp_path: Path) -> list[Path]:
    """Two scenes of 7 and 5 tiles of 16 pixels; tile n of scene s is filled with 10 s + n."""
    files = []
    for scene, count in enumerate((7, 5)):
        folder = tmp_path / "tiles" / f"scene{scene}"
        folder.mkdir(parents=True)
        numbers = 10 * scene + np.arange(count, dtype=np.uint8)
        tiles = np.broadcast_to(numbers[:, None, None, None], (count, 16, 16, 3))
        np.save(folder / "tiles.npy", tiles)
        names = [f"scene{scene}/image/{n}_0" for n in range(count)]
        pd.DataFrame({"tile_id": names}).to_parquet(folder / "tiles.parquet")
        files.append(folder / "tiles.npy")
    return files


@pytest.fixture
def make_job(tmp_path: Path, shards: list[Path]):
    """Build a job of the toy network; `fail_at` kills it at that step."""

    def build(name="a", fail_at=None, **changes) -> TrainJob:
        recipe = tmp_path / f"toy_{fail_at}.py"
        recipe.write_text(RECIPE.format(fail_at=fail_at))
        given = {
            "stage": "swav",
            "recipe": recipe,
            "arrays": tuple(shards),
            "tables": tuple(path.with_suffix(".parquet") for path in shards),
            "work": tmp_path / "work" / name,
            "output_weights": tmp_path / name / "weights.safetensors",
            "output_log": tmp_path / name / "log.json",
            "settings": Budget(steps=12, batch_size=4, checkpoint_every=3),
        }
        return TrainJob(**{**given, **changes})

    return build
