"""Extract one feature set on the tiles of one scene."""

from pathlib import Path

from urbanssl.stage import optional_path, stage

with stage(snakemake) as about:
    from urbanssl.features.extract import extract

    extract(
        snakemake.wildcards.name,
        Path(snakemake.input.array),
        Path(snakemake.input.table),
        Path(snakemake.output.array),
        Path(snakemake.output.columns),
        weights=optional_path(snakemake.input.weights),
        recipe=optional_path(snakemake.input.recipe),
        boxes=optional_path(snakemake.input.boxes),
        calibration=optional_path(snakemake.input.calibration),
        classes=snakemake.params.classes,
        filters=optional_path(snakemake.input.filters),
        about=about,
    )
