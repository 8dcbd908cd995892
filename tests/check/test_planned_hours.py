"""Hours that jobs will take: as earlier ones took, or by rates, or not known."""

import json
from pathlib import Path

import pytest

from urbanssl.plan import Plan
from urbanssl.planned_hours import RATES, TRAINING, estimate
from urbanssl.planned_jobs import PlannedJob, Stage
from urbanssl.settings import Settings

SHEET = "scene,path,role,labels,labels_format,area,region,date,gsd\n"
TILES = {"a": 1000, "b": 3000}


@pytest.fixture
def planned(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = "".join(f"{name},{name}.tif,study;unlabelled,,,{name},r,,0.3\n" for name in TILES)
    for name in TILES:
        (tmp_path / f"{name}.tif").write_text("")
    (tmp_path / "scenes.csv").write_text(SHEET + rows)
    settings = {
        "scenes": {"sheet": "scenes.csv"},
        "crime": {"areas": "sheet", "table": "crime.csv"},
        "features": {"sets": ["histogram", "swav"]},
    }

    def plan_of(**swav):
        pretrain = {"swav": {"steps": 100, "batch_size": 32, **swav}}
        return Plan(Settings.model_validate({**settings, "pretrain": pretrain}))

    return plan_of


@pytest.fixture
def plan(planned):
    return planned()


def tiling(*scenes):
    records = [Path(f"run/benchmarks/tile_scene/{scene}.tsv") for scene in scenes]
    jobs = [
        PlannedJob("tile_scene", {"scene": scene}, record)
        for scene, record in zip(scenes, records, strict=True)
    ]
    return Stage("tile_scene", jobs)


def swav(plan):
    gpus = plan.settings.pretrain.swav.gpus
    return Stage("pretrain_swav", [PlannedJob("pretrain_swav", gpus=gpus)])


def recorded(path, seconds):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"s\th:m:s\n{seconds}\t0:00:00\n")


def test_without_an_earlier_run_jobs_go_by_rate_and_tiles(plan):
    found, rate = estimate(tiling("a", "b"), plan, TILES), RATES["tile_scene"]
    assert found.hours == pytest.approx((2 * rate.start + 4000 * rate.unit) / 3600)
    assert (found.gpu_hours, found.earlier) == (0, False)


def test_a_job_takes_as_long_as_before_and_others_as_long_by_tile(plan):
    recorded(Path("run/benchmarks/tile_scene/a.tsv"), 50)
    found = estimate(tiling("a", "b"), plan, TILES)
    assert found.hours == pytest.approx((50 + 150) / 3600)
    assert found.earlier


def test_a_training_goes_by_its_images_and_by_the_speed_of_an_earlier_one(plan):
    by_rate = estimate(swav(plan), plan, TILES)
    assert by_rate.hours == pytest.approx((10 + 3200 * TRAINING["swav_tiny"]) / 3600)
    log = Path(plan.settings.root) / "pretrain/swav/log.json"
    log.parent.mkdir(parents=True)
    log.write_text(json.dumps({"images_per_second": 16.0}))
    earlier = estimate(swav(plan), plan, TILES)
    assert earlier.hours == pytest.approx((10 + 200) / 3600)
    assert earlier.earlier
    assert not by_rate.earlier


def test_hours_of_gpus_are_those_of_the_job_times_its_gpus(planned):
    plan = planned(gpus=2)
    found = estimate(swav(plan), plan, TILES)
    assert found.gpu_hours == pytest.approx(2 * found.hours)


def test_a_recipe_that_was_never_timed_is_not_guessed(planned):
    plan = planned(recipe="config/models/own.py")
    found = estimate(swav(plan), plan, TILES)
    assert (found.hours, found.gpu_hours) == (None, None)
