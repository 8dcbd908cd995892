"""Merge the boxes of scenes over tile borders and put them back on Earth."""

from urbanssl.settings import PredictSettings
from urbanssl.stage import paths, stage

with stage(snakemake) as about:
    from urbanssl.detect.merge import merge_scene

    for boxes, table, survey, parquet, gpkg in zip(
        paths(snakemake.input.boxes),
        paths(snakemake.input.table),
        paths(snakemake.input.survey),
        paths(snakemake.output.parquet),
        paths(snakemake.output.gpkg),
        strict=True,
    ):
        merge_scene(
            boxes,
            table,
            survey,
            snakemake.params.arm,
            PredictSettings(**snakemake.params.predict),
            parquet,
            gpkg,
            about,
        )
