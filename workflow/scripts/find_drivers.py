"""Find the tiles that the predictions of a few areas lean on."""

from pathlib import Path

from urbanssl.scenes.sheet import Scene
from urbanssl.stage import paths, stage

with stage(snakemake) as about:
    from urbanssl.crime.drivers import find_drivers

    find_drivers(
        Path(snakemake.input.slopes),
        Path(snakemake.input.predictions),
        Path(snakemake.input.areas),
        paths(snakemake.input.arrays),
        paths(snakemake.input.tables),
        [Scene.from_plain(scene) for scene in snakemake.params.scenes],
        snakemake.params.statistics,
        Path(snakemake.output.drivers),
        about,
    )
