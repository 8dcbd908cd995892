# Annotations of any common format become COCO in tile pixels.


rule convert_labels:
    input:
        labels=lambda wildcards: PLAN.scene(wildcards.scene).labels,
        survey=rules.survey_scene.output.survey,
    output:
        boxes=R / "labels/{scene}.parquet",
        counts=R / "labels/{scene}.json",
    log:
        R / "logs/convert_labels/{scene}.log",
    benchmark:
        R / "benchmarks/convert_labels/{scene}.tsv"
    priority: 80
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=megabytes(2000),
        runtime=minutes(20),
    params:
        scene=lambda wildcards: PLAN.scene(wildcards.scene).plain(),
        classes=list(SETTINGS.labels.classes),
        code=code("urbanssl.labels.convert"),
    script:
        "../scripts/convert_labels.py"


rule assemble_coco:
    input:
        boxes=many(
            expand(
                rules.convert_labels.output.boxes,
                scene=[s.name for s in PLAN.labelled],
            )
        ),
        tables=tile_files(PLAN.labelled, ["tiles.parquet"]),
        splits=rules.split_tiles.output.splits,
    output:
        train=R / "labels/coco_train.json",
        val=R / "labels/coco_val.json",
        test=R / "labels/coco_test.json",
        scene_boxes=R / "labels/scene_boxes.parquet",
    log:
        R / "logs/assemble_coco.log",
    benchmark:
        R / "benchmarks/assemble_coco.tsv"
    priority: 80
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=megabytes(2000),
        runtime=minutes(20),
    params:
        labels=SETTINGS.section("labels"),
        code=code("urbanssl.labels.coco"),
    script:
        "../scripts/assemble_coco.py"
