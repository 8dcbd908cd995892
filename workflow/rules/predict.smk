# Whole scenes: boxes on tiles, then merged and put back on Earth.

# Which arm counts objects in the study area changes no prediction, so it is no parameter here.
PREDICTING = {"min_score", "max_per_tile", "batch_size"}
MERGING = {"min_score", "merge", "merge_iou"}
# Scenes with labels are predicted by a job of their own, also those of the study area.
UNLABELLED_STUDY = [scene for scene in PLAN.study if "labelled" not in scene.roles]


rule predict_scene:
    input:
        array=shared(rules.tile_scene.output.array, UNLABELLED_STUDY),
        table=shared(rules.tile_scene.output.table, UNLABELLED_STUDY),
        weights=rules.train_detector.output.weights,
        recipe=lambda wildcards: PLAN.runs[wildcards.run].recipe,
    output:
        boxes=shared(TILE_BOXES, UNLABELLED_STUDY),
    log:
        job_name(R / "logs/predict_scene/{run}/{scene}.log", UNLABELLED_STUDY),
    benchmark:
        job_name(R / "benchmarks/predict_scene/{run}/{scene}.tsv", UNLABELLED_STUDY)
    conda:
        "../../envs/environment.yaml"
    threads: SETTINGS.detect.threads
    resources:
        mem_mb=megabytes(4000),
        runtime=minutes(240),
        gpu=min(1, SETTINGS.detect.gpus),
    params:
        predict=SETTINGS.predict.model_dump(mode="json", include=PREDICTING),
        classes=list(SETTINGS.labels.classes),
        whole=lambda wildcards, output: [True] * len(output),
        code=code("urbanssl.detect.predict"),
    script:
        "../scripts/predict_scene.py"


# One job for all labelled scenes: a detector changes with every one of them, so they are always
# predicted together, and of most only the val and test tiles.
use rule predict_scene as predict_labelled with:
    input:
        array=tile_files(PLAN.labelled, ["tiles.npy"]),
        table=tile_files(PLAN.labelled, ["tiles.parquet"]),
        splits=rules.split_tiles.output.splits,
        weights=rules.train_detector.output.weights,
        recipe=lambda wildcards: PLAN.runs[wildcards.run].recipe,
    output:
        boxes=of_labelled(TILE_BOXES),
    log:
        R / "logs/predict_labelled/{run}.log",
    benchmark:
        R / "benchmarks/predict_labelled/{run}.tsv"
    params:
        predict=SETTINGS.predict.model_dump(mode="json", include=PREDICTING),
        classes=list(SETTINGS.labels.classes),
        whole=lambda wildcards: [
            PLAN.predicts_all(wildcards.run, scene.name) for scene in PLAN.labelled
        ],
        code=code("urbanssl.detect.predict"),


rule merge_boxes:
    input:
        boxes=shared(TILE_BOXES, UNLABELLED_STUDY),
        table=shared(rules.tile_scene.output.table, UNLABELLED_STUDY),
        survey=shared(rules.survey_scene.output.survey, UNLABELLED_STUDY),
    output:
        parquet=shared(SCENE_BOXES, UNLABELLED_STUDY),
        gpkg=shared(R / "predict/{run}/{scene}.boxes.gpkg", UNLABELLED_STUDY),
    log:
        job_name(R / "logs/merge_boxes/{run}/{scene}.log", UNLABELLED_STUDY),
    benchmark:
        job_name(R / "benchmarks/merge_boxes/{run}/{scene}.tsv", UNLABELLED_STUDY)
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=megabytes(3000),
        runtime=minutes(60),
    params:
        predict=SETTINGS.predict.model_dump(mode="json", include=MERGING),
        arm=lambda wildcards: PLAN.runs[wildcards.run].arm,
        code=code("urbanssl.detect.merge"),
    script:
        "../scripts/merge_boxes.py"


use rule merge_boxes as merge_labelled with:
    input:
        boxes=rules.predict_labelled.output.boxes,
        table=tile_files(PLAN.labelled, ["tiles.parquet"]),
        survey=many(of_labelled(rules.survey_scene.output.survey)),
    output:
        parquet=of_labelled(SCENE_BOXES),
        gpkg=of_labelled(R / "predict/{run}/{scene}.boxes.gpkg"),
    log:
        R / "logs/merge_labelled/{run}.log",
    benchmark:
        R / "benchmarks/merge_labelled/{run}.tsv"


# A labelled scene may also lie in the study area.
ruleorder: predict_labelled > predict_scene
ruleorder: merge_labelled > merge_boxes
