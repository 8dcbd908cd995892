"""Recipes: an mmengine config of a network, completed with what the job says."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from urbanssl.engine.job import TrainJob
from urbanssl.engine.log import say
from urbanssl.engine.mmdet_recipe import house_recipe
from urbanssl.errors import Problem, TrainingError

#: Keys of a scheduler that count steps; floats there are shares of the job's steps.
_STEP_KEYS = ("begin", "end", "T_max", "milestones", "warmup", "step_size")
_NEEDED = ("model", "optim_wrapper")
#: A learning rate so many times the recipe's, or its fraction, is worth a warning.
_FAR = 4.0


def load_recipe(job: TrainJob) -> Config:
    """Read a job's recipe and fill in what the job decides: classes, steps, learning rate.

    Importing what the recipe names in `custom_imports` registers its networks. What it freezes
    learns with `init: random`.

    Raises:
        TrainingError: the recipe lacks a part.
    """
    recipe = house_recipe(job.recipe, job.settings.steps)
    needed = (*_NEEDED, *(("train_pipeline",) if job.stage in ("detreg", "detector") else ()))
    problems = [
        Problem(f"{job.recipe} key `{key}`", "missing", "see docs/architecture.md, recipes")
        for key in needed
        if key not in recipe
    ]
    if job.init != "random" and job.init not in recipe.get("initial_weights", {}):
        problems.append(
            Problem(
                f"{job.recipe} key `initial_weights`",
                f"says nothing about `init: {job.init}`",
                f"add {job.init!r} with its prefixes, or choose another `init`",
            )
        )
    if problems:
        raise TrainingError.listing(problems, "the recipe cannot be trained")
    if job.stage == "detector":
        set_num_classes(recipe.model, len(job.classes))
        if job.init == "random":
            thaw(recipe.model)
    if job.stage == "detreg":
        recipe.model.embedder.weights = str(job.embedder)
    if job.probe is not None:
        recipe.probe_folder = str(job.probe)
    optimizer = recipe.optim_wrapper.optimizer
    optimizer.lr = learning_rate(job, optimizer.lr, recipe.get("auto_scale_lr"))
    recipe.param_scheduler = [
        in_steps(entry, job.settings.steps) for entry in recipe.get("param_scheduler", [])
    ]
    return recipe


def read_model(recipe: Path, classes: int | None = None) -> Config:
    """Read a recipe for a network that is not trained (prediction, features).

    Args:
        recipe: the mmengine config.
        classes: number of classes of a detector; None leaves the recipe's.
    """
    config = house_recipe(recipe)
    if classes is not None:
        set_num_classes(config.model, classes)
    return config


def set_num_classes(part: Any, classes: int) -> None:
    """Set every `num_classes` within a model config, in place."""
    if isinstance(part, Mapping):
        for key in part:
            if key == "num_classes":
                part[key] = classes  # type: ignore[index]
            else:
                set_num_classes(part[key], classes)
    elif isinstance(part, list | tuple):
        for entry in part:
            set_num_classes(entry, classes)


def thaw(part: Any) -> None:
    """Let everything within a model config learn, in place: frozen random weights would stay so."""
    if isinstance(part, dict):
        for key, learning in (("frozen_stages", -1), ("norm_eval", False)):
            if key in part:
                part[key] = learning
        norm = part.get("norm_cfg")
        if isinstance(norm, dict) and "requires_grad" in norm:
            norm["requires_grad"] = True
        for entry in part.values():
            thaw(entry)
    elif isinstance(part, list | tuple):
        for entry in part:
            thaw(entry)


def in_steps(scheduler: Mapping[str, Any], steps: int) -> dict[str, Any]:
    """Return a scheduler's config with shares of the training as steps."""

    def count(value: Any) -> Any:
        if isinstance(value, list | tuple):
            return [count(entry) for entry in value]
        return round(value * steps) if isinstance(value, float) else value

    filled = {key: count(v) if key in _STEP_KEYS else v for key, v in scheduler.items()}
    if "end" in filled:
        # mmengine refuses an empty range, which a short training makes of a short warm-up.
        filled["end"] = max(filled["end"], filled.get("begin", 0) + 1)
    return {"by_epoch": False, **filled}


def learning_rate(job: TrainJob, given: float, scaling: Mapping[str, Any] | None) -> float:
    """Return the learning rate: the job's, or the recipe's scaled to the batch where it says so."""
    scaled = given
    if scaling is not None:
        scaled = given * job.settings.batch_size / scaling["base_batch_size"]
    lr = job.settings.lr
    if lr is None:
        return scaled
    if scaling is not None and not 1 / _FAR <= lr / scaled <= _FAR:
        say(
            f"WARNING setting `lr`: {lr:g} is {lr / scaled:.2g} times the recipe's {scaled:g} for "
            f"batches of {job.settings.batch_size}; set `lr: null` to take that"
        )
    return lr
