"""Put the surveys of all scenes into the catalogue, or refuse what cannot be used."""

from pathlib import Path

from urbanssl.settings import TileSettings
from urbanssl.stage import paths, stage

with stage(snakemake) as about:
    from urbanssl.scenes.catalogue import check_scenes

    check_scenes(
        paths(snakemake.input.surveys),
        TileSettings(**snakemake.params.tiles, overlap=0),
        Path(snakemake.output.catalogue),
        Path(snakemake.output.scaling),
        about,
    )
