"""How many hours planned jobs will take, estimated before the first one is submitted.

A job takes as long as it took before where its benchmark file is still there, or as long by tile as
the jobs whose files lie beside it; a training goes by the images a second of its earlier log. Where
there is no earlier run in the results folder, the rates below are taken. They are meant to tell an
hour from a day, not two hours from three.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from urbanssl.plan import Plan
from urbanssl.planned_jobs import PlannedJob, Stage
from urbanssl.settings_training import Budget


@dataclass(frozen=True)
class Rate:
    """Seconds of one core that a job takes.

    Attributes:
        start: before its first unit of work: imports, reading.
        unit: for a unit of work.
        of: the unit, a key of what `_units` counts.
    """

    start: float
    unit: float = 0.0
    of: str = "tiles"


#: Where the rates below come from; the report of the check says it.
SOURCE = "one core (Intel or AMD server, 2026-11-25)"

#: Seconds of one core to train on one image, by recipe: logs of the embedded city's demo. The full
#: recipes have not been timed: no GPU was at hand.
TRAINING = {
    "swav_tiny": 0.038,
    "mae_tiny": 0.020,
    "detreg_tiny": 0.146,
    "deformable_detr_tiny": 0.078,
    "vitdet_tiny": 0.062,
}
#: Importing torch and mmdet, building a network, reading weights.
_NETWORK = 10.0
#: A tile that a network only looks at takes a third of a training's pass, and this for the rest.
_LOOK, _TILE = 1 / 3, 0.02
#: Cores that do as much as a GPU: a cautious round number, held against no GPU yet.
GPU_IN_CORES = 50

#: The embedded city's demo (tiles of 128 pixels, CPU time); judging: `benchmarks/crime.py`.
RATES = {
    "draw_city": Rate(2, 0.008, "all tiles"),
    "survey_scene": Rate(2, 0.001),
    "check_scenes": Rate(2, 0.01, "scenes"),
    "tile_scene": Rate(2, 0.003),
    "split_tiles": Rate(2, 0.001, "labelled tiles"),
    "convert_labels": Rate(2, 0.001),
    "assemble_coco": Rate(2, 0.001, "labelled tiles"),
    "propose_boxes": Rate(2, 0.03),
    "merge_boxes": Rate(3, 0.005),
    "merge_labelled": Rate(3, 0.005, "labelled tiles"),
    "score_run": Rate(3, 0.01, "labelled tiles"),
    "calibrate_scores": Rate(4, 0.001, "labelled tiles"),
    "draw_filters": Rate(4),
    "pool_features": Rate(2, 0.001),
    "read_crime": Rate(3),
    "train_tile_network": Rate(6, 0.15, "network steps"),
    "judge_crime": Rate(4, 0.0065, "resamples"),
    "find_drivers": Rate(5),
    "write_report": Rate(8),
}
#: The same for the feature sets that need no network.
FEATURES = {
    "rcf": 0.025,
    "coordinates": 0.001,
    "histogram": 0.001,
    "texture": 0.01,
    "objects": 0.005,
}


@dataclass(frozen=True)
class Estimate:
    """What the jobs of a stage will take.

    Attributes:
        hours: of all jobs, added up; None where a recipe has no rate.
        gpu_hours: the same times the GPUs of each.
        earlier: whether it is what earlier jobs took, not the rates.
    """

    hours: float | None
    gpu_hours: float | None
    earlier: bool


def estimate(stage: Stage, plan: Plan, tiles: Mapping[str, int]) -> Estimate:
    """Return what the jobs of a stage will take.

    Args:
        stage: the stage.
        plan: the plan of the run.
        tiles: tiles of every scene.
    """
    seconds = gpu_seconds = 0.0
    earlier = True
    for job in stage.planned:
        before = _as_before(job, plan, tiles)
        takes = _by_rate(job, plan, tiles) if before is None else before
        if takes is None:
            return Estimate(None, None, False)
        earlier &= before is not None
        seconds += takes
        gpu_seconds += takes * job.gpus
    return Estimate(seconds / 3600, gpu_seconds / 3600, earlier)


def _training(job: PlannedJob, plan: Plan) -> tuple[str, int, Budget] | None:
    """Return recipe, images and budget of a job that trains, None of others."""
    if job.rule.startswith("pretrain_"):
        stage = getattr(plan.settings.pretrain, job.rule.removeprefix("pretrain_"))
        return stage.recipe, stage.steps * stage.batch_size, stage
    if job.rule == "train_detector":
        run, detect = plan.runs[job.wildcards["run"]], plan.settings.detect
        return run.recipe, (run.settings.steps or detect.steps) * detect.batch_size, detect
    return None


def _as_before(job: PlannedJob, plan: Plan, tiles: Mapping[str, int]) -> float | None:
    """Return the seconds a job will take going by earlier ones, None where there are none."""
    if trains := _training(job, plan):
        log = next((path for path in _earlier_logs(job, plan) if path.is_file()), None)
        if log is None:
            return None
        return _NETWORK + trains[1] / json.loads(log.read_text())["images_per_second"]
    if job.record is None:
        return None
    if job.record.is_file():
        return _recorded(job.record)
    if job.record.parent.name == "benchmarks":  # beside it are other rules
        return None
    beside = list(job.record.parent.glob("*.tsv"))
    own = _units(job, plan, tiles)["tiles"]
    done = sum(tiles.get(path.stem, own) for path in beside)
    return own * sum(map(_recorded, beside)) / done if done else None


def _earlier_logs(job: PlannedJob, plan: Plan) -> list[Path]:
    """Return where an earlier training of the same network would have left its log."""
    root = plan.settings.root
    if job.rule != "train_detector":
        return [root / "pretrain" / job.rule.removeprefix("pretrain_") / "log.json"]
    own = plan.runs[job.wildcards["run"]]
    runs = [own, *(run for run in plan.runs.values() if run.recipe == own.recipe)]
    return [root / "detect" / run.name / "log.json" for run in runs]


def _recorded(record: Path) -> float:
    """Return the seconds in a benchmark file of Snakemake."""
    names, values = record.read_text().splitlines()[:2]
    return float(dict(zip(names.split("\t"), values.split("\t"), strict=True))["s"])


def _by_rate(job: PlannedJob, plan: Plan, tiles: Mapping[str, int]) -> float | None:
    """Return the seconds a job takes by the rates, None where its recipe has none."""
    cores = GPU_IN_CORES * job.gpus or 1
    if trains := _training(job, plan):
        recipe, images, budget = trains
        image = TRAINING.get(Path(recipe).stem)
        return None if image is None else _NETWORK + images * image / max(cores, budget.nodes)
    units = _units(job, plan, tiles)
    if job.rule in RATES:
        rate = RATES[job.rule]
        return rate.start + rate.unit * units[rate.of]
    name = job.wildcards.get("name")
    if name in FEATURES:
        return 3 + FEATURES[name] * units["tiles"]
    image = TRAINING.get(Path(_looking(job, plan)).stem)
    if image is None:
        return None
    return _NETWORK + units["tiles"] * (_TILE + _LOOK * image / cores)


def _looking(job: PlannedJob, plan: Plan) -> str:
    """Return the recipe of the network that a job looks at tiles with."""
    if "run" in job.wildcards:
        return plan.runs[job.wildcards["run"]].recipe
    name = job.wildcards["name"]
    if name in ("swav", "mae"):
        return str(getattr(plan.settings.pretrain, name).recipe)
    return plan.feature_arm(name).recipe


def _units(job: PlannedJob, plan: Plan, tiles: Mapping[str, int]) -> dict[str, int]:
    """Return how much there is of each unit of work in a job."""
    settings = plan.settings
    labelled = sum(tiles[scene.name] for scene in plan.labelled)
    study = sum(tiles[scene.name] for scene in plan.study)
    scene = job.wildcards.get("scene")
    of_job = labelled if job.rule.endswith("_labelled") else study
    return {
        "tiles": of_job if scene is None else tiles[scene],
        "all tiles": sum(tiles.values()),
        "labelled tiles": labelled,
        "scenes": len(plan.scenes),
        "network steps": settings.crime.network_steps,
        "resamples": len(settings.features.sets)
        * (settings.crime.bootstrap + settings.crime.permutations),
    }
