import sys

import pytest

from urbanssl.engine.launch import command, environment, launch
from urbanssl.errors import TrainingError
from urbanssl.settings import Budget


def test_one_process_starts_plainly_and_many_under_torchrun(make_job):
    one = make_job(settings=Budget(steps=1, batch_size=4, gpus=1))
    four = make_job(settings=Budget(steps=1, batch_size=4, gpus=4), threads=8)
    assert command(one, "job.json") == [sys.executable, "-m", "urbanssl.engine.train", "job.json"]
    assert command(four, "job.json")[2:5] == [
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node=4",
    ]
    assert environment(four)["OMP_NUM_THREADS"] == "2"
    assert "CUDA_VISIBLE_DEVICES" in environment(make_job())


def test_failed_training_raises_what_it_wrote_last(make_job):
    # The toy network is registered in this process alone, so the one started does not know it.
    with pytest.raises(TrainingError, match=r"(?s)status 1.*ToyNetwork"):
        launch(make_job())
