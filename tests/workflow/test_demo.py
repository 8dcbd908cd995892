"""`make demo` says what is running, how it ended, and where to look when it failed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from urbanssl.progress import STAGES, Progress
from urbanssl.stale_lock import alive

ROOT = Path(__file__).parents[2]

SNAKEFILE = """\
rule all:
    input: "a.txt", "b.txt"
rule tile_scene:
    output: "{x}.txt"
    log: "logs/{x}.log"
    wildcard_constraints: x="a"
    shell: "echo fine > {log}; touch {output}"
rule pretrain_mae:
    output: "b.txt"
    log: "logs/b.log"
    shell: "echo no space left > {log}; ENDING"
"""


@pytest.fixture
def demo(tmp_path):
    """Start the demo on a Snakefile of two jobs, the second one ending as told."""

    def started(ending: str) -> subprocess.Popen:
        (tmp_path / "Snakefile").write_text(SNAKEFILE.replace("ENDING", ending))
        shutil.copytree(ROOT / "config", tmp_path / "config", dirs_exist_ok=True)
        return subprocess.Popen(
            [sys.executable, "-m", "urbanssl.demo"],
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    return started


def test_a_run_that_ends_well_tells_its_stages_and_its_headline(demo):
    process = demo("touch {output}")
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said
    for part in ("2 jobs on", "done: cutting a scene into tiles (a)", "2/2", "next steps"):
        assert part in said
    assert "mAP by arm" in said


def test_a_failed_stage_is_named_with_the_end_of_its_log_and_how_to_go_on(demo):
    process = demo("false")
    said, _ = process.communicate(timeout=120)
    assert process.returncode != 0
    for part in ("FAILED: pretraining MAE", "logs/b.log", "no space left", "same command again"):
        assert part in said
    assert "next steps" not in said


SLOW = "sleep 100; touch {output}"


def wait_for_job(process: subprocess.Popen, folder: Path) -> None:
    """Wait until the second job has begun and the demo has noted that the lock is its own."""
    deadline = time.monotonic() + 120
    while not (
        (folder / "logs/b.log").exists() and (folder / ".snakemake/run_of_demo.json").exists()
    ):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)


def locks(folder: Path) -> list[Path]:
    return list((folder / ".snakemake" / "locks").glob("*"))


def test_a_stopped_run_ends_and_leaves_no_lock(demo, tmp_path):
    process = demo(SLOW)
    wait_for_job(process, tmp_path)
    assert locks(tmp_path)
    os.kill(process.pid, signal.SIGINT)
    said, _ = process.communicate(timeout=200)
    assert process.returncode == 130, said
    assert "goes on from here" in said
    assert not locks(tmp_path)


def test_a_killed_run_is_gone_on_with_by_the_next_and_two_at_once_are_refused(demo, tmp_path):
    process = demo(SLOW)
    wait_for_job(process, tmp_path)
    refused, _ = demo(SLOW).communicate(timeout=120)
    assert "another run is at work" in refused
    assert process.poll() is None
    group = json.loads((tmp_path / ".snakemake/run_of_demo.json").read_text())["group"]
    os.kill(process.pid, signal.SIGKILL)
    os.killpg(group, signal.SIGKILL)
    process.communicate(timeout=60)
    assert locks(tmp_path)
    deadline = time.monotonic() + 60
    while alive(group):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    again = demo("touch {output}")
    said, _ = again.communicate(timeout=120)
    assert again.returncode == 0, said
    assert "a run was killed here" in said
    assert not locks(tmp_path)


def test_wrong_settings_are_said_before_snakemake_starts(demo, tmp_path):
    (tmp_path / "config").mkdir()
    shutil.copytree(ROOT / "config", tmp_path / "config", dirs_exist_ok=True)
    (tmp_path / "Snakefile").write_text("")
    (tmp_path / "config" / "wrong.yaml").write_text("sed: 1\n")
    ran = subprocess.run(
        [sys.executable, "-m", "urbanssl.demo", "--configfile", "config/wrong.yaml"],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 1
    assert "did you mean `seed`?" in ran.stdout


def test_the_words_for_stages_are_those_of_the_workflow():
    texts = [path.read_text() for path in (ROOT / "workflow" / "rules").glob("*.smk")]
    for rule in STAGES:
        written = (f"rule {rule}:", f" as {rule} with:")
        assert any(words in text for text in texts for words in written), rule


def test_time_left_shrinks_as_jobs_end():
    progress = Progress()
    for line in ("Job stats:", "job  count", "---  ---", "all 1", "pretrain_mae 2", "total 3", ""):
        progress.read(line, 0)
    assert progress.jobs == 2
    before = progress.seconds_left(0, 1)
    progress.read("rule pretrain_mae:", 0)
    progress.read("    jobid: 4", 0)
    half = progress.seconds_left(30, 1)
    ended = progress.read("Finished jobid: 4 (Rule: pretrain_mae)", 60)
    assert ended is not None
    assert ended.words == "pretraining MAE"
    assert before > half > progress.seconds_left(60, 1) > 0


def test_lines_that_are_not_understood_change_nothing():
    progress = Progress()
    for line in ("", "rule", "Finished", "    jobid: 3", "Error", "Finished jobid: 9"):
        assert progress.read(line, 1.0) is None
    assert progress == Progress()
