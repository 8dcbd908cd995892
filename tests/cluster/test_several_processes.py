"""Several processes, in one job and on two nodes, learn as one on the joined batch."""

import copy
import json
import shutil
import sys

import numpy as np
import pytest
from cluster_run import HERE, MAE, ON_ONE_CORE, PATIENCE, SETTINGS, Project
from safetensors.numpy import load_file

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="session")
def alone(trained, tmp_path_factory) -> Project:
    """MAE trained by one process."""
    folder = tmp_path_factory.mktemp("alone") / "project"
    shutil.copytree(trained.folder, folder, symlinks=True)
    project = Project(folder, trained.slurm)
    train_mae(project, nodes=1)
    return project


def train_mae(project: Project, nodes: int) -> None:
    """Train MAE through Snakemake on a number of nodes."""
    settings = copy.deepcopy(SETTINGS)
    budget = {"steps": 4, "batch_size": 8, "nodes": nodes}
    settings["pretrain"]["mae"] = {"recipe": str(HERE / "plain_mae.py"), **budget}
    project.write(settings)
    ran = project.snakemake(MAE, *ON_ONE_CORE, "--forcerun", "pretrain_mae", "--retries", "0")
    assert ran.returncode == 0, ran.stdout[-6000:]


def losses(project: Project, name: str = "run/pretrain/mae/log.json") -> list[float]:
    """Return the losses of a training, step by step."""
    curve = json.loads((project.folder / name).read_text())["curve"]
    return [point["loss"] for point in curve]


def weights(project: Project, name: str = MAE) -> dict[str, np.ndarray]:
    """Return the weights of a training."""
    return load_file(project.folder / name)


def assert_as_alone(project: Project, alone: Project, folder: str = "run/pretrain/mae") -> None:
    """Assert that a training gave the losses and weights of one by one process."""
    assert losses(project, f"{folder}/log.json") == pytest.approx(losses(alone), rel=1e-4)
    ours, reference = weights(project, f"{folder}/weights.safetensors"), weights(alone)
    for name in reference:
        if name.endswith("attn.qkv.bias"):
            # The bias of the keys adds the same to all scores of a query and has no effect: its
            # gradient is rounding alone, which Adam turns into whole steps.
            width = len(reference[name]) // 3
            ours[name][width : 2 * width] = reference[name][width : 2 * width]
    apart = {
        name: float(np.abs(ours[name] - reference[name]).max())
        for name in reference
        if not np.allclose(ours[name], reference[name], atol=1e-4)
    }
    assert apart == {}


def test_two_nodes_learn_as_one_process_on_the_joined_batch(trained, alone, tmp_path):
    shutil.copytree(trained.folder, tmp_path / "project", symlinks=True)
    project = Project(tmp_path / "project", trained.slurm)
    train_mae(project, nodes=2)
    job = next(job for job in project.jobs() if "pretrain_mae" in job.get("Comment", ""))
    assert (job["NumNodes"], job["NodeList"]) == ("2", "n[1-2]")
    assert_as_alone(project, alone)


def test_two_processes_of_one_job_learn_as_one_process_on_the_joined_batch(alone):
    job_file = next((alone.folder / "run/work/mae").glob("*/job.json"))
    job = json.loads(job_file.read_text()) | {"work": "run/work/two"}
    job |= {"output_weights": "two/weights.safetensors", "output_log": "two/log.json"}
    (alone.folder / "two.json").write_text(json.dumps(job))
    torchrun = (sys.executable, "-m", "torch.distributed.run", "--standalone")
    alone.slurm.run(
        *("srun", "--ntasks=1", "--cpus-per-task=2", "--mem=4000", f"--chdir={alone.folder}"),
        *("env", f"PYTHONPATH={alone.environment['PYTHONPATH']}", "OMP_NUM_THREADS=1"),
        *(*torchrun, "--nproc-per-node=2", "-m", "urbanssl.engine.train", "two.json"),
        seconds=PATIENCE,
    )
    assert_as_alone(alone, alone, "two")
