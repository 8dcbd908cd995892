# Features of the study area's tiles, pooled to areas.

TRAINED = {"swav": PRETRAIN.swav, "mae": PRETRAIN.mae}
FEATURES = R / "features/{name}/{scene}.npy"
FEATURE_NAMES = R / "features/{name}/{scene}.json"
FEATURE_CODE = {
    "swav": ["urbanssl.features.networks", "urbanssl.ssl.swav_model"],
    "mae": ["urbanssl.features.networks", "urbanssl.ssl.mae_model"],
    "detr": ["urbanssl.features.networks", "urbanssl.detect.registration"],
    "vitdet": ["urbanssl.features.networks", "urbanssl.detect.registration"],
}


# What the scores of the detector that counts objects are worth, by the validation tiles.
rule calibrate_scores:
    input:
        boxes=rules.predict_labelled.output.boxes,
        coco=rules.assemble_coco.output.val,
    output:
        calibration=R / "predict/{run}/calibration.json",
    log:
        R / "logs/calibrate_scores/{run}.log",
    benchmark:
        R / "benchmarks/calibrate_scores/{run}.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=megabytes(2000),
        runtime=minutes(20),
    params:
        classes=list(SETTINGS.labels.classes),
        code=code("urbanssl.features.calibrate"),
    script:
        "../scripts/calibrate_scores.py"


# Once for all scenes: were every scene to read all training tiles, the graph of jobs would grow
# with the square of their number.
rule draw_filters:
    input:
        arrays=tile_files(PLAN.pretraining, ["tiles.npy"]),
    output:
        filters=R / "features/rcf_filters.npy",
    log:
        R / "logs/draw_filters.log",
    benchmark:
        R / "benchmarks/draw_filters.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=megabytes(2000),
        runtime=minutes(30),
    params:
        filters=SETTINGS.features.rcf_filters,
        seed=SEED,
        code=code("urbanssl.features.rcf"),
    script:
        "../scripts/draw_filters.py"


rule extract_features:
    input:
        array=shared(rules.tile_scene.output.array, PLAN.study),
        table=shared(rules.tile_scene.output.table, PLAN.study),
        weights=feature_weights,
        recipe=feature_recipe,
        boxes=feature_boxes,
        calibration=feature_calibration,
        filters=feature_filters,
    output:
        array=shared(FEATURES, PLAN.study),
        columns=shared(FEATURE_NAMES, PLAN.study),
    log:
        job_name(R / "logs/extract_features/{name}/{scene}.log", PLAN.study),
    benchmark:
        job_name(R / "benchmarks/extract_features/{name}/{scene}.tsv", PLAN.study)
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=megabytes(4000),
        runtime=minutes(120),
    params:
        classes=list(SETTINGS.labels.classes),
        seed=SEED,
        code=lambda wildcards: code(
            *FEATURE_CODE.get(wildcards.name, [f"urbanssl.features.{wildcards.name}"]),
            alone=["urbanssl.features.extract"],
        ),
    script:
        "../scripts/extract_features.py"


rule pool_features:
    input:
        features=expand(
            FEATURES,
            scene=[s.name for s in PLAN.study],
            allow_missing=True,
        ),
        columns=expand(
            FEATURE_NAMES,
            scene=[s.name for s in PLAN.study],
            allow_missing=True,
        ),
        tables=tile_files(PLAN.study, ["tiles.parquet"]),
        areas=R / "crime/table.parquet",
    output:
        table=R / "crime/features_{name}.parquet",
    log:
        R / "logs/pool_features/{name}.log",
    benchmark:
        R / "benchmarks/pool_features/{name}.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=megabytes(3000),
        runtime=minutes(60),
    params:
        features=SETTINGS.features.model_dump(
            mode="json", include={"pool", "min_cover"}
        ),
        scenes=[scene.plain() for scene in PLAN.study],
        code=code("urbanssl.features.pool"),
    script:
        "../scripts/pool_features.py"
