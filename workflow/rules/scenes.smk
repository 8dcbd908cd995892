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


rule survey_scene:
    input:
        rasters=lambda wildcards: PLAN.scene(wildcards.scene).paths,
    output:
        survey=R / "scenes/surveys/{scene}.parquet",
    log:
        R / "logs/survey_scene/{scene}.log",
    benchmark:
        R / "benchmarks/survey_scene/{scene}.tsv"
    priority: 100
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=megabytes(2000),
        runtime=minutes(60),
    params:
        scene=lambda wildcards: PLAN.scene(wildcards.scene).plain(),
        tiles=SETTINGS.tiles.model_dump(mode="json", exclude={"overlap", "min_valid"}),
        code=code("urbanssl.scenes.catalogue"),
    script:
        "../scripts/survey_scene.py"


# Refuses all bad scenes at once, and so runs before scenes are cut. Nothing waits for it but the
# report: a scene whose survey is bad cannot be cut, and nothing trains before all are.
rule check_scenes:
    input:
        surveys=expand(rules.survey_scene.output.survey, scene=[s.name for s in SCENES]),
    output:
        catalogue=R / "scenes/catalogue.parquet",
        scaling=R / "scenes/scaling.json",
    log:
        R / "logs/check_scenes.log",
    benchmark:
        R / "benchmarks/check_scenes.tsv"
    priority: 90
    conda:
        "../../envs/environment.yaml"
    resources:
        mem_mb=megabytes(2000),
        runtime=minutes(30),
    params:
        tiles=SETTINGS.tiles.model_dump(mode="json", include={"scaling"}),
        code=code("urbanssl.scenes.catalogue"),
    script:
        "../scripts/check_scenes.py"
