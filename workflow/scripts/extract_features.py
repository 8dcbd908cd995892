"""Extract one feature set on the tiles of one scene, or of all that share a job."""

from urbanssl.stage import optional_path, paths, stage

with stage(snakemake) as about:
    from urbanssl.features.extract import extract

    extract(
        snakemake.wildcards.name,
        paths(snakemake.input.array),
        paths(snakemake.input.table),
        paths(snakemake.output.array),
        paths(snakemake.output.columns),
        weights=optional_path(snakemake.input.weights),
        recipe=optional_path(snakemake.input.recipe),
        boxes=paths(snakemake.input.boxes),
        calibration=optional_path(snakemake.input.calibration),
        classes=snakemake.params.classes,
        filters=optional_path(snakemake.input.filters),
        about=about,
    )
