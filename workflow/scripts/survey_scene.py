"""Look at every image of one scene before anything is cut."""

from pathlib import Path

from urbanssl.scenes.sheet import Scene
from urbanssl.settings import TileSettings
from urbanssl.stage import stage

with stage(snakemake) as about:
    from urbanssl.scenes.catalogue import survey_scene

    survey_scene(
        Scene.from_plain(snakemake.params.scene),
        TileSettings(**snakemake.params.tiles, overlap=0),
        Path(snakemake.output.survey),
        about,
    )
