"""Merge the boxes of one scene over tile borders and put them back on Earth."""

from pathlib import Path

from urbanssl.settings import PredictSettings
from urbanssl.stage import stage

with stage(snakemake) as about:
    from urbanssl.detect.merge import merge_scene

    merge_scene(
        Path(snakemake.input.boxes),
        Path(snakemake.input.table),
        Path(snakemake.input.survey),
        snakemake.params.arm,
        PredictSettings(**snakemake.params.predict),
        Path(snakemake.output.parquet),
        Path(snakemake.output.gpkg),
        about,
    )
