"""Cut one scene into a shard of tiles."""

from pathlib import Path

from urbanssl.scenes.sheet import Scene
from urbanssl.settings import TileSettings
from urbanssl.stage import optional_path, stage

with stage(snakemake) as about:
    from urbanssl.scenes.tiling import tile_scene

    tile_scene(
        Scene.from_plain(snakemake.params.scene),
        Path(snakemake.input.survey),
        optional_path(snakemake.input.scaling),
        TileSettings(**snakemake.params.tiles),
        Path(snakemake.output.array),
        Path(snakemake.output.table),
        about,
    )
