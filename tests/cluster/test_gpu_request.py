"""A training that is to use a GPU asks SLURM for one, and says so where it finds none."""

import copy

import pytest
from cluster_run import SETTINGS, SWAV

pytestmark = pytest.mark.cluster


def test_a_training_on_a_gpu_asks_for_one_and_says_when_there_is_none(untrained):
    settings = copy.deepcopy(SETTINGS)
    settings["pretrain"]["swav"]["gpus"] = 1
    untrained.write(settings)
    ran = untrained.snakemake(SWAV, "--retries", "0", "--forcerun", "pretrain_swav")
    job = next(job for job in untrained.jobs() if "pretrain_swav" in job.get("Comment", ""))
    assert "gres/gpu=1" in job["TRES"]
    assert ran.returncode != 0
    assert "1 asked for, none is there" in untrained.log("pretrain_swav")
