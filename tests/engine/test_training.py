import json
import os
import signal
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from urbanssl.engine.checkpoints import newest_checkpoint
from urbanssl.engine.job import TrainJob
from urbanssl.engine.loop import StepLoop
from urbanssl.engine.train import train
from urbanssl.errors import TrainingError, WeightsError
from urbanssl.settings_training import Budget


def test_training_writes_weights_and_a_curve(make_job):
    job = make_job()
    train(job)
    log = json.loads(job.output_log.read_text())
    assert [point["step"] for point in log["curve"]] == list(range(1, 13))
    assert log["curve"][-1]["loss"] < log["curve"][0]["loss"]
    assert log["curve"][0]["lr"] == pytest.approx(0.1)
    assert log["images_per_second"] > 0
    assert (log["recipe"], log["gpus"]) == (job.recipe.stem, 0)  # estimates go by these
    assert "last.weight" in load_file(job.output_weights)


@pytest.mark.parametrize("fail_at", [0, 1, 5, 6, 11])
def test_a_killed_training_ends_with_the_weights_of_an_undisturbed_one(
    make_job, fail_at, monkeypatch
):
    whole = make_job("whole")
    train(whole)
    broken = make_job("broken")
    killed = make_job("broken", fail_at=fail_at)
    # The recipe that kills itself is another file: make both one training.
    monkeypatch.setattr(TrainJob, "fingerprint", lambda job: "same")
    with pytest.raises(KeyboardInterrupt):
        train(killed)
    assert not killed.output_weights.exists()
    train(broken)
    ours, reference = load_file(broken.output_weights), load_file(whole.output_weights)
    assert all(torch.equal(ours[name], reference[name]) for name in reference)
    curves = [json.loads(job.output_log.read_text())["curve"] for job in (broken, whole)]
    assert curves[0] == curves[1]


def test_told_to_stop_it_saves_the_very_step_and_ends_with_status_143(make_job, monkeypatch):
    step = StepLoop._step

    def step_then_signal(loop, batch):
        step(loop, batch)
        if loop.iter == 5:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(StepLoop, "_step", step_then_signal)
    job = make_job()
    with pytest.raises(SystemExit) as caught:
        train(job)
    assert caught.value.code == 143
    assert newest_checkpoint(job.work, job.fingerprint(), print)["step"] == 5


def test_damaged_checkpoint_is_passed_over_for_the_one_before(make_job, capsys):
    job = make_job()
    train(job)
    reference = load_file(job.output_weights)
    newest = sorted(job.work.glob("step_*.pt"))[-1]
    newest.write_bytes(newest.read_bytes()[:200])
    train(job)
    assert "is damaged" in capsys.readouterr().out
    assert torch.equal(load_file(job.output_weights)["last.weight"], reference["last.weight"])


def test_checkpoints_of_other_settings_are_not_resumed(make_job, capsys):
    job = make_job()
    train(job)
    train(replace(job, seed=1))
    assert "other settings" in capsys.readouterr().out


def test_job_survives_its_json(make_job, tmp_path):
    job = make_job(about={"seed": 3})
    job.write(tmp_path / "job.json")
    assert TrainJob.read(tmp_path / "job.json") == job


def test_all_problems_of_a_job_are_told_at_once(make_job):
    with pytest.raises(TrainingError) as caught:
        make_job(stage="detector", tables=(), fraction=0.0)
    text = str(caught.value)
    assert all(word in text for word in ("`tables`", "`coco_train`", "`classes`", "`fraction`"))


def test_initial_weights_of_another_network_are_refused(make_job, tmp_path):
    save_file({"other.weight": torch.ones(2)}, tmp_path / "other.safetensors")
    job = make_job(init="file", weights=tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match=r"(?s)first\.weight.*other\.weight"):
        train(job)


def test_initial_weights_are_what_training_starts_from(make_job, tmp_path):
    first = make_job("first")
    train(first)
    tiny = Budget(steps=1, batch_size=4, lr=1e-12)
    second = make_job("second", init="file", weights=first.output_weights, settings=tiny)
    train(second)
    before, after = load_file(first.output_weights), load_file(second.output_weights)
    assert torch.allclose(before["last.weight"], after["last.weight"], atol=1e-6)


def test_not_a_number_stops_the_training(make_job):
    job = make_job(settings=Budget(steps=5, batch_size=4, lr=1e30))
    with pytest.raises(TrainingError, match="not finite"):
        train(job)


def test_not_a_number_is_met_by_going_back_with_a_smaller_learning_rate(make_job, capsys):
    # Any rate diverges: five times back to the checkpoint, then the training stops.
    job = make_job(
        settings=Budget(steps=9, batch_size=4, lr=1e30, checkpoint_every=1, on_trouble="adapt")
    )
    with pytest.raises(TrainingError, match="not finite"):
        train(job)
    assert capsys.readouterr().out.count("ADAPTED") == 5
    good = newest_checkpoint(job.work, job.fingerprint(), print)
    assert good["step"] == 1, "the checkpoint before the first bad step"


def test_a_learning_rate_far_from_the_recipes_is_warned_of(make_job, capsys):
    job = make_job(settings=Budget(steps=1, batch_size=4, lr=0.01))
    job.recipe.write_text(job.recipe.read_text() + "auto_scale_lr = dict(base_batch_size=4)\n")
    train(job)
    assert "0.01 is 0.1 times the recipe's 0.1 for batches of 4" in capsys.readouterr().out


def test_bf16_trains_on_cpu(make_job):
    job = make_job(settings=Budget(steps=3, batch_size=4, precision="bf16"))
    train(job)
    assert len(json.loads(job.output_log.read_text())["curve"]) == 3
