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


rule judge_crime:
    input:
        table=rules.read_crime.output.table,
        report=rules.read_crime.output.report,
        features=expand(rules.pool_features.output.table, name=SETTINGS.features.sets),
    output:
        predictions=R / "crime/predictions.parquet",
        metrics=R / "crime/metrics.json",
    log:
        R / "logs/judge_crime.log",
    benchmark:
        R / "benchmarks/judge_crime.tsv"
    conda:
        "../../envs/environment.yaml"
    threads: 2
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
