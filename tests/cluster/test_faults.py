"""Jobs that die, nodes that fail, a Snakemake that is killed: nothing lost, the same result.

Each test disturbs the training of SwAV in a run whose other jobs are done, and compares the weights
with those of the undisturbed run, to the last bit.
"""

import os
import signal
import time

import pytest
from cluster_run import SWAV, kill, processes_named, same_weights
from slurm_on_loopback import wait_until

pytestmark = pytest.mark.cluster

TRAINING = "urbanssl.engine.train"


def swav_jobs(project):
    """Return the SwAV jobs that SLURM remembers of a project, the first one first."""
    jobs = [job for job in project.jobs() if "pretrain_swav" in job.get("Comment", "")]
    return sorted(jobs, key=lambda job: int(job["JobId"]))


def assert_went_on(project, finished):
    """Assert that training resumed from a checkpoint and came out as if undisturbed."""
    assert "resumed after step" in project.log("pretrain_swav")
    assert same_weights(project.folder / SWAV, finished.folder / SWAV)


def test_a_killed_training_goes_on_from_its_checkpoint(untrained, finished):
    run = untrained.start(SWAV)
    job = untrained.training_with_a_checkpoint(run)
    kill(processes_named(untrained.slurm.processes_of(job["JobId"]), TRAINING), signal.SIGKILL)
    untrained.end(run)
    assert [job["JobState"] for job in swav_jobs(untrained)] == ["FAILED", "COMPLETED"]
    assert_went_on(untrained, finished)


def test_a_cancelled_training_is_submitted_again(untrained, finished):
    run = untrained.start(SWAV)
    job = untrained.training_with_a_checkpoint(run)
    untrained.slurm.run("scancel", job["JobId"])
    untrained.end(run)
    assert [job["JobState"] for job in swav_jobs(untrained)] == ["CANCELLED", "COMPLETED"]
    assert_went_on(untrained, finished)


def test_a_training_whose_node_fails_goes_on_elsewhere(untrained, finished):
    run = untrained.start(SWAV)
    node = untrained.training_with_a_checkpoint(run)["BatchHost"]
    untrained.slurm.crash_node(node)
    try:
        untrained.end(run)
    finally:
        untrained.slurm.start_node(node)
    last = swav_jobs(untrained)[-1]
    assert last["JobState"] == "COMPLETED"
    assert last["BatchHost"] != node
    assert_went_on(untrained, finished)


def test_a_killed_snakemake_is_started_again_while_its_job_still_runs(untrained, finished):
    run = untrained.start(SWAV)
    first = untrained.training_with_a_checkpoint(run)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    assert untrained.running() is not None, "the job must not die with its Snakemake"

    refused = untrained.snakemake(SWAV)
    assert refused.returncode != 0
    assert "--unlock" in refused.stdout
    assert untrained.snakemake("--unlock").returncode == 0

    # The first job would write the same files: docs/cluster.md has it cancelled before.
    untrained.slurm.run("scancel", first["JobId"])
    untrained.end(untrained.start(SWAV))
    assert_went_on(untrained, finished)


def test_a_second_snakemake_on_the_same_folder_is_refused(untrained):
    run = untrained.start(SWAV)
    lock = untrained.folder / ".snakemake" / "locks"
    wait_until(lambda: any(lock.glob("*")), 60, "the first Snakemake took no lock")
    second = untrained.snakemake(SWAV)
    assert second.returncode != 0
    assert "lock" in second.stdout.lower()
    untrained.end(run)


def test_a_training_out_of_time_saves_and_the_next_attempt_has_more(untrained, finished):
    slow = 'pretrain_swav:slurm_extra="--signal=TERM@50"', "pretrain_swav:runtime=1 * attempt"
    run = untrained.start(SWAV, "--set-resources", *slow, "--retries", "4")
    untrained.training_with_a_checkpoint(run)
    untrained.end(run)
    jobs = swav_jobs(untrained)
    if len(jobs) == 1:
        pytest.skip("this machine trained within the minute that is the shortest limit of SLURM")
    assert jobs[0]["TimeLimit"] == "00:01:00"
    assert jobs[-1]["TimeLimit"] != "00:01:00"
    assert_went_on(untrained, finished)


def test_a_training_out_of_memory_is_given_more(untrained, finished):
    small = "pretrain_swav:mem_mb=300 * 16 ** (attempt - 1)"
    untrained.end(untrained.start(SWAV, "--set-resources", small))
    first, last = swav_jobs(untrained)
    assert first["JobState"] in ("FAILED", "OUT_OF_MEMORY", "CANCELLED")
    assert "mem=300M" in first["TRES"]
    assert "mem=4800M" in last["TRES"]
    assert same_weights(untrained.folder / SWAV, finished.folder / SWAV)


def test_a_controller_silent_for_half_a_minute_loses_nothing(untrained, finished):
    run = untrained.start(SWAV)
    untrained.training_with_a_checkpoint(run)
    silent = [
        daemon.pid
        for name, daemon in untrained.slurm.daemons.items()
        if name in ("slurmctld", "slurmdbd")
    ]
    kill(silent, signal.SIGSTOP)
    try:
        time.sleep(30)
    finally:
        kill(silent, signal.SIGCONT)
    untrained.end(run)
    assert len(swav_jobs(untrained)) == 1
    assert same_weights(untrained.folder / SWAV, finished.folder / SWAV)
