"""The settings for an hour of the city and for real boxes can be used as they are."""

from pathlib import Path

import pytest

from urbanssl.load_settings import load_settings
from urbanssl.plan import Plan

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch):
    monkeypatch.chdir(ROOT)


def test_an_hour_of_the_city_tells_what_detreg_is_worth_at_a_tenth_of_the_labels():
    plan = Plan(load_settings("config/city_full.yaml"))
    runs = set(plan.runs)
    for seed in (0, 1, 2):
        assert {f"detr-random_f10_s{seed}", f"detr-detreg_f10_s{seed}"} <= runs
    assert len(plan.study) >= 3
    recipes = {run.settings.recipe.partition("_tiny")[0] for run in plan.runs.values()}
    assert recipes == {"config/models/deformable_detr", "config/models/vitdet"}


@pytest.mark.parametrize("name", ["tennis", "airbus"])
def test_real_boxes_are_split_by_image_and_every_start_has_its_random_twin(name):
    settings = load_settings(f"config/{name}.yaml")
    assert settings.splits.buffer == 0
    assert settings.pretrain.strict
    arms = settings.detect.arms.values()
    random = {arm.recipe for arm in arms if arm.init == "random"}
    assert random == {arm.recipe for arm in arms}
    assert {arm.init for arm in arms} == {"random", "swav", "detreg", "mae"}
    assert max(settings.detect.fractions) == 1
    assert len(settings.detect.fractions) >= 3
