"""The SLURM that `make test-cluster` started, and the workflow on a tiny city in it.

The tests share both, also when several processes run them: one runs the workflow, the others wait.
"""

import os
from pathlib import Path

import pytest
from cluster_run import TRAIN_SWAV, Project, lay_out
from filelock import FileLock
from slurm_on_loopback import CannotStart, Slurm, start_slurm


def pytest_collection_modifyitems(items):
    """Begin with what takes longest, so that no process waits for another one's fixtures.

    xdist hands the first two tests to one process, the next two to another, and then one at a time.
    The whole workflow runs in the first; its other tests come last, when it has run.
    """
    own = [item for item in items if item.get_closest_marker("cluster")]
    rest = [item for item in items if item not in own]
    whole = [item for item in own if "finished" in item.fixturenames]
    several = [item for item in own if "alone" in item.fixturenames]
    faults = [item for item in own if item not in whole and item not in several]
    items[:] = [*rest, *whole[:2], *several, *faults, *whole[2:]]


@pytest.fixture(scope="session")
def slurm() -> Slurm:
    """The cluster; skips, saying why, where there can be none."""
    folder = os.environ.get("LOOPBACK_SLURM")
    if folder is None:
        pytest.skip(os.environ.get("NO_LOOPBACK_SLURM", "`make test-cluster` starts the SLURM"))
    return Slurm(Path(folder), accounts=(Path(folder) / "slurmdbd.conf").exists())


@pytest.fixture
def other_slurm():
    """A cluster of one test's own, for it to break; without accounting."""
    try:
        cluster = start_slurm(accounts=False)
    except CannotStart as reason:
        pytest.skip(f"no SLURM can be started here: {reason}")
    yield cluster
    cluster.stop()


def once(name: str, slurm: Slurm, *targets: str) -> Project:
    """Run the workflow through the cluster: the first process that asks does, others wait.

    What Snakemake planned and said is in the project's files `planned` and `said`.
    """
    project = Project(slurm.folder / name, slurm)
    with FileLock(slurm.folder / f"{name}.lock"):
        if not project.folder.exists():
            lay_out(project)
            (project.folder / "planned").write_text(project.snakemake("-n", *targets).stdout)
            ran = project.snakemake(*targets)
            (project.folder / "said").write_text(f"{ran.stdout}\nstatus {ran.returncode}\n")
    said = (project.folder / "said").read_text()
    assert said.endswith("\nstatus 0\n"), said[-6000:]
    return project


@pytest.fixture(scope="session")
def finished(slurm) -> Project:
    """The whole workflow, run through the cluster undisturbed."""
    return once("finished", slurm)


@pytest.fixture(scope="session")
def trained(slurm) -> Project:
    """The workflow up to SwAV's weights, run through the cluster undisturbed."""
    return once("trained", slurm, *TRAIN_SWAV)


@pytest.fixture
def untrained(trained, tmp_path) -> Project:
    """A copy of the trained project in which SwAV is to be trained again, and held."""
    return trained.copied_untrained(tmp_path / "project")
