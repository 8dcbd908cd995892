"""`snakemake --profile slurm`, as it is committed, runs the whole workflow through SLURM."""

import copy
import re

import pandas as pd
import pytest
import yaml
from cluster_run import ROOT, SETTINGS, SWAV

from urbanssl.planned_jobs import read_plan

pytestmark = pytest.mark.cluster

#: What the longest jobs ask for: cores, megabytes, minutes.
TRAINING = (8, 32000, 1440)
TRAININGS = ("pretrain_swav", "pretrain_detreg", "train_detector")


def asked(job: dict[str, str]) -> tuple[int, int, int]:
    """Return cores, megabytes and minutes of a job."""
    wanted = dict(entry.partition("=")[::2] for entry in job["TRES"].split(","))
    memory = float(wanted["mem"][:-1]) * {"M": 1, "G": 1024}[wanted["mem"][-1]]
    days, _, clock = job["TimeLimit"].rpartition("-")
    hours, minutes, _ = map(int, clock.split(":"))
    return int(wanted["cpu"]), round(memory), (24 * int(days or 0) + hours) * 60 + minutes


def rules_and_jobs(project) -> list[tuple[str, dict[str, str]]]:
    """Return the jobs of a project with their rules (bundles: the group's name)."""
    comment = re.compile(r"rule_(\w+?)(?:_wildcards_.*)?$")
    return [(comment.match(job["Comment"])[1], job) for job in project.jobs()]


def profile() -> dict:
    """Return the profile that is committed."""
    return yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text())


def groups() -> dict[str, str]:
    """Return the groups of the profile by rule."""
    return profile()["groups"]


def test_every_rule_asks_for_its_cores_memory_and_time(finished):
    planned = {
        stage.rule: (stage.memory_mb, round(60 * stage.limit_hours))
        for stage in read_plan((finished.folder / "planned").read_text())
        if stage.rule not in groups()
    }
    jobs = {rule: asked(job) for rule, job in rules_and_jobs(finished) if rule in planned}
    assert {rule: wanted[1:] for rule, wanted in jobs.items()} == planned
    cores = profile()["set-threads"].items()
    assert all(jobs[rule][0] == number for rule, number in cores if rule in jobs)
    assert {rule: jobs[rule] for rule in TRAININGS} == dict.fromkeys(TRAININGS, TRAINING)


def test_every_job_ran_in_the_partition_and_was_well(finished):
    assert {job["Partition"] for job in finished.jobs()} == {"work"}
    assert {job["JobState"] for job in finished.jobs()} == {"COMPLETED"}


def test_jobs_of_many_scenes_share_places_in_the_queue(finished):
    names = {f"{group}_{rule}" for rule, group in groups().items()}
    bundles = [rule for rule, _ in rules_and_jobs(finished) if rule.startswith(tuple(names))]
    small = [
        log for rule in groups() for log in (finished.folder / "run" / "logs" / rule).rglob("*.log")
    ]
    assert len(small) >= 15
    assert len(bundles) <= len(groups()) + 1


def test_every_job_leaves_a_log_where_the_profile_says(finished):
    logs = list((finished.folder / "logs" / "slurm").rglob("*.log"))
    numbers = {re.search(r"(\d+)\.log$", log.name)[1] for log in logs}
    assert numbers == {job["JobId"] for job in finished.jobs()}


def test_the_report_and_the_whole_of_the_run_are_there(finished):
    assert (finished.folder / "run/report/index.html").stat().st_size > 10_000
    assert "detr-detreg" in (finished.folder / "run/report/index.html").read_text()


def test_the_efficiency_report_tells_of_the_trainings(finished):
    if not finished.slurm.accounts:
        pytest.skip("no accounting database here: slurmdbd or MariaDB is missing")
    (report,) = (finished.folder / "logs" / "slurm").glob("efficiency_report_*.csv")
    told = pd.read_csv(report).set_index("RuleName")
    assert {f"rule_{rule}" for rule in TRAININGS} <= set(told.index.str.split("_wild").str[0])
    assert told["MaxRSS_MB"].max() > 100


def test_a_training_on_a_gpu_asks_for_one_and_says_when_there_is_none(untrained):
    settings = copy.deepcopy(SETTINGS)
    settings["pretrain"]["swav"]["gpus"] = 1
    untrained.write(settings)
    ran = untrained.snakemake(SWAV, "--retries", "0")
    (job,) = untrained.jobs()
    assert any("gpu:1" in job.get(of, "") for of in ("TresPerJob", "TresPerNode")), job
    assert ran.returncode != 0
    assert "1 asked for, none is there" in untrained.log("pretrain_swav")
