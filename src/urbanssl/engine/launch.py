"""Starting a training: one process, or one a GPU under torchrun; told to stop, it saves first."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import deque
from types import FrameType

from urbanssl.engine.job import TrainJob
from urbanssl.errors import TrainingError

_STOPPED = (143, -signal.SIGTERM)


def command(job: TrainJob, job_file: str) -> list[str]:
    """Return the command line that runs a job file."""
    entry = ["-m", "urbanssl.engine.train", job_file]
    if job.settings.gpus <= 1:
        return [sys.executable, *entry]
    torchrun = ["-m", "torch.distributed.run", "--standalone"]
    return [sys.executable, *torchrun, f"--nproc-per-node={job.settings.gpus}", *entry]


def environment(job: TrainJob) -> dict[str, str]:
    """Return the environment of a training: its share of threads for each process."""
    each = max(1, job.threads // max(1, job.settings.gpus))
    settings = {"OMP_NUM_THREADS": str(each), "PYTHONUNBUFFERED": "1"}
    if job.settings.gpus == 0:
        settings["CUDA_VISIBLE_DEVICES"] = ""
    return {**os.environ, **settings}


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

    def pass_on(number: int, frame: FrameType | None) -> None:
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
    if status in _STOPPED:
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
