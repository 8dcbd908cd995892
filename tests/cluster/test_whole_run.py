"""`snakemake --profile slurm`, as it is committed, runs the whole workflow through SLURM."""

import re
from pathlib import Path

import pandas as pd
import pytest
import yaml
from cluster_run import ROOT

pytestmark = pytest.mark.cluster

#: What a single job of a rule asks for: cores, megabytes, minutes.
ASKED = {
    "draw_city": (2, 3000, 10),
    "check_scenes": (1, 2000, 30),
    "split_tiles": (1, 2000, 20),
    "assemble_coco": (1, 2000, 20),
    "pretrain_swav": (8, 32000, 1440),
    "pretrain_detreg": (8, 32000, 1440),
    "train_detector": (8, 32000, 1440),
    "predict_scene": (8, 8000, 240),
    "score_run": (1, 3000, 60),
    "read_crime": (1, 2000, 20),
    "judge_crime": (2, 4000, 120),
    "write_report": (1, 3000, 30),
}


def asked(job: dict[str, str]) -> tuple[int, int, int]:
    """Return cores, megabytes and minutes of a job."""
    wanted = dict(entry.partition("=")[::2] for entry in job["TRES"].split(","))
    memory = float(wanted["mem"][:-1]) * {"M": 1, "G": 1024}[wanted["mem"][-1]]
    days, _, clock = job["TimeLimit"].rpartition("-")
    hours, minutes, _ = map(int, clock.split(":"))
    return int(wanted["cpu"]), round(memory), (24 * int(days or 0) + hours) * 60 + minutes


def rule_of(job: dict[str, str]) -> str:
    """Return the rule of a job, from the comment that the executor leaves."""
    known = sorted(ASKED, key=len, reverse=True)
    return next((rule for rule in known if rule in job.get("Comment", "")), "bundle")


def test_every_rule_asks_for_its_cores_memory_and_time(finished):
    jobs = [job for job in finished.jobs() if rule_of(job) != "bundle"]
    assert {rule_of(job): asked(job) for job in jobs} == ASKED
    assert {job["Partition"] for job in jobs} == {"work"}
    assert {job["JobState"] for job in jobs} == {"COMPLETED"}


def test_jobs_of_many_scenes_share_places_in_the_queue(finished):
    groups = yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text())["groups"]
    bundles = [job for job in finished.jobs() if rule_of(job) == "bundle"]
    small = [
        log for rule in groups for log in (finished.folder / "run" / "logs" / rule).rglob("*.log")
    ]
    assert len(small) >= 15
    assert len(bundles) <= len(groups) + 1


def test_every_job_leaves_a_log_where_the_profile_says(finished):
    logs = list((finished.folder / "logs" / "slurm").rglob("*.log"))
    numbers = {re.search(r"(\d+)\.log$", log.name)[1] for log in logs}
    assert numbers == {job["JobId"] for job in finished.jobs()}


def test_the_report_and_the_whole_of_the_run_are_there(finished):
    assert (finished.folder / "run/report/index.html").stat().st_size > 10_000
    assert "detr-detreg_f100_s0" in (finished.folder / "run/report/index.html").read_text()


def test_both_nodes_worked(finished):
    assert {job["BatchHost"] for job in finished.jobs()} == {"n1", "n2"}


def test_the_efficiency_report_tells_of_the_trainings(finished):
    if not finished.slurm.accounts:
        pytest.skip("no accounting database here: slurmdbd or MariaDB is missing")
    tables = [pd.read_csv(path) for path in efficiency_reports(finished.folder)]
    assert len(tables) == 1
    assert any("pretrain_swav" in name for name in tables[0]["RuleName"].astype(str))


def efficiency_reports(folder: Path) -> list[Path]:
    """Return the efficiency reports of a project."""
    return sorted((folder / "logs" / "slurm").rglob("*efficiency*.csv"))
