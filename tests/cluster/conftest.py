"""A SLURM of two nodes, and the workflow on a tiny city in it."""

import shutil
import signal

import pytest
from cluster_run import Project, lay_out
from slurm_on_loopback import CannotStart, start_slurm


@pytest.fixture(scope="session")
def slurm():
    """The cluster; skips, saying why, where there can be none."""
    try:
        cluster = start_slurm()
    except CannotStart as reason:
        pytest.skip(f"no SLURM can be started here: {reason}")
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)  # stop it then, too
    try:
        yield cluster
    finally:
        cluster.stop()
        signal.signal(signal.SIGTERM, previous)


@pytest.fixture(scope="session")
def finished(slurm, tmp_path_factory) -> Project:
    """The whole workflow, run through the cluster undisturbed."""
    project = lay_out(tmp_path_factory.mktemp("finished") / "project", slurm)
    ran = project.snakemake("--slurm-efficiency-report-path", "logs/slurm/efficiency.csv")
    assert ran.returncode == 0, ran.stdout[-6000:]
    return project


@pytest.fixture
def untrained(finished, tmp_path) -> Project:
    """A copy of the finished project in which SwAV has not been trained, nothing else missing."""
    folder = tmp_path / "project"
    shutil.copytree(finished.folder, folder, symlinks=True)
    for name in ("run/pretrain/swav", "run/work/swav", "logs"):
        shutil.rmtree(folder / name)
    return Project(folder, finished.slurm)
