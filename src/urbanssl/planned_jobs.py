"""The jobs a run would start now, as Snakemake itself plans them, summed up by rule."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from urbanssl.errors import SettingsError

#: Indented where the profile bundles its jobs.
_RULE = re.compile(r"\s*(?:local)?rule (\w+):")
_LINE = re.compile(r"\s+(threads|resources|wildcards|benchmark): (.*)")
_RESOURCE = re.compile(r"(runtime|mem_mb|gpu)=(\d+)")


@dataclass
class PlannedJob:
    """A job and what it asks for at its first attempt.

    Attributes:
        rule: its rule.
        wildcards: values by name.
        record: its benchmark file, of an earlier run if there is one.
        cores: cores.
        memory_mb: memory.
        gpus: GPUs.
        limit_hours: time limit.
    """

    rule: str
    wildcards: dict[str, str] = field(default_factory=dict)
    record: Path | None = None
    cores: int = 1
    memory_mb: int = 0
    gpus: int = 0
    limit_hours: float = 0.0

    def take(self, what: str, said: str) -> None:
        """Take in a line that a dry run prints of the job."""
        if what == "threads":
            self.cores = int(said)
        elif what == "benchmark":
            self.record = Path(said)
        elif what == "wildcards":
            self.wildcards = dict(pair.split("=", 1) for pair in said.split(", "))
        else:
            asked = {name: int(number) for name, number in _RESOURCE.findall(said)}
            self.memory_mb, self.gpus = asked.get("mem_mb", 0), asked.get("gpu", 0)
            self.limit_hours = asked.get("runtime", 0) / 60


@dataclass
class Stage:
    """The jobs of one rule, and the most that one of them asks for."""

    rule: str
    planned: list[PlannedJob] = field(default_factory=list)

    @property
    def jobs(self) -> int:
        """How many."""
        return len(self.planned)

    @property
    def cores(self) -> int:
        """Cores of one job, at most."""
        return max(job.cores for job in self.planned)

    @property
    def memory_mb(self) -> int:
        """Memory of one job, at most."""
        return max(job.memory_mb for job in self.planned)

    @property
    def gpus(self) -> int:
        """GPUs of one job, at most."""
        return max(job.gpus for job in self.planned)

    @property
    def limit_hours(self) -> float:
        """Time limit of one job, at most."""
        return max(job.limit_hours for job in self.planned)


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
    job = PlannedJob("")
    for line in text.splitlines():
        if named := _RULE.match(line):
            job = PlannedJob(named[1])
            stages.setdefault(named[1], Stage(named[1])).planned.append(job)
        elif told := _LINE.match(line):
            job.take(told[1], told[2])
    return [stage for stage in stages.values() if stage.rule != "all"]
