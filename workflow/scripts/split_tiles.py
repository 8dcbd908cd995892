"""Split labelled tiles by place."""

from pathlib import Path

from urbanssl.settings import SplitSettings
from urbanssl.stage import paths, stage

with stage(snakemake) as about:
    from urbanssl.scenes.splits import split_tiles

    split_tiles(
        paths(snakemake.input.tables),
        SplitSettings(**snakemake.params.splits),
        snakemake.params.seed,
        Path(snakemake.output.splits),
        about,
    )
