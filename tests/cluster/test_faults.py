"""Jobs that die, nodes that fail, a Snakemake that is killed: nothing lost, the same result.

Each test disturbs the training of SwAV in a run whose earlier jobs are done, and compares the
weights with those of the undisturbed run, to the last bit. The training is held after its fourth
step, of which there is a checkpoint, until the test lets it go.
"""

import os
import signal
import subprocess
import time

import pytest
from cluster_run import PATIENCE, SWAV, TRAIN_SWAV, kill, processes_named, same_weights
from slurm_on_loopback import wait_until

pytestmark = pytest.mark.cluster

TRAINING = "urbanssl.engine.train"


def swav_jobs(project):
    """Return the SwAV jobs that SLURM remembers of a project, the first one first."""
    jobs = [job for job in project.jobs() if "pretrain_swav" in job.get("Comment", "")]
    return sorted(jobs, key=lambda job: int(job["JobId"]))


def assert_went_on(project, trained, step):
    """Assert that training resumed from the checkpoint of a step and came out as undisturbed."""
    assert f"resumed after step {step} of 8" in project.log("pretrain_swav")
    assert same_weights(project.folder / SWAV, trained.folder / SWAV)


def test_a_killed_training_goes_on_from_its_checkpoint(untrained, trained):
    run = untrained.start(*TRAIN_SWAV)
    job = untrained.held_training(run)
    training = processes_named(untrained.slurm.processes_of(job["JobId"]), TRAINING)
    assert training
    kill(training, signal.SIGKILL)
    untrained.let_go()
    untrained.end(run)
    assert [job["JobState"] for job in swav_jobs(untrained)] == ["FAILED", "COMPLETED"]
    assert_went_on(untrained, trained, 4)


def test_a_cancelled_training_saves_and_is_submitted_again(untrained, trained):
    run = untrained.start(*TRAIN_SWAV)
    untrained.slurm.run("scancel", untrained.held_training(run)["JobId"])
    wait_until(lambda: 5 in untrained.checkpoints(), 30, "told to stop, it did not save")
    untrained.let_go()
    untrained.end(run)
    assert [job["JobState"] for job in swav_jobs(untrained)] == ["CANCELLED", "COMPLETED"]
    assert_went_on(untrained, trained, 5)


def test_a_training_whose_node_fails_goes_on_on_the_other(trained, other_slurm, tmp_path):
    project = trained.copied_untrained(tmp_path / "project")
    project.slurm = other_slurm
    run = project.start(*TRAIN_SWAV)
    node = project.held_training(run)["BatchHost"]
    other_slurm.crash_node(node)
    project.let_go()
    project.end(run)
    last = swav_jobs(project)[-1]
    assert last["JobState"] == "COMPLETED"
    assert last["BatchHost"] != node
    assert_went_on(project, trained, 4)


def test_a_killed_snakemake_is_started_again_while_its_job_still_runs(untrained, trained):
    run = untrained.start(*TRAIN_SWAV)
    untrained.held_training(run)
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    assert "--unlock" in untrained.snakemake(*TRAIN_SWAV).stdout
    assert untrained.snakemake("--unlock").returncode == 0

    second = untrained.start(*TRAIN_SWAV)
    wait_until(lambda: len(untrained.running()) == 2, PATIENCE, "no second job beside the first")
    untrained.let_go()
    untrained.end(second)
    wait_until(lambda: not untrained.running(), PATIENCE, "the first job does not end")
    assert [job["JobState"] for job in swav_jobs(untrained)] == ["COMPLETED", "COMPLETED"]
    assert same_weights(untrained.folder / SWAV, trained.folder / SWAV)


def test_a_second_snakemake_on_the_same_folder_is_refused(untrained, trained):
    run = untrained.start(*TRAIN_SWAV)
    lock = untrained.folder / ".snakemake" / "locks"
    wait_until(lambda: any(lock.glob("*")), PATIENCE, "the first Snakemake took no lock")
    second = untrained.snakemake(*TRAIN_SWAV)
    assert second.returncode != 0
    assert "Directory cannot be locked" in second.stdout
    untrained.let_go()
    untrained.end(run)
    assert len(swav_jobs(untrained)) == 1
    assert same_weights(untrained.folder / SWAV, trained.folder / SWAV)


def test_a_training_out_of_time_saves_and_the_next_attempt_goes_on(untrained, trained):
    warned = 'pretrain_swav:slurm_extra="--signal=TERM@30"'
    short = ("--set-resources", "pretrain_swav:runtime=2", warned, "--retries", "4")
    run = untrained.start(*TRAIN_SWAV, *short)
    untrained.held_training(run)
    # Odd steps have a checkpoint only where the warning came.
    wait_until(lambda: 5 in untrained.checkpoints(), PATIENCE, "no checkpoint at the warning")
    untrained.let_go()
    untrained.end(run)
    jobs = swav_jobs(untrained)
    assert {job["TimeLimit"] for job in jobs} == {"00:02:00"}
    assert [job["JobState"] for job in jobs[-2:]] == ["FAILED", "COMPLETED"]
    assert "resumed after step" in untrained.log("pretrain_swav")
    assert same_weights(untrained.folder / SWAV, trained.folder / SWAV)


def test_a_training_out_of_memory_is_given_more(untrained, trained):
    untrained.let_go()
    small = "pretrain_swav:mem_mb=400 * 16 ** (attempt - 1)"
    untrained.end(untrained.start(*TRAIN_SWAV, "--set-resources", small))
    first, last = swav_jobs(untrained)
    assert first["JobState"] in ("FAILED", "OUT_OF_MEMORY", "CANCELLED")
    assert "mem=400M" in first["TRES"]
    assert "mem=6400M" in last["TRES"]
    assert same_weights(untrained.folder / SWAV, trained.folder / SWAV)


def test_status_commands_that_fail_for_half_a_minute_lose_nothing(untrained, trained):
    # As patient as a user's Snakemake: the other tests ask more often.
    untrained.program = "snakemake"
    run = untrained.start(*TRAIN_SWAV, "--max-status-checks-per-second", "0.1")
    untrained.held_training(run)
    failing = untrained.folder / "no-status"
    failing.touch()
    untrained.let_go()
    time.sleep(30)
    wait_until(lambda: failing.read_text().count("no") >= 2, PATIENCE, "nobody asked in vain")
    failing.unlink()
    untrained.end(run)
    assert [job["JobState"] for job in swav_jobs(untrained)] == ["COMPLETED"]
    assert same_weights(untrained.folder / SWAV, trained.folder / SWAV)


def test_a_full_disk_is_named_and_the_training_goes_on_once_there_is_room(untrained, trained):
    untrained.let_go()
    checkpoint = next((trained.folder / "run/work/swav").glob("*/step_*.pt")).stat().st_size
    disk = untrained.folder / "run" / "work"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={int(2.5 * checkpoint)}", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root may mount the small disk that is filled here")
    try:
        full = untrained.snakemake(*TRAIN_SWAV, "--retries", "0")
        assert full.returncode != 0
        assert "DiskError" in full.stdout
        assert "no room to write it: " in untrained.log("pretrain_swav")
        assert untrained.checkpoints() == [2, 4]
        assert not any(disk.glob("swav/*/.*")), "half a file is left"
        subprocess.run(["mount", "-o", f"remount,size={4 * checkpoint}", str(disk)], check=True)
        untrained.end(untrained.start(*TRAIN_SWAV))
        assert_went_on(untrained, trained, 4)
    finally:
        subprocess.run(["umount", str(disk)], check=True)
