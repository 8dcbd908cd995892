# Finetuning: every arm at every label fraction with every seed.


rule train_detector:
    input:
        arrays=tile_files(PLAN.labelled, ["tiles.npy"]),
        tables=tile_files(PLAN.labelled, ["tiles.parquet"]),
        coco_train=rules.assemble_coco.output.train,
        coco_val=rules.assemble_coco.output.val,
        recipe=lambda wildcards: PLAN.runs[wildcards.run].recipe,
        weights=initial_weights,
    output:
        weights=R / "detect/{run}/weights.safetensors",
        log=R / "detect/{run}/log.json",
    log:
        R / "logs/train_detector/{run}.log",
    benchmark:
        R / "benchmarks/train_detector/{run}.tsv"
    priority: 40
    conda:
        "../../envs/environment.yaml"
    threads: SETTINGS.detect.threads
    resources:
        mem_mb=megabytes(6000),
        runtime=DAY,
        gpu=SETTINGS.detect.gpus,
        nodes=SETTINGS.detect.nodes,
        tasks=tasks(SETTINGS.detect),
    params:
        settings=lambda wildcards: PLAN.training(wildcards.run),
        init=lambda wildcards: PLAN.runs[wildcards.run].settings.init,
        fraction=lambda wildcards: PLAN.runs[wildcards.run].fraction,
        empty=SETTINGS.detect.empty,
        seed=lambda wildcards: PLAN.runs[wildcards.run].seed,
        classes=list(SETTINGS.labels.classes),
        code=[LOADING, code("urbanssl.detect.registration")],
    script:
        "../scripts/train.py"
