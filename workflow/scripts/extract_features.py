"""Extract one feature set on the tiles of one scene."""

from pathlib import Path

from urbanssl.settings import FeatureSettings
from urbanssl.stage import optional_path, paths, stage

with stage(snakemake) as about:
    from urbanssl.features.extract import extract

    extract(
        snakemake.wildcards.name,
        Path(snakemake.input.array),
        Path(snakemake.input.table),
        Path(snakemake.output.array),
        Path(snakemake.output.columns),
        FeatureSettings(**snakemake.params.features),
        snakemake.params.seed,
        weights=optional_path(snakemake.input.weights),
        recipe=optional_path(snakemake.input.recipe),
        boxes=optional_path(snakemake.input.boxes),
        calibration=optional_path(snakemake.input.calibration),
        classes=snakemake.params.classes,
        training_arrays=paths(snakemake.input.training_arrays),
        about=about,
    )
