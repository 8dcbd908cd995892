# Imagery in: the embedded city is drawn, every scene is checked before anything else runs.

if SETTINGS.embedded:

    rule draw_city:
        output:
            scenes=PLAN.city_scenes,
            labels=PLAN.city_labels,
            areas=R / "city/areas.gpkg",
            crime=R / "city/crime.csv",
            truth=R / "city/truth.json",
        log:
            R / "logs/draw_city.log",
        benchmark:
            R / "benchmarks/draw_city.tsv"
        conda:
            "../../envs/environment.yaml"
        threads: 2
        resources:
            mem_mb=megabytes(3000),
            runtime=minutes(10),
        params:
            city=SETTINGS.section("city"),
            seed=SEED,
            code=code("urbanssl.synthetic.city"),
        script:
            "../scripts/draw_city.py"


rule check_scenes:
    input:
        rasters=[path for scene in SCENES for path in scene.paths],
    output:
        catalogue=R / "scenes/catalogue.parquet",
        scaling=R / "scenes/scaling.json",
    log:
        R / "logs/check_scenes.log",
    benchmark:
        R / "benchmarks/check_scenes.tsv"
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=megabytes(2000),
        runtime=minutes(30),
    params:
        scenes=[scene.plain() for scene in SCENES],
        tiles=SETTINGS.section("tiles"),
        code=code("urbanssl.scenes.catalogue"),
    script:
        "../scripts/check_scenes.py"
