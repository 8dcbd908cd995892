"""What `snakemake` shows before anything runs: targets, graph, profiles, and wrong settings."""

import copy
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import SETTINGS, processor_seconds, slowness

ROOT = Path(__file__).parents[2]
TARGETS = ("all", "scenes", "tiles", "pretrain", "detect", "score", "features", "crime")


def test_wrong_settings_are_refused_in_three_seconds_with_every_problem_and_no_traceback(fresh):
    wrong = copy.deepcopy(SETTINGS)
    wrong.update(sed=3, seed=-1, tiles={"size": 100})
    fresh.write(wrong)
    fresh.snakemake("-n")  # the first call on a fresh machine also compiles bytecode
    took, ran = processor_seconds(fresh, "-n")
    assert took < 3 * slowness(fresh)
    assert ran.returncode != 0
    for part in ("3 problems", "settings.yaml:", "did you mean `seed`?", "a multiple of 16"):
        assert part in ran.stdout
    assert "Traceback" not in ran.stdout
    assert len(ran.stdout.splitlines()) < 12


def test_a_setting_can_be_changed_on_the_command_line(fresh):
    ran = fresh.snakemake("-n", "--config", "tiles={size: 128, overlap: 0}")
    assert ran.returncode == 0, ran.stdout


@pytest.mark.parametrize("target", TARGETS)
def test_every_stage_is_a_target(target):
    assert re.search(rf"^rule {target}:", (ROOT / "Snakefile").read_text(), re.MULTILINE)


def edges(dot: str) -> set[tuple[str, str]]:
    """Return the edges of a graph by the names of its rules; numbers and colours do not count."""
    names = dict(re.findall(r'(\d+)\[label = "([^"\\]+)', dot))
    return {(names[a], names[b]) for a, b in re.findall(r"(\d+) -> (\d+)", dot)}


def test_the_picture_of_the_rules_is_that_of_the_workflow():
    stored = (ROOT / "docs" / "images" / "rulegraph.dot").read_text()
    ran = subprocess.run(
        [sys.executable, "-m", "snakemake", "--rulegraph", "--configfile", "config/config.yaml"],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    assert len(edges(stored)) > 20
    assert edges(ran.stdout) == edges(stored), "run: make rulegraph"
    drawn = (ROOT / "docs" / "images" / "rulegraph.svg").read_text()
    assert all(rule in drawn for edge in edges(stored) for rule in edge), "run: make rulegraph"


def test_the_link_in_the_root_leads_to_the_slurm_profile():
    assert (ROOT / "slurm").resolve() == ROOT / "profiles" / "slurm"


#: Notes the image and what is bound, and runs the command outside.
STANDS_IN_FOR_APPTAINER = """#!/bin/bash
if [[ $1 == --version ]]; then echo "apptainer version 1.4.5"; exit; fi
echo "$*" >> "$NOTED"
exec bash -c "${!#}"
"""


def test_jobs_run_in_the_image_when_apptainer_is_asked_for(fresh, tmp_path, monkeypatch):
    stand_in = tmp_path / "bin" / "apptainer"
    stand_in.parent.mkdir()
    stand_in.write_text(STANDS_IN_FOR_APPTAINER)
    stand_in.chmod(0o755)
    monkeypatch.setenv(
        "PATH", f"{stand_in.parent}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    )
    monkeypatch.setenv("NOTED", str(tmp_path / "noted"))
    (fresh.folder / "urbanssl.sif").write_text("")
    asked = ("--software-deployment-method", "apptainer", "--apptainer-args=--nv")
    ran = fresh.snakemake("--cores", "1", *asked, "scenes")
    assert ran.returncode == 0, ran.stdout
    noted = (tmp_path / "noted").read_text().splitlines()
    assert len(noted) >= 6
    assert all(" --nv " in line and " urbanssl.sif bash -c " in line for line in noted)


def rules_of_the_workflow() -> set[str]:
    texts = [path.read_text() for path in (ROOT / "workflow" / "rules").glob("*.smk")]
    return set(
        re.findall(r"^\s*(?:use )?rule .*?(\w+)(?: with)?:$", "\n".join(texts), re.MULTILINE)
    )


def test_the_slurm_profile_names_rules_that_exist_and_asks_for_gpus_as_the_plugin_wants():
    profile = yaml.safe_load((ROOT / "profiles" / "slurm" / "config.yaml").read_text())
    named = {*profile["set-resources"], *profile["set-threads"]}
    assert named <= rules_of_the_workflow()
    for resources in (profile["default-resources"], *profile["set-resources"].values()):
        assert not {"gres", "tasks"} & set(resources)
    assert profile["latency-wait"] == 60
    assert "slurm-array-jobs" not in profile


def test_retries_stand_in_the_profile_alone_since_they_would_multiply():
    for path in (ROOT / "workflow" / "rules").glob("*.smk"):
        assert "retries:" not in path.read_text(), path


def test_the_slurm_profile_is_understood_by_snakemake(fresh):
    (fresh.folder / "slurm").symlink_to("profiles/slurm")
    ran = fresh.snakemake("-n", "--profile", "slurm")
    assert ran.returncode == 0, ran.stdout
    assert "train_detector" in ran.stdout


def test_memory_and_time_double_with_the_second_attempt(fresh):
    asked = {}
    for attempt in ("1", "2"):
        ran = fresh.snakemake("-n", "--attempt", attempt, "scenes")
        assert ran.returncode == 0, ran.stdout
        asked[attempt] = set(re.findall(r"runtime=\d+|mem_mb=\d+", ran.stdout))
    assert asked["1"] == {"mem_mb=2000", "runtime=60", "runtime=30"}
    assert asked["2"] == {"mem_mb=4000", "runtime=120", "runtime=60"}


#: Plans, and says which lists of files Snakemake hashed as a whole.
HASHED_LISTS = """
import sys
from snakemake import iocontainers
from snakemake.cli import main

plain = iocontainers.Namedlist.__hash__

def heard(files):
    print("hashed", *files, file=sys.stderr)
    return plain(files)

iocontainers.Namedlist.__hash__ = heard
main(sys.argv[1:])
"""


def test_planning_does_not_hash_the_list_of_all_scenes_for_each_scene(fresh):
    ran = subprocess.run(
        [sys.executable, "-c", HASHED_LISTS, "-n", "--configfile", "settings.yaml"],
        cwd=fresh.folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ran.returncode == 0, ran.stderr
    hashed = [line for line in ran.stderr.splitlines() if line.startswith("hashed")]
    assert hashed, "Snakemake hashes no lists any more: `many` in common.smk is not needed"
    assert [line for line in hashed if "/tiles/" in line or "/proposals/" in line] == []


def test_the_default_profile_overrules_nothing_of_the_slurm_profile():
    default, slurm = (
        yaml.safe_load((ROOT / "profiles" / name / "config.yaml").read_text())
        for name in ("default", "slurm")
    )
    assert {key for key in default if key in slurm and default[key] != slurm[key]} == set()


def test_every_rule_has_a_log_a_benchmark_memory_and_time():
    lacking = []
    for path in (ROOT / "workflow" / "rules").glob("*.smk"):
        starts = re.split(r"^[ ]*rule (\w+):", path.read_text(), flags=re.MULTILINE)
        for rule, body in zip(starts[1::2], starts[2::2], strict=True):
            wanted = ("log:", "benchmark:", "mem_mb=", "runtime=")
            lacking += [(rule, part) for part in wanted if part not in body]
    assert lacking == []


def test_without_a_crime_table_boxes_are_merged_and_judging_is_refused(fresh):
    fresh.write({**SETTINGS, "crime": {"table": None}}, "untabled.yaml")
    rules = {rule for rule, _ in fresh.planned("untabled.yaml")}
    assert {"predict_scene", "merge_boxes", "write_report"} <= rules
    assert not {"read_crime", "extract_features", "pool_features", "judge_crime"} & rules
    for target in ("features", "crime"):
        ran = fresh.snakemake("-n", target, settings="untabled.yaml")
        assert ran.returncode
        assert "name a crime table in `crime.table`" in ran.stdout
    (fresh.folder / "untabled.yaml").unlink()


def test_commands_of_the_documents_take_no_target_for_a_file_of_settings():
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "config").glob("*.yaml")]
    lines = [line for page in pages for line in page.read_text().splitlines()]
    after = [line.partition("--configfile ")[2].split() for line in lines if "snakemake" in line]
    followers = [words[1] for words in after if len(words) > 1]
    assert sum(map(bool, after)) > 10
    assert not set(followers) & set(TARGETS), "Snakemake would read these as settings"
