"""Train a small network on raw tiles inside the folds: the predecessor's baseline."""

from pathlib import Path

from urbanssl.scenes.sheet import Scene
from urbanssl.settings import CrimeSettings
from urbanssl.stage import paths, stage

with stage(snakemake) as about:
    from urbanssl.crime.tile_network import train_tile_network

    train_tile_network(
        Path(snakemake.input.table),
        Path(snakemake.input.report),
        paths(snakemake.input.pooled)[0],
        paths(snakemake.input.arrays),
        paths(snakemake.input.tables),
        [Scene.from_plain(scene) for scene in snakemake.params.scenes],
        CrimeSettings(**snakemake.params.crime),
        snakemake.params.seed,
        Path(snakemake.output.predictions),
        about,
    )
