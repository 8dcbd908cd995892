"""The jobs a run would start now, as Snakemake itself plans them, summed up by rule."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass

from urbanssl.errors import SettingsError

#: Indented where the profile bundles its jobs.
_RULE = re.compile(r"\s*(?:local)?rule (\w+):")
_THREADS = re.compile(r"\s+threads: (\d+)")
_RESOURCE = re.compile(r"(runtime|mem_mb|gpu)=(\d+)")


@dataclass
class Stage:
    """The jobs of one rule and what they ask for at their first attempt.

    Attributes:
        rule: the rule.
        jobs: how many.
        cores: cores of one job, at most.
        memory_mb: memory of one job, at most.
        gpus: GPUs of one job, at most.
        hours: time limits of all jobs, added up.
        gpu_hours: those hours times the GPUs held.
    """

    rule: str
    jobs: int = 0
    cores: int = 1
    memory_mb: int = 0
    gpus: int = 0
    hours: float = 0.0
    gpu_hours: float = 0.0


def planned_stages(configfile: str, profile: str | None) -> list[Stage]:
    """Return what a run would start now, in the order of the workflow.

    Args:
        configfile: the settings.
        profile: the Snakemake profile, None for none.

    Raises:
        SettingsError: Snakemake cannot plan the run.
    """
    command = [sys.executable, "-m", "snakemake", "-n", "--nocolor", "--configfile", configfile]
    command += ["--profile", profile] if profile else []
    ran = subprocess.run(command, capture_output=True, text=True)
    if ran.returncode:
        last = "\n".join((ran.stdout + ran.stderr).splitlines()[-20:])
        raise SettingsError.at("snakemake -n", f"failed:\n{last}", "mend what it says")
    return read_plan(ran.stdout + ran.stderr)


def read_plan(text: str) -> list[Stage]:
    """Return the jobs that a dry run prints, by rule."""
    stages: dict[str, Stage] = {}
    stage = Stage("")
    for line in text.splitlines():
        if named := _RULE.match(line):
            stage = stages.setdefault(named[1], Stage(named[1]))
            stage.jobs += 1
        elif threads := _THREADS.match(line):
            stage.cores = max(stage.cores, int(threads[1]))
        elif line.strip().startswith("resources:"):
            asked = {name: int(number) for name, number in _RESOURCE.findall(line)}
            hours, gpus = asked.get("runtime", 0) / 60, asked.get("gpu", 0)
            stage.memory_mb = max(stage.memory_mb, asked.get("mem_mb", 0))
            stage.gpus = max(stage.gpus, gpus)
            stage.hours += hours
            stage.gpu_hours += hours * gpus
    return [stage for stage in stages.values() if stage.rule != "all"]
