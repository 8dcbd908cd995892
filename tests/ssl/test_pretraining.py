"""SwAV and MAE trained by the engine: exact resume, weights that others can load, refusals."""

import json
import multiprocessing
import os
import signal
import socket
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import timm
import torch
import torchvision
from PIL import Image
from safetensors.torch import load_file

from urbanssl.engine.checkpoints import newest_checkpoint
from urbanssl.engine.job import TrainJob
from urbanssl.engine.loop import StepLoop
from urbanssl.engine.train import train
from urbanssl.engine.weight_files import weights_about
from urbanssl.engine.weights import load_weights
from urbanssl.errors import TrainingError
from urbanssl.settings_training import Budget

MODELS = Path(__file__).parents[2] / "config" / "models"
SWAV = """
_base_ = {base!r}
model = dict(crops=[dict(_delete_=True, count=2, size=32, scale=(0.2, 1.0)),
                    dict(_delete_=True, count=1, size=16, scale=(0.05, 0.2))],
             prototypes=8, projection=(16, 8), queue=16, queue_start=2, freeze=2)
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type="LARC", lr=0.3, momentum=0.9, weight_decay=1e-6))
custom_hooks = [dict(type="FreezePrototypes")]
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


def _train_and_die(job, step):
    """Run a training that is killed (SIGKILL) before a step."""
    torch.set_num_threads(1)
    whole = StepLoop._step

    def dying(loop, batch):
        if loop.iter == step:
            os.kill(os.getpid(), signal.SIGKILL)
        whole(loop, batch)

    StepLoop._step = dying
    train(job)


@pytest.fixture(scope="module")
def processes():
    """Start processes that have imported what trains, each in a moment."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["urbanssl.ssl.swav_model", "urbanssl.ssl.mae_model"])
    return context


def _copy_of(job, name):
    work = job.work.parent / name
    return replace(
        job, work=work, output_weights=work / "weights.safetensors", output_log=work / "log.json"
    )


@pytest.mark.parametrize(
    ("stage", "recipe", "kills"),
    # Killed with frozen prototypes and no checkpoint, with the queue in use, at the last step.
    [("swav", "swav_tiny.py", [1, 6, 8]), ("mae", "mae_tiny.py", [2, 7])],
)
def test_a_training_killed_at_any_step_ends_with_the_weights_of_an_undisturbed_one(
    make_job, processes, stage, recipe, kills
):
    whole = make_job(stage, recipe, "whole", steps=9, checkpoint_every=5)
    train(whole)
    broken = _copy_of(whole, "broken")
    for step in kills:
        process = processes.Process(target=_train_and_die, args=(broken, step))
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        assert not broken.output_weights.exists()
    train(broken)
    ours, reference = (load_file(job.output_weights) for job in (broken, whole))
    assert all(torch.equal(ours[name], reference[name]) for name in reference)
    rates = [[point["lr"] for point in curve_of(job)] for job in (broken, whole)]
    assert rates[0] == rates[1]


def curve_of(job):
    return json.loads(job.output_log.read_text())["curve"]


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
    assert {probe["of"] for probe in log["probe"]} == {"blocks"}


def test_a_model_card_and_the_bands_of_the_input_travel_with_the_weights(make_job, tmp_path):
    for place, name in enumerate(("dark", "light")):
        (tmp_path / "labelled" / name).mkdir(parents=True)
        for number in range(6):
            image = np.full((32, 32, 3), 200 * place + number, np.uint8)
            Image.fromarray(image).save(tmp_path / "labelled" / name / f"{number}.png")
    about = {"settings_hash": "abc", "seed": 0}
    job = replace(make_job("mae", "mae_tiny.py", steps=2), probe=tmp_path / "labelled", about=about)
    train(job)
    card = job.output_weights.with_name("model_card.md").read_text()
    assert "Settings hash abc" in card
    assert "tiles of 2 scenes (a, b)" in card
    assert "| 2 | labels |" in card, "the probe after two steps, on the folder of labelled images"
    facts = json.loads(weights_about(job.output_weights)["urbanssl"])
    assert facts["input"]["order"] == ["red", "green", "blue"]
    pixels = np.concatenate([np.load(path) for path in job.arrays])
    assert facts["input"]["tiles"]["mean"] == pytest.approx(pixels.mean((0, 1, 2)), abs=0.01)
    official = tmp_path / "mae.pth"
    torch.save({"model": load_file(job.output_weights)}, official)
    second = replace(_copy_of(job, "second"), init="file", weights=official)
    train(second)
    assert "no commercial use" in second.output_weights.with_name("model_card.md").read_text()


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


def _train_as_rank(job, rank, port):
    torch.set_num_threads(1)
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": 2, "MASTER_PORT": port}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", **{k: str(v) for k, v in place.items()}}
    train(job)


@pytest.mark.parametrize(("stage", "recipe"), [("swav", "swav_tiny.py"), ("mae", "mae_tiny.py")])
def test_two_processes_train_as_one_on_the_joined_batch(make_job, processes, stage, recipe):
    """Batch norms, Sinkhorn, queue and random numbers are those of the joined batch."""
    text = MAE.replace("hierarchical_patches=False", "hierarchical_patches=True")
    text = text if stage == "mae" else None
    # Small steps: rounding grows from step to step, the more the larger they are.
    lr = {"swav": 0.01, "mae": 1e-4}[stage]
    job = make_job(stage, recipe, text=text, steps=6, checkpoint_every=100, lr=lr)
    train(job)
    pair = _copy_of(job, "pair")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ranks = [processes.Process(target=_train_as_rank, args=(pair, rank, port)) for rank in (0, 1)]
    for rank in ranks:
        rank.start()
    for rank in ranks:
        rank.join()
    assert [rank.exitcode for rank in ranks] == [0, 0]
    ours, reference = ([point["loss"] for point in curve_of(run)] for run in (pair, job))
    assert len(ours) == 6
    assert ours == pytest.approx(reference, rel=1e-3)
    weights, expected = load_file(pair.output_weights), load_file(job.output_weights)
    moving = [name for name in expected if name.endswith(("running_mean", "running_var"))]
    assert moving, "both networks have batch norms"
    assert all(torch.allclose(weights[n], expected[n], rtol=1e-3, atol=1e-4) for n in moving)
