"""Check every scene before anything else runs."""

from pathlib import Path

from urbanssl.scenes.sheet import Scene
from urbanssl.settings import TileSettings
from urbanssl.stage import stage

with stage(snakemake) as about:
    from urbanssl.scenes.catalogue import check_scenes

    check_scenes(
        [Scene.from_plain(scene) for scene in snakemake.params.scenes],
        TileSettings(**snakemake.params.tiles),
        Path(snakemake.output.catalogue),
        Path(snakemake.output.scaling),
        about,
    )
