"""Draw the random filters of the feature set `rcf` from the training tiles."""

from pathlib import Path

from urbanssl.stage import paths, stage

with stage(snakemake):
    from urbanssl.features.rcf import write_filters

    write_filters(
        paths(snakemake.input.arrays),
        snakemake.params.filters,
        snakemake.params.seed,
        Path(snakemake.output.filters),
    )
