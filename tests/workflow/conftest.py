"""A copy of the workflow with stand-ins for its scripts, so that the graph of jobs runs in seconds.

Rules, settings, parameters and digests of the package are the real ones; a job writes its name into
its outputs instead of working.
"""

import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from urbanssl.progress import Progress

ROOT = Path(__file__).parents[2]

STAND_IN = """
import time
from pathlib import Path

for name in snakemake.output:
    path = Path(name)
    if path.suffix not in {"", ".pictures"}:
        path.write_text("half")
        time.sleep(float(snakemake.config.get("title", "0").partition("sleep ")[2] or 0))
        path.write_text(snakemake.rule)
    else:
        path.mkdir(parents=True)
Path(snakemake.log[0]).write_text("stood in for " + snakemake.rule)
"""

SHEET = """\
scene,path,role,labels,labels_format,area,region,date,gsd
north,imagery/north.tif,unlabelled,,,,,,
east,imagery/east.tif,labelled,labels/east.txt,dota,,,,
west,imagery/west.tif,labelled,labels/west.txt,dota,,,,
old,imagery/old.tif,study,,,,,,
new,imagery/new.tif,study,,,,,,
"""

SETTINGS = {
    "results": "results/run",
    "scenes": {"sheet": "scenes.csv"},
    "pretrain": {"roles": ["unlabelled", "labelled"]},
    "detect": {
        "arms": {
            "detr-detreg": {"recipe": "config/models/deformable_detr_tiny.py", "init": "detreg"},
            "vitdet-mae": {"recipe": "config/models/vitdet_tiny.py", "init": "mae"},
        },
    },
    "features": {"sets": ["swav", "mae", "objects", "histogram"]},
    "crime": {"areas": "areas.gpkg", "table": "crime.csv"},
}


@dataclass
class Workspace:
    """A folder in which the workflow can be run."""

    folder: Path

    def write(self, settings: dict, name: str = "settings.yaml") -> Path:
        path = self.folder / name
        path.write_text(yaml.safe_dump(settings, sort_keys=False))
        return path

    def command(self, *arguments: str, settings: str = "settings.yaml") -> list[str]:
        return [
            *(sys.executable, "-m", "snakemake", "--nocolor", "--configfile", settings),
            *arguments,
        ]

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(self.folder / "src"), "OMP_NUM_THREADS": "1"}

    def snakemake(self, *arguments: str, settings: str = "settings.yaml"):
        """Run Snakemake here; returns the finished process, both streams in its `stdout`."""
        return subprocess.run(
            self.command(*arguments, settings=settings),
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
        )

    def start(self, *arguments: str, settings: str = "settings.yaml") -> subprocess.Popen:
        """Start Snakemake in a process group of its own, for `kill`."""
        return subprocess.Popen(
            self.command(*arguments, settings=settings),
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    @staticmethod
    def kill(process: subprocess.Popen) -> None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def planned(self, settings: str = "settings.yaml") -> list[tuple[str, str]]:
        """Return rule and wildcards of every job a run would start now."""
        ran = self.snakemake("-n", settings=settings)
        assert ran.returncode == 0, ran.stdout
        progress = Progress()
        for line in ran.stdout.splitlines():
            progress.read(line, 0.0)
        return [(job.rule, job.about) for job in progress.running if job.rule != "all"]

    @contextmanager
    def edited(self, name: str, text: str | None) -> Iterator[None]:
        """Replace a file's text (None: touch it), and put it back with its old time afterwards."""
        path = self.folder / name
        before, stat = path.read_text(), path.stat()
        path.write_text(before if text is None else text)
        try:
            yield
        finally:
            path.write_text(before)
            os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def build(folder: Path) -> Workspace:
    """Lay out a workspace with five scenes, two arms and four feature sets."""
    shutil.copytree(ROOT / "workflow", folder / "workflow")
    for name in ("profiles", "envs", "docs"):
        shutil.copytree(ROOT / name, folder / name)
    shutil.copy(ROOT / "README.md", folder)
    shutil.copytree(
        ROOT / "src" / "urbanssl",
        folder / "src" / "urbanssl",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    shutil.copy(ROOT / "Snakefile", folder)
    for script in (folder / "workflow" / "scripts").glob("*.py"):
        script.write_text(STAND_IN)
    models = folder / "config" / "models"
    models.mkdir(parents=True)
    for name in ("swav", "mae", "detreg", "deformable_detr", "vitdet"):
        (models / f"{name}_tiny.py").write_text("model = None\n")
    for name in ("north", "east", "west", "old", "new", "later"):
        (folder / "imagery").mkdir(exist_ok=True)
        (folder / "imagery" / f"{name}.tif").write_text(name)
    for name in ("east", "west"):
        (folder / "labels").mkdir(exist_ok=True)
        (folder / "labels" / f"{name}.txt").write_text(name)
    (folder / "scenes.csv").write_text(SHEET)
    (folder / "areas.gpkg").write_text("areas")
    (folder / "crime.csv").write_text("crime")
    workspace = Workspace(folder)
    workspace.write(SETTINGS)
    return workspace


@pytest.fixture
def fresh(tmp_path) -> Workspace:
    """A workspace in which nothing has run."""
    return build(tmp_path)


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Workspace:
    """A workspace in which everything has run."""
    workspace = build(tmp_path_factory.mktemp("finished"))
    ran = workspace.snakemake("--cores", "4")
    assert ran.returncode == 0, ran.stdout
    return workspace


def processor_seconds(workspace, *arguments):
    """Return the processor time of a call of Snakemake, which other work does not count in."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ran = workspace.snakemake(*arguments)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, ran


def slowness(workspace):
    """Return how much slower than an idle machine, where Snakemake's start takes 1.4 s, this is."""
    return max(1.0, processor_seconds(workspace, "--version")[0] / 1.4)
