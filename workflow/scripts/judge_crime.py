"""Judge whether features say anything about crime rates beyond place and cheap baselines."""

from pathlib import Path

from urbanssl.settings import CrimeSettings
from urbanssl.stage import optional_path, paths, stage

with stage(snakemake) as about:
    from urbanssl.crime.judge import judge

    judge(
        Path(snakemake.input.table),
        Path(snakemake.input.report),
        dict(zip(snakemake.params.sets, paths(snakemake.input.features), strict=True)),
        optional_path(snakemake.input.network),
        CrimeSettings(**snakemake.params.crime),
        snakemake.params.declared,
        snakemake.params.seed,
        Path(snakemake.output.predictions),
        Path(snakemake.output.slopes),
        Path(snakemake.output.metrics),
        about,
    )
