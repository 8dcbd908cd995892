"""Read the areas and the crime table, and say what was dropped and repaired."""

from pathlib import Path

from urbanssl.scenes.sheet import Scene
from urbanssl.settings import CrimeSettings
from urbanssl.stage import optional_path, paths, stage

with stage(snakemake) as about:
    from urbanssl.crime.table import read_crime

    read_crime(
        CrimeSettings(**snakemake.params.crime),
        optional_path(snakemake.input.areas),
        paths(snakemake.input.tables),
        [Scene.from_plain(scene) for scene in snakemake.params.scenes],
        Path(snakemake.output.table),
        Path(snakemake.output.report),
        about,
        names=paths(snakemake.input.names),
    )
