"""Pool one feature set from tiles to areas."""

from pathlib import Path

from urbanssl.scenes.sheet import Scene
from urbanssl.settings import FeatureSettings
from urbanssl.stage import paths, stage

with stage(snakemake) as about:
    from urbanssl.features.pool import pool_areas

    pool_areas(
        paths(snakemake.input.features),
        paths(snakemake.input.columns),
        paths(snakemake.input.tables),
        Path(snakemake.input.areas),
        [Scene.from_plain(scene) for scene in snakemake.params.scenes],
        FeatureSettings(**snakemake.params.features),
        Path(snakemake.output.table),
        about,
    )
