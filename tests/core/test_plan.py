from pathlib import Path

import pytest

from urbanssl.errors import SettingsError
from urbanssl.plan import Plan, training_parameters
from urbanssl.settings import Settings


@pytest.fixture
def sheet(tmp_path):
    """Write a sheet of scenes given as name: role, and return settings that read it."""
    (tmp_path / "boxes.txt").write_text("")

    def write(**roles):
        lines = ["scene,path,role,labels"]
        for name, role in roles.items():
            (tmp_path / f"{name}.tif").write_text("")
            labels = tmp_path / "boxes.txt" if "labelled" in role.split(";") else ""
            lines.append(f"{name},{tmp_path / name}.tif,{role},{labels}")
        (tmp_path / "scenes.csv").write_text("\n".join(lines))
        return {"scenes": {"sheet": str(tmp_path / "scenes.csv")}}

    return write


def test_the_embedded_city_is_planned_without_being_drawn(tmp_path):
    plan = Plan(Settings(results=str(tmp_path / "run")))
    assert len(plan.scenes) == 6
    assert len(plan.labelled) == 2
    assert len(plan.study) == 4
    assert not plan.city_scenes[0].exists()


def test_runs_are_arms_by_fractions_by_seeds():
    detect = {"fractions": [0.01, 1.0], "seeds": [0, 1]}
    plan = Plan(Settings(detect=detect))
    assert len(plan.runs) == 4 * 2 * 2
    assert "detr-detreg_f1_s0" in plan.runs
    assert plan.study_run.name == "detr-detreg_f100_s0"


def test_strict_pretraining_leaves_the_study_area_out():
    plan = Plan(Settings(pretrain={"strict": True}))
    assert plan.pretraining == plan.labelled
    assert plan.declared["study_scenes_seen_in_pretraining"] == []


def test_only_the_pretraining_that_something_needs_is_planned(sheet):
    arms = {"plain": {"recipe": "config/models/vitdet_tiny.py", "init": "random"}}
    plan = Plan(
        Settings(**sheet(town="labelled"), detect={"arms": arms}, predict={"study_arm": "plain"})
    )
    assert plan.pretrained == []
    assert Plan(Settings()).pretrained == ["swav", "mae", "detreg"]


def test_features_of_a_detector_without_labels_are_refused(sheet):
    with pytest.raises(SettingsError, match="objects need a trained detector"):
        Plan(Settings(**sheet(town="unlabelled;study"), features={"sets": ["objects"]}))


def test_a_study_of_other_scenes_is_not_judged_by_the_drawn_city(sheet):
    with pytest.raises(SettingsError, match=r"(?s)crime.table.*table: null.*crime.areas"):
        Plan(Settings(**sheet(town="labelled;study")))
    with pytest.raises(SettingsError, match="neither searched nor judged"):
        Plan(Settings(**sheet(town="unlabelled;study"), crime={"table": None}))


def test_without_a_crime_table_boxes_are_predicted_and_nothing_is_judged(sheet):
    plan = Plan(Settings(**sheet(town="labelled", other="study"), crime={"table": None}))
    assert [scene.name for scene in plan.study] == ["other"]
    assert (plan.judged, plan.feature_sets, plan.crime_tables) == (False, set(), [])
    assert Plan(Settings()).judged


def test_a_sheet_with_nothing_to_find_out_is_refused(sheet):
    with pytest.raises(SettingsError, match="nothing to find out"):
        Plan(Settings(**sheet(town="unlabelled")))


def test_where_a_training_runs_is_no_parameter_of_its_result():
    swav = Settings().pretrain.swav
    faster = swav.model_copy(update={"threads": 8, "checkpoint_every": 7})
    assert training_parameters(swav) == training_parameters(faster)


def test_initial_weights_follow_the_arm():
    plan = Plan(Settings())
    assert plan.initial_weights("detr-random_f100_s0") is None
    assert plan.initial_weights("vitdet-mae_f100_s0") == Path(
        "results/demo/pretrain/mae/weights.safetensors"
    )
