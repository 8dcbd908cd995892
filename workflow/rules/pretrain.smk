# Self-supervised pretraining: SwAV and MAE on the tiles, DETReg on proposals and SwAV's embeddings.

PRETRAIN = SETTINGS.pretrain
STRICT_SPLITS = (
    [rules.split_tiles.output.splits] if PRETRAIN.strict and PLAN.labelled else []
)
LOADING = code("urbanssl.engine.train")


rule pretrain_swav:
    input:
        arrays=tile_files(PLAN.pretraining, ["tiles.npy"]),
        tables=tile_files(PLAN.pretraining, ["tiles.parquet"]),
        splits=STRICT_SPLITS,
        recipe=PRETRAIN.swav.recipe,
        weights=PRETRAIN.swav.weights or [],
    output:
        weights=weights_of("swav"),
        encoder=R / "pretrain/swav/encoder.safetensors",
        card=R / "pretrain/swav/model_card.md",
        log=R / "pretrain/swav/log.json",
    log:
        R / "logs/pretrain_swav.log",
    benchmark:
        R / "benchmarks/pretrain_swav.tsv"
    priority: 60
    conda:
        "../../envs/environment.yaml"
    threads: PRETRAIN.swav.threads
    resources:
        mem_mb=megabytes(6000),
        runtime=DAY,
        gpu=PRETRAIN.swav.gpus,
        nodes=PRETRAIN.swav.nodes,
        tasks=tasks(PRETRAIN.swav),
    params:
        settings=training_parameters(PRETRAIN.swav),
        strict=PRETRAIN.strict,
        probe=PRETRAIN.probe,
        seed=SEED,
        code=[LOADING, code("urbanssl.ssl.swav_model")],
    script:
        "../scripts/train.py"


rule pretrain_mae:
    input:
        arrays=tile_files(PLAN.pretraining, ["tiles.npy"]),
        tables=tile_files(PLAN.pretraining, ["tiles.parquet"]),
        splits=STRICT_SPLITS,
        recipe=PRETRAIN.mae.recipe,
        weights=PRETRAIN.mae.weights or [],
    output:
        weights=weights_of("mae"),
        encoder=R / "pretrain/mae/encoder.safetensors",
        card=R / "pretrain/mae/model_card.md",
        log=R / "pretrain/mae/log.json",
    log:
        R / "logs/pretrain_mae.log",
    benchmark:
        R / "benchmarks/pretrain_mae.tsv"
    priority: 50
    conda:
        "../../envs/environment.yaml"
    threads: PRETRAIN.mae.threads
    resources:
        mem_mb=megabytes(6000),
        runtime=DAY,
        gpu=PRETRAIN.mae.gpus,
        nodes=PRETRAIN.mae.nodes,
        tasks=tasks(PRETRAIN.mae),
    params:
        settings=training_parameters(PRETRAIN.mae),
        strict=PRETRAIN.strict,
        probe=PRETRAIN.probe,
        seed=SEED,
        code=[LOADING, code("urbanssl.ssl.mae_model")],
    script:
        "../scripts/train.py"


rule propose_boxes:
    input:
        array=rules.tile_scene.output.array,
        table=rules.tile_scene.output.table,
        given=PLAN.proposal_files,
    output:
        boxes=R / "proposals/{scene}.parquet",
    log:
        R / "logs/propose_boxes/{scene}.log",
    benchmark:
        R / "benchmarks/propose_boxes/{scene}.tsv"
    priority: 70
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=megabytes(2000),
        runtime=minutes(120),
    params:
        proposals=SETTINGS.section("proposals"),
        seed=SEED,
        code=code("urbanssl.ssl.proposals"),
    script:
        "../scripts/propose_boxes.py"


rule pretrain_detreg:
    input:
        arrays=tile_files(PLAN.pretraining, ["tiles.npy"]),
        tables=tile_files(PLAN.pretraining, ["tiles.parquet"]),
        proposals=many(
            expand(
                rules.propose_boxes.output.boxes,
                scene=[s.name for s in PLAN.pretraining],
            )
        ),
        splits=STRICT_SPLITS,
        recipe=PRETRAIN.detreg.recipe,
        embedder=rules.pretrain_swav.output.weights,
    output:
        weights=weights_of("detreg"),
        log=R / "pretrain/detreg/log.json",
    log:
        R / "logs/pretrain_detreg.log",
    benchmark:
        R / "benchmarks/pretrain_detreg.tsv"
    priority: 60
    conda:
        "../../envs/environment.yaml"
    threads: PRETRAIN.detreg.threads
    resources:
        mem_mb=megabytes(6000),
        runtime=DAY,
        gpu=PRETRAIN.detreg.gpus,
        nodes=PRETRAIN.detreg.nodes,
        tasks=tasks(PRETRAIN.detreg),
    params:
        settings=training_parameters(PRETRAIN.detreg),
        proposals=SETTINGS.section("proposals"),
        strict=PRETRAIN.strict,
        seed=SEED,
        code=[LOADING, code("urbanssl.detect.detreg")],
    script:
        "../scripts/train.py"
