"""How much GPU memory a training will take, estimated from its recipe before it is submitted.

A training holds its parameters (weights, gradients and two moments of the optimiser, 4 bytes each),
what autograd keeps of each image for the backward pass, and what CUDA and its libraries take. What
is kept an image was counted by `benchmarks/recipe_cost.py`, and is the same on every device. The
estimate is meant to tell 10 GB from 40, not 38 from 40.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from urbanssl.errors import Problem
from urbanssl.settings import Settings
from urbanssl.settings_training import Budget


@dataclass(frozen=True)
class Footprint:
    """What a recipe's network takes.

    Attributes:
        side: side in pixels of the images it was counted with.
        millions: parameters, millions.
        megabytes: kept an image for the backward pass, fp32, MB.
    """

    side: int
    millions: float
    megabytes: float


#: Recipes of config/models; docs/cluster.md shows what follows from them.
FOOTPRINTS = {
    "swav_tiny": Footprint(128, 11.3, 3),
    "mae_tiny": Footprint(128, 1.1, 9),
    "detreg_tiny": Footprint(128, 4.4, 19),
    "deformable_detr_tiny": Footprint(128, 3.7, 18),
    "vitdet_tiny": Footprint(128, 2.0, 18),
    "swav_r50": Footprint(224, 28.4, 267),
    "mae_vit-b": Footprint(224, 111.9, 84),
    "detreg_r50": Footprint(480, 41.7, 1361),
    "deformable_detr_r50": Footprint(800, 40.1, 4006),
    "vitdet_vit-b": Footprint(1024, 107.9, 7637),
}

_BYTES_A_PARAMETER = 16
#: CUDA context, cuDNN and cuBLAS workspaces, GB.
_LIBRARIES = 1.5
#: Gradients of what is kept, temporary tensors, memory that lies between blocks.
_SLACK = 1.3
#: What bf16 leaves of what is kept: norms, softmaxes and losses stay in fp32.
_BF16 = 0.6

#: Memory of GPU models in GB, the largest variant, by the names that clusters give them.
_GPUS = {
    "v100": 32, "a10": 24, "a30": 24, "a40": 48, "a100": 80, "l4": 24, "l40": 48, "l40s": 48,
    "h100": 94, "h200": 141, "b200": 192, "t4": 16, "p100": 16, "rtx3090": 24, "rtx4090": 24,
}  # fmt: skip


def gpu_gigabytes(recipe: str, budget: Budget) -> float | None:
    """Return the memory that each GPU of a training needs, GB; None for a recipe not in the table.

    Args:
        recipe: the file of the recipe.
        budget: batch size, GPUs and precision of the training.
    """
    footprint = FOOTPRINTS.get(Path(recipe).stem)
    if footprint is None:
        return None
    images = budget.batch_size / max(1, budget.gpus)
    share = _BF16 if budget.precision == "bf16" else 1.0
    kept = images * footprint.megabytes * 1e6 * share * _SLACK
    return _LIBRARIES + (footprint.millions * 1e6 * _BYTES_A_PARAMETER + kept) / 1e9


def trainings(settings: Settings) -> Iterator[tuple[str, str, Budget]]:
    """Yield rule, recipe and budget of each training that has GPUs."""
    for name in ("swav", "mae", "detreg"):
        training = getattr(settings.pretrain, name)
        if training.gpus:
            yield f"pretrain_{name}", training.recipe, training
    if settings.detect.gpus:
        for recipe in dict.fromkeys(arm.recipe for arm in settings.detect.arms.values()):
            yield "train_detector", recipe, settings.detect


def memory_problems(profile: Mapping[str, Any], settings: Settings) -> Iterator[Problem]:
    """Yield the trainings that will not fit the GPU model that the profile names for them."""
    for rule, recipe, budget in trainings(settings):
        resources = {
            **(profile.get("default-resources") or {}),
            **(profile.get("set-resources") or {}).get(rule, {}),
        }
        model = str(resources.get("gpu_model", "")).strip("\"'").lower()
        needed, there = gpu_gigabytes(recipe, budget), _GPUS.get(model)
        if needed and there and needed > there:
            yield Problem(
                f"{rule} with {recipe}",
                f"about {needed:.0f} GB a GPU at {budget.batch_size} images on {budget.gpus} GPUs "
                f"in {budget.precision}; gpu_model {model!r} has {there}",
                "lower its batch_size, give it more GPUs, or set precision: bf16",
            )
