import os
import sys

import pytest

from urbanssl.engine.launch import command, environment, launch
from urbanssl.errors import TrainingError
from urbanssl.settings_training import Budget


def test_one_process_starts_plainly_and_many_under_torchrun(make_job, monkeypatch):
    one = make_job(settings=Budget(steps=1, batch_size=4, gpus=1))
    four = make_job(settings=Budget(steps=1, batch_size=4, gpus=4), threads=8)
    assert command(one, "job.json") == [sys.executable, "-m", "urbanssl.engine.train", "job.json"]
    assert command(four, "job.json")[2:5] == [
        "torch.distributed.run",
        "--nproc-per-node=4",
        "--standalone",
    ]
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(64)), raising=False)
    assert environment(four)["OMP_NUM_THREADS"] == "2"
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1}, raising=False)
    assert environment(four)["OMP_NUM_THREADS"] == "1", (
        "more threads than cores only get in the way"
    )
    assert "CUDA_VISIBLE_DEVICES" in environment(make_job())


def test_several_nodes_are_met_through_srun_and_refused_outside_slurm(make_job, monkeypatch):
    job = make_job(settings=Budget(steps=1, batch_size=8, gpus=8, nodes=2), threads=8)
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    with pytest.raises(TrainingError, match="no SLURM job"):
        command(job, "job.json")
    monkeypatch.setenv("SLURM_JOB_ID", "17")
    monkeypatch.setenv("SLURM_NTASKS", "1")
    line = command(job, "job.json")
    assert line[:3] == ["srun", "--nodes=2", "--ntasks=2"]
    assert {"--gpus-per-node=4", "--nproc-per-node=4", "--nnodes=2", "--rdzv-id=17"} <= set(line)
    assert "SLURM_NTASKS" not in environment(job), (
        "what the outer step was given binds not this one"
    )


def test_failed_training_raises_what_it_wrote_last(make_job):
    # The toy network is registered in this process alone, so the one started does not know it.
    with pytest.raises(TrainingError, match=r"(?s)status 1.*ToyNetwork"):
        launch(make_job())
