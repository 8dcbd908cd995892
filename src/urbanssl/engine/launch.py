"""Starting a training: one process, or one a GPU under torchrun; told to stop, it saves first."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections import deque
from types import FrameType

from urbanssl.engine.job import TrainJob
from urbanssl.errors import TrainingError

_STOPPED = (143, -signal.SIGTERM)
#: What a step within a SLURM job must know of it; the rest describes the step that starts it.
_OF_THE_JOB = ("SLURM_JOB_ID", "SLURM_JOBID", "SLURM_CONF", "SLURM_CLUSTER_NAME")


def command(job: TrainJob, job_file: str) -> list[str]:
    """Return the command line that runs a job file.

    Raises:
        TrainingError: it asks for several nodes and this is no SLURM job.
    """
    entry = ["-m", "urbanssl.engine.train", job_file]
    processes, nodes = job.settings.local_processes, job.settings.nodes
    if processes * nodes == 1:
        return [sys.executable, *entry]
    torchrun = [sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={processes}"]
    if nodes == 1:
        return [*torchrun, "--standalone", *entry]
    if "SLURM_JOB_ID" not in os.environ:
        raise TrainingError.at(
            "setting `nodes`",
            f"{nodes}, but this is no SLURM job",
            "run with `--profile slurm`, or set `nodes: 1`",
        )
    meeting = f"{socket.gethostname()}:{_free_port()}"
    rendezvous = ["--rdzv-backend=c10d", f"--rdzv-endpoint={meeting}"]
    rendezvous += [f"--rdzv-id={os.environ['SLURM_JOB_ID']}", f"--nnodes={nodes}"]
    return [*_on_every_node(job), *torchrun, *rendezvous, *entry]


def _on_every_node(job: TrainJob) -> list[str]:
    """Return the srun that starts one torchrun a node, sharing what this step holds of the job."""
    nodes, gpus = job.settings.nodes, job.settings.gpus
    shared = ["--overlap", "--kill-on-bad-exit=1", f"--cpus-per-task={job.threads}"]
    if gpus:
        shared.append(f"--gpus-per-node={gpus // nodes}")
    return ["srun", f"--nodes={nodes}", f"--ntasks={nodes}", "--ntasks-per-node=1", *shared]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        return int(probe.getsockname()[1])


def environment(job: TrainJob) -> dict[str, str]:
    """Return the environment of a training: its share of threads for each process."""
    settings = {"OMP_NUM_THREADS": str(job.threads_each), "PYTHONUNBUFFERED": "1"}
    if job.settings.gpus == 0:
        settings["CUDA_VISIBLE_DEVICES"] = ""
    kept = {
        name: value
        for name, value in os.environ.items()
        if job.settings.nodes == 1 or name in _OF_THE_JOB or not name.startswith("SLURM_")
    }
    return {**kept, **settings}


def launch(job: TrainJob) -> None:
    """Run a job in processes of its own, its lines going to standard output as they come.

    SIGTERM is passed on: the training saves a checkpoint and ends.

    Args:
        job: the training; its JSON is written into its work folder.

    Raises:
        TrainingError: the training failed; carries the last lines it wrote.
        SystemExit: it was told to stop (status 143).
    """
    job_file = job.work / "job.json"
    job.write(job_file)
    process = subprocess.Popen(
        command(job, str(job_file)),
        env=environment(job),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    told_to_stop = False

    def pass_on(number: int, frame: FrameType | None) -> None:
        nonlocal told_to_stop
        told_to_stop = True
        process.terminate()

    previous = signal.signal(signal.SIGTERM, pass_on)
    try:
        last = _stream(process)
        status = process.wait()
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()
        signal.signal(signal.SIGTERM, previous)
    # torchrun and srun end with a status of their own when they are told to stop.
    if status in _STOPPED or (status and told_to_stop):
        raise SystemExit(143)
    if status:
        raise TrainingError.at(
            f"training of {job.stage} ({job.recipe})",
            f"ended with status {status}:\n" + "".join(last),
            f"mend what the lines above say; run again to go on from the checkpoints in {job.work}",
        )


def _stream(process: subprocess.Popen[str]) -> deque[str]:
    """Pass a process's lines on; return the last of them."""
    last: deque[str] = deque(maxlen=25)
    for line in process.stdout or ():
        last.append(line)
        sys.stdout.write(line)
        sys.stdout.flush()
    return last
