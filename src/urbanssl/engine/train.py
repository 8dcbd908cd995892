"""The training entry: `python -m urbanssl.engine.train job.json`, under torchrun with many GPUs."""

from __future__ import annotations

import os
import sys
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

from urbanssl.engine.job import TrainJob
from urbanssl.errors import Problem, TrainingError, UrbansslError


def train(job: TrainJob) -> None:
    """Train a network as a job says; write its weights and its log.

    Resumes from the newest checkpoint of the same training in `job.work`.

    Args:
        job: what to train, on what, how long.

    Raises:
        TrainingError: the job cannot be trained, or its numbers are no good.
        WeightsError: the initial weights do not fit.
    """
    if job.settings.gpus == 0:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    rank, world = _join_processes(job)
    from urbanssl.engine.export import export
    from urbanssl.engine.loop import bare_model
    from urbanssl.engine.recipe import load_recipe

    recipe = load_recipe(job)
    runner = _runner(job, recipe, rank, world)
    loaded: dict[str, Any] = {}
    runner.fill = lambda model: loaded.update(_fill(job, recipe, model))
    runner.train()
    if rank == 0:
        export(job, bare_model(runner.model), runner.train_loop, loaded)
    _leave_processes()


def _join_processes(job: TrainJob) -> tuple[int, int]:
    """Join the other processes of torchrun, if there are any; return rank and world size."""
    import torch
    import torch.distributed as dist

    # torchrun's variables come first: on a cluster SLURM's describe the job, not the process.
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    on_gpu = job.settings.gpus > 0
    problems = []
    if on_gpu and not torch.cuda.is_available():
        what = f"{job.settings.gpus} asked for, none is there"
        problems.append(Problem("setting `gpus`", what, "set `gpus: 0` to train on CPU"))
    if job.settings.batch_size % world:
        what = f"{job.settings.batch_size} cannot be shared by {world} processes"
        problems.append(Problem("setting `batch_size`", what, f"take a multiple of {world}"))
    if problems:
        raise TrainingError.listing(problems, "the training cannot start")
    torch.set_num_threads(job.threads_each)
    if world > 1 and not dist.is_initialized():
        if on_gpu:
            torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        dist.init_process_group("nccl" if on_gpu else "gloo", timeout=timedelta(minutes=30))
    return rank, world


def _leave_processes() -> None:
    import torch.distributed as dist

    if dist.is_initialized():
        dist.barrier()
        dist.destroy_process_group()


def _runner(job: TrainJob, recipe: Any, rank: int, world: int) -> Any:
    from urbanssl.engine.batches import training_batches
    from urbanssl.engine.loop import TrainingRunner

    settings = job.settings
    batches = training_batches(job, recipe, rank, world)
    loop = {
        "type": "StepLoop",
        "steps": settings.steps,
        "batch": settings.batch_size,
        "seed": job.seed,
        "checkpoint_every": settings.checkpoint_every,
        "fingerprint": job.fingerprint(),
        "on_trouble": settings.on_trouble,
        "compiled": settings.compiled,
    }
    unused = ("runtime_info", "timer", "sampler_seed", "logger", "checkpoint")
    return TrainingRunner(
        model=recipe.model,
        work_dir=str(job.work),
        train_dataloader=batches,
        train_cfg=loop,
        optim_wrapper=_optim_wrapper(recipe, settings.precision),
        param_scheduler=recipe.param_scheduler or None,
        default_hooks=dict.fromkeys(unused),
        custom_hooks=list(recipe.get("custom_hooks", [])),
        launcher="pytorch" if world > 1 else "none",
        env_cfg={"cudnn_benchmark": True, "dist_cfg": {}},
        log_level="WARNING",
        randomness={"seed": job.seed},
        default_scope=recipe.get("default_scope", "mmengine"),
        experiment_name=f"{job.stage}-{uuid.uuid4().hex}",
        cfg=recipe,
    )


def _optim_wrapper(recipe: Any, precision: str) -> dict[str, Any]:
    from urbanssl.engine.optim import Bf16OptimWrapper

    wrapper = dict(recipe.optim_wrapper)
    if precision == "bf16":
        if wrapper.get("type", "OptimWrapper") not in ("OptimWrapper", "AmpOptimWrapper"):
            raise TrainingError.at(
                "setting `precision`",
                f"bf16 does not go with optim_wrapper {wrapper['type']!r}",
                "use `precision: fp32`",
            )
        wrapper["type"] = Bf16OptimWrapper
    return wrapper


def _fill(job: TrainJob, recipe: Any, model: Any) -> dict[str, Any]:
    """Fill the network with the initial weights; return the report for the log."""
    from urbanssl.engine.log import say
    from urbanssl.engine.weights import load_weights

    if job.weights is None:
        return {}
    how = recipe.initial_weights[job.init]
    report = load_weights(
        model,
        job.weights,
        expected=float(how.get("expected", 1.0)),
        prefixes=how.get("prefixes"),
        skip=how.get("skip", ()),
        optional=how.get("optional", ()),
    )
    say(f"weights of {job.weights}: {len(report.matched)} tensors, {report.share:.1%}")
    return report.plain()


def main(arguments: list[str]) -> int:
    """Run a job file; an error the user can mend is told without a traceback."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m urbanssl.engine.train job.json\n")
        return 2
    try:
        train(TrainJob.read(Path(arguments[0])))
    except UrbansslError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
