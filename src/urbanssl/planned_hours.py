"""How many hours planned jobs will take, estimated before the first one is submitted.

A job takes as long as it took before where its benchmark file is still there, or as long by tile as
the jobs of other scenes; a training goes by the images a second in the log of an earlier one with
the same recipe and GPUs. Where the results folder holds no earlier run, the rates below are taken.
They are meant to tell an hour from a day, not two hours from three.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from urbanssl.artifacts import read_json
from urbanssl.plan import Plan
from urbanssl.planned_jobs import PlannedJob, Stage
from urbanssl.settings_training import Budget


@dataclass(frozen=True)
class Rate:
    """Seconds of one core that a job takes.

    Attributes:
        start: before its first unit of work: imports, reading.
        unit: for a unit of work.
        of: the unit, one of those that `Estimator` counts.
    """

    start: float
    unit: float = 0.0
    of: str = "tiles"


#: Where the rates below come from; the report of the check says it.
SOURCE = "one core (Intel Xeon, 2026-11-25)"

#: Seconds of one core to train on one image, by recipe. Of the small ones: logs of the embedded
#: city's demo. Of the full ones: forward and backward passes, `benchmarks/recipe_cost.py`.
TRAINING = {
    "swav_tiny": 0.038,
    "mae_tiny": 0.020,
    "detreg_tiny": 0.146,
    "deformable_detr_tiny": 0.078,
    "vitdet_tiny": 0.062,
    "swav_r50": 0.87,
    "mae_vit-b": 0.51,
    "detreg_r50": 6.4,
    "deformable_detr_r50": 31.0,
    "vitdet_vit-b": 78.0,
}
#: Importing torch and mmdet, building a network, reading weights.
_NETWORK = 10.0
#: A tile that a network only looks at takes a third of a training's pass, and this for the rest.
_LOOK, _TILE = 1 / 3, 0.02
#: Cores that do as much as a GPU: a cautious round number, held against no GPU yet.
GPU_IN_CORES = 50

#: The embedded city's demo (tiles of 128 pixels, CPU time). Judging: `benchmarks/crime.py`, with
#: 3,000 areas; fewer take less. How far off they are: `benchmarks/RESULTS.md`.
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
#: The same for the feature sets that need no network, and what each of these jobs takes before.
_FEATURES_START = 3
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


class Estimator:
    """Estimates of the stages of one plan; earlier runs are read once, whatever the number of jobs.

    Args:
        plan: the plan of the run.
        tiles: tiles of every scene.
    """

    def __init__(self, plan: Plan, tiles: Mapping[str, int]) -> None:
        self.plan, self.tiles = plan, tiles
        self._records, self._seconds_per_tile = cache(_records), cache(self._by_tile)
        crime = plan.settings.crime
        self._units = {
            "all tiles": sum(tiles.values()),
            "labelled tiles": sum(tiles[scene.name] for scene in plan.labelled),
            "study tiles": sum(tiles[scene.name] for scene in plan.study),
            "scenes": len(plan.scenes),
            "network steps": crime.network_steps,
            "resamples": len(plan.settings.features.sets) * (crime.bootstrap + crime.permutations),
        }

    def of(self, stage: Stage) -> Estimate:
        """Return what the jobs of a stage will take."""
        seconds = gpu_seconds = 0.0
        earlier = True
        for job in stage.planned:
            before = self._as_before(job)
            takes = self._by_rate(job) if before is None else before
            if takes is None:
                return Estimate(None, None, False)
            earlier &= before is not None
            seconds += takes
            gpu_seconds += takes * job.gpus
        return Estimate(seconds / 3600, gpu_seconds / 3600, earlier)

    def _as_before(self, job: PlannedJob) -> float | None:
        """Return the seconds a job will take going by earlier ones, None where there are none."""
        if trains := self._training(job):
            recipe, images, budget = trains
            paces = (_pace(log, recipe, budget.gpus) for log in self._earlier_logs(job))
            pace = next((pace for pace in paces if pace is not None), None)
            return None if pace is None else _NETWORK + images / pace
        if job.record is None:
            return None
        folder = job.record.parent
        before = self._records(folder).get(job.record.stem)
        if before is None and "scene" in job.wildcards:
            pace = self._seconds_per_tile(folder)
            before = None if pace is None else pace * self._tiles_of(job)
        return before

    def _by_tile(self, folder: Path) -> float | None:
        """Return the seconds by tile of the scenes that have a benchmark file in a folder."""
        records = self._records(folder)
        scenes = records.keys() & self.tiles.keys()
        tiles = sum(self.tiles[scene] for scene in scenes)
        return sum(records[scene] for scene in scenes) / tiles if tiles else None

    def _by_rate(self, job: PlannedJob) -> float | None:
        """Return the seconds a job takes by the rates, None where there is none."""
        cores = GPU_IN_CORES * job.gpus or 1
        if trains := self._training(job):
            recipe, images, budget = trains
            image = TRAINING.get(recipe)
            return None if image is None else _NETWORK + images * image / max(cores, budget.nodes)
        tiles = self._tiles_of(job)
        if job.rule in RATES:
            rate = RATES[job.rule]
            return rate.start + rate.unit * {**self._units, "tiles": tiles}[rate.of]
        if job.wildcards.get("name") in FEATURES:
            return _FEATURES_START + FEATURES[job.wildcards["name"]] * tiles
        image = TRAINING.get(self._looking(job))
        return None if image is None else _NETWORK + tiles * (_TILE + _LOOK * image / cores)

    def _training(self, job: PlannedJob) -> tuple[str, int, Budget] | None:
        """Return recipe, images and budget of a job that trains, None of others."""
        if job.rule.startswith("pretrain_"):
            stage = getattr(self.plan.settings.pretrain, job.rule.removeprefix("pretrain_"))
            return Path(stage.recipe).stem, stage.steps * stage.batch_size, stage
        if job.rule == "train_detector":
            run, detect = self.plan.runs[job.wildcards["run"]], self.plan.settings.detect
            steps = run.settings.steps or detect.steps
            return Path(run.recipe).stem, steps * detect.batch_size, detect
        return None

    def _earlier_logs(self, job: PlannedJob) -> list[Path]:
        """Return where an earlier training of the same network would have left its log."""
        root, runs = self.plan.settings.root, self.plan.runs
        if job.rule != "train_detector":
            return [root / "pretrain" / job.rule.removeprefix("pretrain_") / "log.json"]
        names = sorted(runs, key=lambda name: name != job.wildcards["run"])  # its own first
        return [root / "detect" / name / "log.json" for name in names]

    def _looking(self, job: PlannedJob) -> str:
        """Return the recipe of the network that a job looks at tiles with, empty if none does."""
        name = job.wildcards.get("name")
        if "run" in job.wildcards:
            return Path(self.plan.runs[job.wildcards["run"]].recipe).stem
        if name in ("swav", "mae"):
            return Path(getattr(self.plan.settings.pretrain, name).recipe).stem
        return Path(self.plan.feature_arm(name).recipe).stem if name else ""

    def _tiles_of(self, job: PlannedJob) -> int:
        """Return the tiles of a job: of its scene, or of all that scenes like it share."""
        if scene := job.wildcards.get("scene"):
            return self.tiles[scene]
        return self._units["labelled tiles" if job.rule.endswith("_labelled") else "study tiles"]


def _records(folder: Path) -> dict[str, float]:
    """Return the seconds in the benchmark files of a folder, by the names of these."""
    found = {path.stem: _recorded(path) for path in folder.glob("*.tsv")}
    return {name: seconds for name, seconds in found.items() if seconds is not None}


def _recorded(record: Path) -> float | None:
    """Return the seconds in a benchmark file of Snakemake, None where it was not finished."""
    try:
        names, values = (line.split("\t") for line in record.read_text().splitlines()[:2])
        return float(dict(zip(names, values, strict=True))["s"])
    except (ValueError, KeyError):
        return None


def _pace(log: Path, recipe: str, gpus: int) -> float | None:
    """Return the images a second of an earlier training, None unless it was of the same kind."""
    if not log.is_file():
        return None
    told = read_json(log)
    same = told.get("recipe") == recipe and told.get("gpus") == gpus
    return float(told["images_per_second"]) if same else None
