"""Hours that jobs will take: as earlier ones took, or by rates, or not known."""

import json
import re
from pathlib import Path

import pytest

from urbanssl import planned_hours
from urbanssl.plan import Plan
from urbanssl.planned_hours import RATES, TRAINING, Estimator
from urbanssl.planned_jobs import PlannedJob, Stage
from urbanssl.settings import Settings

ROOT = Path(__file__).parents[2]
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
    found, rate = Estimator(plan, TILES).of(tiling("a", "b")), RATES["tile_scene"]
    assert found.hours == pytest.approx((2 * rate.start + 4000 * rate.unit) / 3600)
    assert (found.gpu_hours, found.earlier) == (0, False)


def test_a_job_takes_as_long_as_before_and_others_as_long_by_tile(plan):
    recorded(Path("run/benchmarks/tile_scene/a.tsv"), 50)
    found = Estimator(plan, TILES).of(tiling("a", "b"))
    assert found.hours == pytest.approx((50 + 150) / 3600)
    assert found.earlier


def test_a_record_that_was_not_finished_counts_as_none(plan):
    recorded(Path("run/benchmarks/tile_scene/b.tsv"), 60)
    Path("run/benchmarks/tile_scene/a.tsv").write_text("s\th:m:s\n")
    assert Estimator(plan, TILES).of(tiling("a")).hours == pytest.approx(20 / 3600)


def test_records_are_read_once_whatever_the_number_of_jobs(plan, monkeypatch):
    read = []
    monkeypatch.setattr(planned_hours, "_recorded", lambda path: read.append(path) or 50.0)
    recorded(Path("run/benchmarks/tile_scene/a.tsv"), 50)
    Estimator(plan, TILES).of(tiling("a", "b", "b", "b"))
    assert len(read) == 1


def logged(plan, **about):
    log = plan.settings.root / "pretrain/swav/log.json"
    log.parent.mkdir(parents=True, exist_ok=True)
    told = {"recipe": "swav_tiny", "gpus": 0, "images_per_second": 16.0, **about}
    log.write_text(json.dumps(told))


def test_a_training_goes_by_its_images_and_by_the_speed_of_an_earlier_one(plan):
    by_rate = Estimator(plan, TILES).of(swav(plan))
    assert by_rate.hours == pytest.approx((10 + 3200 * TRAINING["swav_tiny"]) / 3600)
    assert not by_rate.earlier
    logged(plan)
    earlier = Estimator(plan, TILES).of(swav(plan))
    assert earlier.hours == pytest.approx((10 + 200) / 3600)
    assert earlier.earlier


@pytest.mark.parametrize("about", [{"recipe": "swav_r50"}, {"gpus": 4}])
def test_the_speed_of_another_recipe_or_of_other_gpus_is_not_taken(plan, about):
    logged(plan, **about)
    assert not Estimator(plan, TILES).of(swav(plan)).earlier


def test_hours_of_gpus_are_those_of_the_job_times_its_gpus(planned):
    plan = planned(gpus=2)
    found = Estimator(plan, TILES).of(swav(plan))
    assert found.gpu_hours == pytest.approx(2 * found.hours)


def test_a_recipe_that_was_never_timed_is_not_guessed(planned):
    plan = planned(recipe="config/models/own.py")
    found = Estimator(plan, TILES).of(swav(plan))
    assert (found.hours, found.gpu_hours) == (None, None)


def test_every_recipe_of_the_package_has_a_rate():
    recipes = {path.stem for path in (ROOT / "config" / "models").glob("*.py")}
    assert recipes == set(TRAINING)


def test_every_rule_of_the_workflow_has_an_estimate():
    text = "".join(path.read_text() for path in (ROOT / "workflow/rules").glob("*.smk"))
    trained = {"pretrain_swav", "pretrain_mae", "pretrain_detreg", "train_detector"}
    looking = {"predict_scene", "predict_labelled", "extract_features"}
    rules = set(re.findall(r"rule (?:\w+ as )?(\w+)(?::| with:)", text))
    assert rules - trained - looking == set(RATES)
