# Scenes become shards of tiles; labelled tiles are split by place.


rule tile_scene:
    input:
        rasters=lambda wildcards: PLAN.scene(wildcards.scene).paths,
        survey=rules.survey_scene.output.survey,
        scaling=(
            rules.check_scenes.output.scaling
            if SETTINGS.tiles.scaling.mode == "training"
            else []
        ),
    output:
        array=R / "tiles/{scene}/tiles.npy",
        table=R / "tiles/{scene}/tiles.parquet",
    log:
        R / "logs/tile_scene/{scene}.log",
    benchmark:
        R / "benchmarks/tile_scene/{scene}.tsv"
    priority: 80
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=megabytes(2000),
        runtime=minutes(30),
    params:
        scene=lambda wildcards: PLAN.scene(wildcards.scene).plain(),
        tiles=SETTINGS.section("tiles"),
        code=code("urbanssl.scenes.tiling"),
    script:
        "../scripts/tile_scene.py"


rule split_tiles:
    input:
        tables=tile_files(PLAN.labelled, ["tiles.parquet"]),
    output:
        splits=R / "splits.parquet",
    log:
        R / "logs/split_tiles.log",
    benchmark:
        R / "benchmarks/split_tiles.tsv"
    priority: 80
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=megabytes(2000),
        runtime=minutes(20),
    params:
        splits=SETTINGS.section("splits"),
        seed=SEED,
        code=code("urbanssl.scenes.splits"),
    script:
        "../scripts/split_tiles.py"
