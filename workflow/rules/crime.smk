# Crime rates by area, and what the features say of them.

# The settings that reading the table needs; judging needs the others.
READING = {
    "areas",
    "table",
    "area_id",
    "fips",
    "id_order",
    "names",
    "region",
    "rate",
    "count",
    "offence",
    "offences",
    "year",
    "years",
    "population",
    "coverage",
    "covered_population",
    "min_coverage",
    "min_population",
    "shrink",
}


rule read_crime:
    input:
        areas=PLAN.areas or [],
        tables=PLAN.crime_tables,
        names=PLAN.crime_names,
    output:
        table=R / "crime/table.parquet",
        report=R / "crime/table.json",
    log:
        R / "logs/read_crime.log",
    benchmark:
        R / "benchmarks/read_crime.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=megabytes(2000),
        runtime=minutes(20),
    params:
        crime=SETTINGS.crime.model_dump(mode="json", include=READING),
        scenes=[scene.plain() for scene in PLAN.study],
        code=code("urbanssl.crime.table"),
    script:
        "../scripts/read_crime.py"


# Covers do not differ between feature sets, so the first pooled one says who has imagery.
rule train_tile_network:
    input:
        table=rules.read_crime.output.table,
        report=rules.read_crime.output.report,
        pooled=expand(rules.pool_features.output.table, name=cheapest_set()),
        arrays=tile_files(PLAN.study, ["tiles.npy"]),
        tables=tile_files(PLAN.study, ["tiles.parquet"]),
    output:
        predictions=R / "crime/tile_network.parquet",
    log:
        R / "logs/train_tile_network.log",
    benchmark:
        R / "benchmarks/train_tile_network.tsv"
    priority: 30  # long, and needs nothing but tiles and the crime table
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=megabytes(4000),
        runtime=minutes(120),
    params:
        crime=SETTINGS.crime.model_dump(
            mode="json", include={"network_steps", "threshold", "block", "min_areas"}
        ),
        scenes=[scene.plain() for scene in PLAN.study],
        seed=SEED,
        code=code("urbanssl.crime.tile_network"),
    script:
        "../scripts/train_tile_network.py"


rule judge_crime:
    input:
        table=rules.read_crime.output.table,
        report=rules.read_crime.output.report,
        features=expand(rules.pool_features.output.table, name=SETTINGS.features.sets),
        network=(
            rules.train_tile_network.output.predictions
            if SETTINGS.crime.network_steps
            else []
        ),
    output:
        predictions=R / "crime/predictions.parquet",
        slopes=R / "crime/slopes.parquet",
        metrics=R / "crime/metrics.json",
    log:
        R / "logs/judge_crime.log",
    benchmark:
        R / "benchmarks/judge_crime.tsv"
    conda:
        "../../envs/environment.yaml"
    # One: its matrices are small, and threads that wait for each other took 20 times the processor
    # time on a busy machine.
    threads: 1
    resources:
        mem_mb=megabytes(4000),
        runtime=minutes(120),
    params:
        crime=SETTINGS.crime.model_dump(mode="json", exclude=READING),
        sets=list(SETTINGS.features.sets),
        declared=PLAN.declared,
        seed=SEED,
        code=code("urbanssl.crime.judge"),
    script:
        "../scripts/judge_crime.py"


rule find_drivers:
    input:
        slopes=rules.judge_crime.output.slopes,
        predictions=rules.judge_crime.output.predictions,
        areas=rules.read_crime.output.table,
        arrays=many(
            expand(
                FEATURES,
                name=SETTINGS.features.sets,
                scene=[scene.name for scene in PLAN.study],
            )
        ),
        columns=many(
            expand(
                FEATURE_NAMES,
                name=SETTINGS.features.sets,
                scene=[scene.name for scene in PLAN.study],
            )
        ),
        tables=tile_files(PLAN.study, ["tiles.parquet"]),
    output:
        drivers=R / "crime/drivers.parquet",
    log:
        R / "logs/find_drivers.log",
    benchmark:
        R / "benchmarks/find_drivers.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=megabytes(3000),
        runtime=minutes(20),
    params:
        statistics=list(SETTINGS.features.pool),
        scenes=[scene.plain() for scene in PLAN.study],
        code=code("urbanssl.crime.drivers"),
    script:
        "../scripts/find_drivers.py"
