"""SwAV and MAE trained by the engine: exact resume, weights that others can load, refusals."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import timm
import torch
import torchvision
from safetensors.torch import load_file

from urbanssl.engine.checkpoints import newest_checkpoint
from urbanssl.engine.job import TrainJob
from urbanssl.engine.train import train
from urbanssl.engine.weights import load_weights
from urbanssl.errors import TrainingError
from urbanssl.settings import Budget

MODELS = Path(__file__).parents[2] / "config" / "models"
SWAV = """
_base_ = {base!r}
model = dict(crops=[dict(_delete_=True, count=2, size=32, scale=(0.2, 1.0)),
                    dict(_delete_=True, count=1, size=16, scale=(0.05, 0.2))],
             prototypes=8, projection=(16, 8), queue=16, queue_start=2)
custom_hooks = [dict(type="FreezePrototypes", steps=2)]
"""
MAE = """
_base_ = {base!r}
model = dict(image=64, patch=16, width=32, depth=2, heads=2, decoder_width=16, decoder_depth=1,
             decoder_heads=2, hierarchical_patches=False)
custom_hooks = [dict(type="ProbeBlocks", tiles=24, side=1, times=2)]
"""


@pytest.fixture
def arrays(tmp_path):
    rng = np.random.default_rng(0)
    files = []
    for scene in ("a", "b"):
        folder = tmp_path / "tiles" / scene
        folder.mkdir(parents=True)
        coarse = rng.integers(0, 256, (24, 8, 8, 3), np.uint8)
        np.save(folder / "tiles.npy", coarse.repeat(8, 1).repeat(8, 2))
        rows = [
            {"tile_id": f"{scene}/i/{n}", "image": "i", "row": n // 6, "col": n % 6}
            for n in range(24)
        ]
        pd.DataFrame(rows).assign(x=None, y=None).to_parquet(folder / "tiles.parquet")
        files.append(folder / "tiles.npy")
    return tuple(files)


@pytest.fixture
def make_job(tmp_path, arrays):
    def build(stage, base, name="run", text=None, **budget):
        recipe = tmp_path / f"{stage}.py"
        recipe.write_text(
            (text or {"swav": SWAV, "mae": MAE}[stage]).format(base=str(MODELS / base))
        )
        return TrainJob(
            stage=stage,
            recipe=recipe,
            arrays=arrays,
            tables=tuple(path.with_suffix(".parquet") for path in arrays),
            work=tmp_path / "work" / name,
            output_weights=tmp_path / name / "weights.safetensors",
            output_log=tmp_path / name / "log.json",
            settings=Budget(**{"steps": 8, "batch_size": 8, "checkpoint_every": 2} | budget),
        )

    return build


def test_swav_killed_at_any_step_ends_with_the_weights_of_an_undisturbed_run(make_job, tmp_path):
    whole = make_job("swav", "swav_tiny.py", "whole", steps=9, checkpoint_every=3)
    train(whole)
    broken = replace(
        whole,
        work=tmp_path / "work" / "broken",
        output_weights=tmp_path / "broken" / "weights.safetensors",
        output_log=tmp_path / "broken" / "log.json",
    )
    broken.write(tmp_path / "job.json")
    process = subprocess.Popen(
        [sys.executable, "-m", "urbanssl.engine.train", str(tmp_path / "job.json")],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while not list(broken.work.glob("step_*.pt")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert list(broken.work.glob("step_*.pt")), "no checkpoint was written before the deadline"
    train(broken)
    ours, reference = (load_file(job.output_weights) for job in (broken, whole))
    assert all(torch.equal(ours[name], reference[name]) for name in reference)


def test_swav_queue_is_in_the_checkpoint(make_job):
    job = make_job("swav", "swav_tiny.py")
    train(job)
    state = newest_checkpoint(job.work, job.fingerprint(), print)
    assert state["rank_buffers"][0]["queue"].abs().sum() > 0
    assert "queue" not in load_file(job.output_weights)


def test_swav_weights_load_into_torchvision(make_job):
    job = make_job("swav", "swav_tiny.py", steps=5)
    train(job)
    network = torchvision.models.resnet18()
    answer = network.load_state_dict(load_file(job.output_weights), strict=False)
    assert set(answer.missing_keys) == {"fc.weight", "fc.bias"}
    assert all(n.startswith(("projection_head.", "prototypes.")) for n in answer.unexpected_keys)


def test_mae_weights_load_into_timm(make_job):
    job = make_job("mae", "mae_tiny.py", steps=3)
    train(job)
    network = timm.models.VisionTransformer(
        img_size=64, patch_size=16, embed_dim=32, depth=2, num_heads=2, num_classes=0
    )
    report = load_weights(network, job.output_weights)
    assert report.share == 1
    assert any(name.startswith("decoder_blocks.") for name in report.unexpected)


def test_mae_learns_and_is_probed_before_and_after(make_job):
    job = make_job("mae", "mae_tiny.py", steps=30)
    train(job)
    log = json.loads(job.output_log.read_text())
    losses = [point["loss"] for point in log["curve"]]
    assert np.mean(losses[-5:]) < np.mean(losses[:5])
    assert [probe["step"] for probe in log["probe"]] == [0, 30]
    assert all(probe["rank"] > 0 for probe in log["probe"])


def test_settings_that_cannot_work_stop_the_training_before_it_starts(make_job):
    with pytest.raises(TrainingError, match=r"(?s)queue.*no multiple of the batch"):
        train(make_job("swav", "swav_tiny.py", batch_size=12))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stage", "recipe", "text"),
    [
        (
            "swav",
            "swav_r50.py",
            "_base_ = {base!r}\n"
            "model = dict(prototypes=40, queue=0, freeze=0, crops=["
            "dict(_delete_=True, count=2, size=64, scale=(0.14, 1.0)),"
            "dict(_delete_=True, count=6, size=32, scale=(0.05, 0.14))])\n"
            "custom_hooks = []\n",
        ),
        ("mae", "mae_vit-b.py", "_base_ = {base!r}\nmodel = dict(image=64)\ncustom_hooks = []\n"),
    ],
)
def test_full_recipes_take_a_training_step(make_job, stage, recipe, text):
    job = make_job(stage, recipe, text=text, steps=1, batch_size=2)
    train(job)
    assert job.output_weights.is_file()


@pytest.mark.slow
def test_two_processes_train_as_one_on_the_joined_batch(make_job, tmp_path):
    one = make_job("mae", "mae_tiny.py", "one", steps=4)
    train(one)
    two = make_job("mae", "mae_tiny.py", "two", steps=4)
    two.write(tmp_path / "job.json")
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    subprocess.run(
        [sys.executable, *torchrun, "-m", "urbanssl.engine.train", str(tmp_path / "job.json")],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=True,
    )
    losses = [
        [point["loss"] for point in json.loads(job.output_log.read_text())["curve"]]
        for job in (one, two)
    ]
    # Each process logs the loss of its half; the weights follow the joined batch.
    assert len(losses[0]) == len(losses[1])
    ours, reference = load_file(two.output_weights), load_file(one.output_weights)
    assert all(torch.allclose(ours[n], reference[n], atol=1e-4) for n in reference)
