"""`python -m urbanssl.check`: everything that can be known before the first job is submitted.

Reads the settings, the headers of all imagery, areas and crime table, the free disk and, with a
profile, the cluster's partitions and GPUs; lists every problem at once; prints what would run,
stage by stage.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from urbanssl.check_cluster import cluster_problems, read_profile
from urbanssl.check_memory import gpu_gigabytes, memory_problems, trainings
from urbanssl.errors import Problem, SettingsError, UrbansslError
from urbanssl.load_settings import load_settings
from urbanssl.plan import Plan
from urbanssl.planned_hours import GPU_IN_CORES, SOURCE, Estimate, Estimator
from urbanssl.planned_jobs import Stage, planned_stages
from urbanssl.settings import Settings, TileSettings
from urbanssl.synthetic.layout import GSD

#: Numbers of a tile that a network's feature set has at most: the channels of a ResNet-50.
_NETWORK_FEATURES = 2048
#: Numbers of a tile of the other sets: rcf aside, none has more than a few hundred.
_OTHER_FEATURES = 512
_FLOAT = 4
#: Bytes of a box in a Parquet table before compression: six numbers and two short names.
_BOX = 64
#: Free disk asked for beyond the estimate: logs, figures, tables and checkpoints of small networks.
_SPARE = 1.2


def main(arguments: list[str] | None = None) -> int:
    """Check a run; return 0 where it can start, 1 where something is in the way."""
    parser = argparse.ArgumentParser(prog="python -m urbanssl.check", description=__doc__)
    parser.add_argument("--configfile", default="config/config.yaml", help="settings to check")
    parser.add_argument("--profile", help="Snakemake profile to check, e.g. profiles/slurm")
    given = parser.parse_args(arguments)
    try:
        settings = load_settings(given.configfile)
        plan = Plan(settings)
        profile = read_profile(given.profile) if given.profile else {}
        tiles, problems = count_tiles(plan)
        disk = disk_by_stage(plan, tiles)
        problems += crime_problems(plan)
        problems += disk_problems(settings.root, disk)
        problems += cluster_problems(profile, settings) if "executor" in profile else []
        problems += memory_problems(profile, settings)
        stages = planned_stages(given.configfile, given.profile)
    except UrbansslError as error:
        _say(str(error))
        return 1
    _tell(settings, plan, tiles, stages, disk)
    if problems:
        _say(str(SettingsError.listing(problems, "\nthis run cannot start")))
        return 1
    _say("\nnothing is in the way: start it with the same settings and profile")
    return 0


def count_tiles(plan: Plan) -> tuple[dict[str, int], list[Problem]]:
    """Return the tiles of every scene before empty ones go, and the images that cannot be read.

    Args:
        plan: the plan of the run; the embedded city need not be drawn yet.
    """
    tiles = plan.settings.tiles
    if plan.settings.embedded:
        city = plan.settings.city
        side = city.areas_per_side * city.area_px
        if tiles.gsd is not None and tiles.grid == "pixel":
            side = round(side * GSD / tiles.gsd)
        return {scene.name: _grid(side, side, tiles) for scene in plan.scenes}, []
    counts, problems = {}, []
    for scene in plan.scenes:
        counts[scene.name] = 0
        for path in scene.paths:
            found = _tiles_of(path, tiles)
            if isinstance(found, Problem):
                problems.append(found)
            else:
                counts[scene.name] += found
    return counts, problems


def _tiles_of(path: Path, tiles: TileSettings) -> int | Problem:
    from rasterio.errors import RasterioError

    from urbanssl.scenes.grid import xyz_range
    from urbanssl.scenes.place import ground_distance, place_of
    from urbanssl.scenes.raster import opened

    try:
        with opened(path) as dataset:
            place, width, height = place_of(dataset), dataset.width, dataset.height
        if tiles.grid == "xyz" and place.georeferenced:
            cells = xyz_range(place, width, height, tiles.zoom)
            return cells.columns * cells.rows
    except (RasterioError, OSError, ValueError, UrbansslError) as error:
        return Problem(str(path), str(error), "give a raster that GDAL opens, or remove the scene")
    across, down = ground_distance(place, width, height)
    if tiles.gsd is not None and across == across and down == down:  # not NaN
        width, height = round(width * across / tiles.gsd), round(height * down / tiles.gsd)
    return _grid(width, height, tiles)


def _grid(width: int, height: int, tiles: TileSettings) -> int:
    from urbanssl.scenes.grid import offsets

    columns = offsets(width, tiles.size, tiles.overlap)
    return len(columns) * len(offsets(height, tiles.size, tiles.overlap))


def crime_problems(plan: Plan) -> Iterator[Problem]:
    """Yield what is wrong with areas and crime table, read as the workflow will read them."""
    if plan.settings.embedded or not plan.judged:
        return
    from urbanssl.crime.table import read_crime

    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / "table.parquet", Path(folder) / "table.json"
        tables, names = plan.crime_tables, plan.crime_names
        try:
            read_crime(
                plan.settings.crime, plan.areas, tables, plan.study, *written, {}, names=names
            )
        except UrbansslError as error:
            yield Problem("crime.areas, crime.table", str(error), "mend what is listed here")


def disk_by_stage(plan: Plan, tiles: dict[str, int]) -> dict[str, int]:
    """Return the bytes that each stage writes, at most; checkpoints are not counted.

    Args:
        plan: the plan of the run.
        tiles: tiles of every scene.
    """
    settings = plan.settings
    every = sum(tiles.values())
    study = sum(tiles[scene.name] for scene in plan.study)
    pretraining = sum(tiles[scene.name] for scene in plan.pretraining)
    networks = {"swav", "mae", "detr", "vitdet"} & plan.feature_sets
    others = plan.feature_sets - networks - {"rcf"}
    numbers = _NETWORK_FEATURES * len(networks) + _OTHER_FEATURES * len(others)
    if "rcf" in plan.feature_sets:
        numbers += 2 * settings.features.rcf_filters
    boxes = settings.predict.max_per_tile
    seen = sum(
        study if run == plan.study_run.name else sum(tiles[scene.name] for scene in plan.labelled)
        for run in (plan.runs if plan.labelled else ())
    )
    city = settings.city
    drawn = 3 * city.regions * (city.areas_per_side * city.area_px) ** 2
    return {
        "city": drawn if settings.embedded else 0,
        "tiles": every * 3 * settings.tiles.size**2,
        "proposals": pretraining * settings.proposals.top * _BOX if plan.pretrained else 0,
        "predictions": 2 * seen * boxes * _BOX,
        "features": study * numbers * _FLOAT,
    }


def disk_problems(root: Path, disk: dict[str, int]) -> Iterator[Problem]:
    """Yield a problem where the results folder cannot be written or its disk is too small."""
    folder = next(
        parent for parent in [root.absolute(), *root.absolute().parents] if parent.exists()
    )
    if not os.access(folder, os.W_OK):
        yield Problem(str(root), f"{folder} cannot be written", "set `results` to another folder")
    needed, free = int(_SPARE * sum(disk.values())), shutil.disk_usage(folder).free
    if needed > free:
        yield Problem(
            str(root),
            f"{_size(needed)} needed, {_size(free)} free",
            "free some, set `results` to a larger disk, or cut fewer tiles (tiles.overlap, "
            "tiles.gsd)",
        )


def _tell(
    settings: Settings,
    plan: Plan,
    tiles: dict[str, int],
    stages: list[Stage],
    disk: dict[str, int],
) -> None:
    _say(f"{settings.title}: {settings.root}/")
    _say(
        f"{len(plan.scenes)} scenes ({len(plan.labelled)} labelled, {len(plan.study)} of the study "
        f"area), {sum(tiles.values()):,} tiles at most"
    )
    estimator = Estimator(plan, tiles)
    _tell_jobs(stages, [estimator.of(stage) for stage in stages], settings.root)
    _say("\ndisk, at most and without checkpoints")
    for name, size in disk.items():
        _say(f"{name:18} {_size(size):>12}")
    _say(f"{'together':18} {_size(sum(disk.values())):>12}")
    for rule, recipe, budget in trainings(settings):
        needed = gpu_gigabytes(recipe, budget)
        memory = "not known" if needed is None else f"about {needed:.0f} GB"
        _say(f"{rule} with {recipe}: {memory} of each GPU's memory")


def _tell_jobs(stages: list[Stage], estimates: list[Estimate], root: Path) -> None:
    _say("\njobs that would run: what one asks for, and what all of a stage will take (estimated)")
    heading = ("stage", "jobs", "cores", "memory", "GPUs", "limit", "time", "GPU time")
    _say("{:18} {:>6} {:>6} {:>9} {:>5} {:>8} {:>10} {:>10}".format(*heading))
    for stage, takes in zip(stages, estimates, strict=True):
        memory, mark = _size(stage.memory_mb * 1e6), " *" if takes.earlier else ""
        _say(
            f"{stage.rule:18} {stage.jobs:6d} {stage.cores:6d} {memory:>9} {stage.gpus:5d} "
            f"{_time(stage.limit_hours):>8} {_time(takes.hours):>10} "
            f"{_time(takes.gpu_hours):>10}{mark}"
        )
    hours = sum(takes.hours or 0 for takes in estimates)
    gpu_hours = sum(takes.gpu_hours or 0 for takes in estimates)
    jobs = sum(stage.jobs for stage in stages)
    _say(f"{'together':18} {jobs:6d} {_time(hours):>42} {_time(gpu_hours):>10}")
    if any(takes.earlier for takes in estimates):
        _say(f"* as earlier jobs in {root} took")
    if not all(takes.earlier for takes in estimates):
        _say(
            f"others by rates of {SOURCE}, a GPU taken as {GPU_IN_CORES} of them: right within a "
            "few times at best. More cores are faster"
        )
    if any(takes.hours is None for takes in estimates):
        _say(
            "? a recipe that has not been timed yet: not in the sum; after a first run it is known"
        )
    _say("limit: how long SLURM lets one job run before it ends it")


def _time(hours: float | None) -> str:
    if hours is None:
        return "?"
    if not hours:
        return "-"
    return f"{max(1, round(60 * hours))} min" if hours < 1.5 else f"{hours:,.0f} h"


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")


if __name__ == "__main__":
    sys.exit(main())
