# Whole scenes: boxes on tiles, then merged and put back on Earth.

# Which arm counts objects in the study area changes no prediction, so it is no parameter here.
PREDICTING = {"min_score", "max_per_tile", "batch_size"}
MERGING = {"min_score", "merge_iou"}


rule predict_scene:
    input:
        array=rules.tile_scene.output.array,
        table=rules.tile_scene.output.table,
        weights=rules.train_detector.output.weights,
        recipe=lambda wildcards: PLAN.runs[wildcards.run].settings.recipe,
        splits=lambda wildcards: (
            []
            if PLAN.predicts_all(wildcards.run, wildcards.scene)
            else rules.split_tiles.output.splits
        ),
    output:
        boxes=R / "predict/{run}/{scene}.parquet",
    log:
        R / "logs/predict_scene/{run}/{scene}.log",
    benchmark:
        R / "benchmarks/predict_scene/{run}/{scene}.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: SETTINGS.detect.threads
    resources:
        mem_mb=megabytes(4000),
        runtime=minutes(240),
        gpu=SETTINGS.detect.gpus,
    params:
        predict=SETTINGS.predict.model_dump(mode="json", include=PREDICTING),
        classes=list(SETTINGS.labels.classes),
        code=code("urbanssl.detect.predict"),
    script:
        "../scripts/predict_scene.py"


rule merge_boxes:
    input:
        boxes=rules.predict_scene.output.boxes,
        table=rules.tile_scene.output.table,
        survey=rules.survey_scene.output.survey,
    output:
        parquet=R / "predict/{run}/{scene}.boxes.parquet",
        gpkg=R / "predict/{run}/{scene}.boxes.gpkg",
    log:
        R / "logs/merge_boxes/{run}/{scene}.log",
    benchmark:
        R / "benchmarks/merge_boxes/{run}/{scene}.tsv"
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
