"""What was changed decides what runs again: exactly the stages it touches, and nothing else."""

import copy

import pytest
from conftest import SETTINGS, SHEET, processor_seconds, slowness

TO_REPORT = {"judge_crime", "find_drivers", "write_report"}
FROM_POOLING = {"pool_features"} | TO_REPORT
FROM_MERGING = {"merge_boxes", "merge_labelled", "score_run", "write_report"}
FROM_DETECTOR = {
    "train_detector",
    "predict_labelled",
    "merge_labelled",
    "score_run",
    "calibrate_scores",
    "predict_scene",
    "merge_boxes",
    "extract_features",
} | FROM_POOLING
# Its arm counts nothing in the study area.
FROM_MAE = FROM_DETECTOR - {"calibrate_scores", "predict_scene", "merge_boxes"}
EVERYTHING = {
    "survey_scene",
    "check_scenes",
    "tile_scene",
    "split_tiles",
    "convert_labels",
    "assemble_coco",
    "pretrain_swav",
    "pretrain_mae",
    "propose_boxes",
    "pretrain_detreg",
    "read_crime",
} | FROM_DETECTOR
WITH_SEED = EVERYTHING - {
    "survey_scene",
    "check_scenes",
    "tile_scene",
    "convert_labels",
    "read_crime",
}


def rules(jobs):
    return {rule for rule, _ in jobs}


def about(jobs, rule):
    return {wildcards for name, wildcards in jobs if name == rule}


def test_nothing_changed_means_nothing_to_be_done_in_ten_seconds(finished):
    took, ran = processor_seconds(finished, "--cores", "2")
    assert "Nothing to be done" in ran.stdout
    assert took < 10 * slowness(finished)


@pytest.mark.parametrize(
    ("section", "changed", "expected"),
    [
        (None, {"title": "Another"}, {"write_report"}),
        (None, {"seed": 1}, WITH_SEED),
        (
            "tiles",
            {"overlap": 16},
            EVERYTHING - {"survey_scene", "check_scenes", "read_crime", "convert_labels"},
        ),
        ("splits", {"buffer": 5.0}, {"split_tiles", "assemble_coco"} | FROM_DETECTOR),
        (
            "labels",
            {"min_visible": 0.5},
            {"assemble_coco"} | FROM_DETECTOR,
        ),
        ("proposals", {"top": 5}, {"propose_boxes", "pretrain_detreg"} | FROM_DETECTOR),
        ("detect", {"steps": 7}, FROM_DETECTOR),
        ("detect", {"threads": 2}, {"write_report"}),
        (
            "labels",
            {"classes": ["plane", "ship"]},
            {"convert_labels", "assemble_coco"} | FROM_DETECTOR,
        ),
        ("predict", {"merge_iou": 0.6}, FROM_MERGING),
        ("score", {"bootstrap": 10}, {"score_run", "write_report"}),
        ("features", {"pool": ["mean"]}, FROM_POOLING),
        ("features", {"rcf_filters": 64}, {"write_report"}),
        ("crime", {"permutations": 200}, TO_REPORT),
        ("crime", {"min_population": 10}, {"read_crime"} | FROM_POOLING),
    ],
)
def test_a_changed_setting_reruns_what_it_touches(finished, section, changed, expected):
    settings = copy.deepcopy(SETTINGS)
    (settings if section is None else settings.setdefault(section, {})).update(changed)
    finished.write(settings, "changed.yaml")
    assert rules(finished.planned("changed.yaml")) == expected


def test_a_changed_pretraining_reruns_the_arm_and_the_features_that_start_from_it(finished):
    settings = copy.deepcopy(SETTINGS)
    settings["pretrain"]["mae"] = {"steps": 7}
    finished.write(settings, "changed.yaml")
    jobs = finished.planned("changed.yaml")
    assert rules(jobs) == {"pretrain_mae"} | FROM_MAE
    assert about(jobs, "train_detector") == {"run=vitdet-mae_f100_s0"}
    assert {words.split(",")[0] for words in about(jobs, "extract_features")} == {"name=mae"}
    assert about(jobs, "pool_features") == {"name=mae"}


def test_an_edited_scene_of_the_study_area_reruns_what_reads_that_scene(finished):
    with finished.edited("imagery/old.tif", "other pixels"):
        jobs = finished.planned()
    assert rules(jobs) == (
        {
            "survey_scene",
            "check_scenes",
            "tile_scene",
            "predict_scene",
            "merge_boxes",
            "extract_features",
        }
        | FROM_POOLING
    )
    assert about(jobs, "tile_scene") == {"scene=old"}
    assert all("scene=old" in words for words in about(jobs, "extract_features"))


def test_an_edited_training_scene_reruns_pretraining_but_cuts_no_other_scene(finished):
    with finished.edited("imagery/north.tif", "other pixels"):
        jobs = finished.planned()
    assert about(jobs, "tile_scene") == about(jobs, "propose_boxes") == {"scene=north"}
    assert rules(jobs) == EVERYTHING - {
        "split_tiles",
        "convert_labels",
        "assemble_coco",
        "read_crime",
    }


def test_a_scene_saved_again_unchanged_reruns_nothing(finished):
    with finished.edited("imagery/old.tif", None):
        assert finished.planned() == []


def test_an_added_scene_is_worked_on_alone(finished):
    with finished.edited("scenes.csv", SHEET + "later,imagery/later.tif,study,,,,,,\n"):
        jobs = finished.planned()
    assert about(jobs, "tile_scene") == {"scene=later"}
    assert rules(jobs) == (
        {
            "survey_scene",
            "check_scenes",
            "tile_scene",
            "predict_scene",
            "merge_boxes",
            "extract_features",
            "read_crime",
        }
        | FROM_POOLING
    )
    assert all("scene=later" in words for words in about(jobs, "extract_features"))


def test_few_scenes_of_the_study_area_share_jobs_where_the_settings_say_so(finished):
    settings = copy.deepcopy(SETTINGS)
    settings["results"] = "results/shared"
    jobs = {}
    for most in (1, 2):
        settings["scenes"]["together"] = most
        finished.write(settings, "changed.yaml")
        planned = [rule for rule, _ in finished.planned("changed.yaml")]
        jobs[most] = {
            rule: planned.count(rule)
            for rule in ("predict_scene", "merge_boxes", "extract_features", "tile_scene")
        }
    alone = {"predict_scene": 2, "merge_boxes": 2, "extract_features": 8, "tile_scene": 5}
    shared = {"predict_scene": 1, "merge_boxes": 1, "extract_features": 4, "tile_scene": 5}
    assert jobs == {1: alone, 2: shared}


def test_scenes_that_share_jobs_run_to_the_report(fresh):
    settings = copy.deepcopy(SETTINGS)
    settings["scenes"]["together"] = 2
    fresh.write(settings)
    ran = fresh.snakemake("--cores", "4")
    assert ran.returncode == 0, ran.stdout
    features = fresh.folder / "results/run/features/objects"
    assert {path.name for path in features.iterdir()} == {
        *("old.npy", "new.npy", "old.json", "new.json"),
    }


def test_a_removed_scene_leaves_the_others_as_they_are(finished):
    without = "".join(line for line in SHEET.splitlines(True) if not line.startswith("new,"))
    with finished.edited("scenes.csv", without):
        jobs = finished.planned()
    assert rules(jobs) == {"check_scenes", "read_crime"} | FROM_POOLING


def test_an_edited_label_file_reruns_its_conversion_and_the_detectors(finished):
    with finished.edited("labels/east.txt", "other boxes"):
        jobs = finished.planned()
    assert about(jobs, "convert_labels") == {"scene=east"}
    assert rules(jobs) == {"convert_labels", "assemble_coco"} | FROM_DETECTOR
    assert all("objects" in words for words in about(jobs, "extract_features"))


def test_an_edited_crime_table_reruns_the_crime_stage(finished):
    with finished.edited("crime.csv", "other numbers"):
        assert rules(finished.planned()) == {"read_crime"} | FROM_POOLING


def test_an_edited_recipe_reruns_the_training_that_uses_it(finished):
    with finished.edited("config/models/vitdet_tiny.py", "model = 1"):
        jobs = finished.planned()
    assert about(jobs, "train_detector") == {"run=vitdet-mae_f100_s0"}
    assert rules(jobs) == {
        "train_detector",
        "predict_labelled",
        "merge_labelled",
        "score_run",
        "write_report",
    }


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        ("report/page", {"write_report"}),
        ("scenes/catalogue", EVERYTHING - {"read_crime"}),
        (
            "scenes/tiling",
            EVERYTHING - {"survey_scene", "check_scenes", "convert_labels", "read_crime"},
        ),
        ("labels/coco", {"assemble_coco"} | FROM_DETECTOR),
        ("engine/loop", {"pretrain_swav", "pretrain_mae", "pretrain_detreg"} | FROM_DETECTOR),
        ("detect/predict", FROM_DETECTOR - {"train_detector"}),
        ("features/calibrate", {"calibrate_scores", "extract_features"} | FROM_POOLING),
        ("features/extract", {"extract_features"} | FROM_POOLING),
        ("features/histogram", {"extract_features"} | FROM_POOLING),
        ("crime/drivers", {"find_drivers", "write_report"}),
        ("crime/judge", TO_REPORT),
        ("crime/table", {"read_crime"} | FROM_POOLING),
        ("features/pool", FROM_POOLING),
        (
            "detect/score",
            {"score_run", "calibrate_scores", "extract_features"} | FROM_POOLING,
        ),
        ("detect/merge", FROM_MERGING),
        ("detect/detreg", {"pretrain_detreg"} | FROM_DETECTOR),
        ("labels/convert", {"convert_labels", "assemble_coco"} | FROM_DETECTOR),
        ("ssl/proposals", {"propose_boxes", "pretrain_detreg"} | FROM_DETECTOR),
        ("ssl/mae_model", {"pretrain_mae"} | FROM_MAE),
        ("ssl/swav_model", {"pretrain_swav", "pretrain_detreg"} | FROM_DETECTOR),
        ("scenes/splits", {"split_tiles", "assemble_coco"} | FROM_DETECTOR),
    ],
)
def test_an_edited_module_reruns_the_stage_that_uses_it(finished, module, expected):
    name = f"src/urbanssl/{module}.py"
    text = (finished.folder / name).read_text()
    with finished.edited(name, text + "\nEDITED = 1\n"):
        assert rules(finished.planned()) == expected


def test_only_documentation_reruns_nothing(finished):
    module = "src/urbanssl/ssl/mae_model.py"
    text = (finished.folder / module).read_text()
    assert text.startswith('"""')
    with (
        finished.edited(module, text.replace('"""', '"""Said better. ', 1) + "\n# A remark.\n"),
        finished.edited("docs/methods/ssl.md", "said better"),
        finished.edited("README.md", "said better"),
    ):
        assert finished.planned() == []


def test_an_edited_script_reruns_its_rule(finished):
    name = "workflow/scripts/judge_crime.py"
    text = (finished.folder / name).read_text()
    with finished.edited(name, text + "\nprint(1)\n"):
        assert rules(finished.planned()) == TO_REPORT
