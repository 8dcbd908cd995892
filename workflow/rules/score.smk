# Detections against labels: COCO statistics with intervals, on tiles and on whole scenes.


rule score_run:
    input:
        boxes=rules.predict_labelled.output.boxes,
        merged=rules.merge_labelled.output.parquet,
        arrays=tile_files(PLAN.labelled, ["tiles.npy"]),
        coco=rules.assemble_coco.output.test,
        scene_boxes=rules.assemble_coco.output.scene_boxes,
    output:
        metrics=R / "score/{run}.json",
        curves=R / "score/{run}.curves.parquet",
        pictures=directory(R / "score/{run}.pictures"),
    log:
        R / "logs/score_run/{run}.log",
    benchmark:
        R / "benchmarks/score_run/{run}.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=megabytes(3000),
        runtime=minutes(60),
    params:
        score=SETTINGS.section("score"),
        classes=list(SETTINGS.labels.classes),
        seed=SEED,
        code=code("urbanssl.detect.score", "urbanssl.detect.pictures"),
    script:
        "../scripts/score_run.py"
