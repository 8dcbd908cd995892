"""A project folder, Snakemake on the cluster in it, and what became of its jobs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from safetensors.numpy import load_file
from slurm_on_loopback import Slurm, wait_until

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent

#: The smallest city in which every stage has work, trained for a few steps.
SETTINGS = {
    "results": "run",
    "city": {"regions": 3, "labelled_regions": 1, "areas_per_side": 2, "area_px": 256},
    "tiles": {"size": 128, "overlap": 32},
    "splits": {"block": 60.0, "buffer": 0.0},
    "proposals": {"method": "grid"},
    "pretrain": {
        "swav": {
            "recipe": str(HERE / "held_swav.py"),
            "steps": 8,
            "batch_size": 16,
            "checkpoint_every": 2,
        },
        "detreg": {"steps": 4, "batch_size": 4},
    },
    "detect": {
        "arms": {
            "detr-detreg": {"recipe": "config/models/deformable_detr_tiny.py", "init": "detreg"}
        },
        "steps": 4,
        "batch_size": 4,
    },
    "features": {"sets": ["swav", "objects", "histogram"]},
    "score": {"bootstrap": 10},
    "crime": {"bootstrap": 100, "permutations": 100, "network_steps": 2},
}
SWAV = "run/pretrain/swav/weights.safetensors"
MAE = "run/pretrain/mae/weights.safetensors"

#: Two threads on two cores that ten jobs share wait for each other most of the time.
ON_ONE_CORE = ("--set-threads", "pretrain_swav=1", "pretrain_mae=1")
TRAIN_SWAV = (SWAV, *ON_ONE_CORE)

#: Patience is for real clusters: here files and answers are there at once.
IMPATIENCE = (
    *("--slurm-init-seconds-before-status-checks", "2", "--latency-wait", "20"),
    *("--max-status-checks-per-second", "1"),
)
PROGRAM = "impatient_snakemake"

#: For a machine that does ten things at once.
PATIENCE = 600


@dataclass
class Project:
    """A folder in which the workflow runs through SLURM.

    Attributes:
        folder: settings, results and logs are in it.
        slurm: the cluster.
        program: the module that is run as Snakemake.
    """

    folder: Path
    slurm: Slurm
    program: str = PROGRAM

    def write(self, settings: dict) -> None:
        """Write the settings."""
        (self.folder / "settings.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))

    def copied_untrained(self, folder: Path) -> Project:
        """Copy the project without what a training of SwAV writes; the next one will be held."""
        left_out = shutil.ignore_patterns("work", "logs", "planned", "said")
        shutil.copytree(self.folder, folder, symlinks=True, ignore=left_out)
        shutil.rmtree(folder / "run/pretrain/swav")
        project = Project(folder, self.slurm)
        project.hold()
        return project

    def command(self, *arguments: str) -> list[str]:
        """Return the command that a user of the cluster would give."""
        return [
            *(sys.executable, "-m", self.program, "--nocolor", "--snakefile"),
            *(str(ROOT / "Snakefile"), "--profile", str(ROOT / "profiles" / "slurm")),
            *("--configfile", "settings.yaml", *IMPATIENCE, *arguments),
        ]

    @property
    def environment(self) -> dict[str, str]:
        return {**self.slurm.environment, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{HERE}"}

    def snakemake(self, *arguments: str) -> subprocess.CompletedProcess:
        """Run Snakemake to its end; both streams are in `stdout`."""
        return subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=2 * PATIENCE,
        )

    def start(self, *arguments: str) -> subprocess.Popen:
        """Start Snakemake in a process group of its own; it writes `snakemake.out`."""
        with open(self.folder / "snakemake.out", "a") as out:
            return subprocess.Popen(
                self.command(*arguments),
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def end(self, process: subprocess.Popen) -> None:
        """Wait for a started Snakemake to succeed."""
        status = process.wait(timeout=PATIENCE)
        assert status == 0, (self.folder / "snakemake.out").read_text()[-6000:]

    def hold(self) -> None:
        """Have the training of SwAV wait after its fourth step."""
        (self.folder / "hold").touch()

    def let_go(self) -> None:
        """Let the training of SwAV go on."""
        (self.folder / "hold").unlink()

    def jobs(self) -> list[dict[str, str]]:
        """Return the jobs of this project that SLURM remembers, with all it knows of them."""
        known = (self.slurm.details(job["id"]) for job in self.slurm.jobs())
        return [job for job in known if Path(job["WorkDir"]) == self.folder]

    def running(self) -> list[dict[str, str]]:
        """Return the running jobs."""
        return [job for job in self.jobs() if job["JobState"] == "RUNNING"]

    def held_training(self, run: subprocess.Popen) -> dict[str, str]:
        """Wait until the training of a started Snakemake is held; return its job."""

        def held() -> bool:
            said = (self.folder / "snakemake.out").read_text()
            assert run.poll() is None, f"Snakemake ended too early:\n{said[-4000:]}"
            return 4 in self.checkpoints()

        wait_until(held, PATIENCE, "no training wrote a checkpoint")
        return self.running()[0]

    def checkpoints(self) -> list[int]:
        """Return the steps of which there is a checkpoint of SwAV."""
        files = (self.folder / "run" / "work" / "swav").glob("*/step_*.pt")
        return sorted(int(re.sub(r"\D", "", path.name)) for path in files)

    def log(self, rule: str) -> str:
        """Return the log that a rule of one job wrote last."""
        return (self.folder / "run" / "logs" / f"{rule}.log").read_text()


def lay_out(project: Project) -> None:
    """Make a project's folder with settings."""
    project.folder.mkdir(parents=True)
    (project.folder / "config").symlink_to(ROOT / "config")
    project.write(SETTINGS)


def same_weights(one: Path, other: Path) -> bool:
    """Return whether two weights files hold the same numbers, to the last bit."""
    first, second = load_file(one), load_file(other)
    return first.keys() == second.keys() and all(
        np.array_equal(first[name], second[name]) for name in first
    )


def processes_named(processes: list[int], part: str) -> list[int]:
    """Return those processes whose command line has a part."""
    found = []
    for process in processes:
        try:
            line = Path(f"/proc/{process}/cmdline").read_bytes()
        except FileNotFoundError:
            continue  # ended meanwhile
        if part.encode() in line:
            found.append(process)
    return found


def kill(processes: list[int], number: int) -> None:
    """Send a signal to processes."""
    for process in processes:
        os.kill(process, number)
