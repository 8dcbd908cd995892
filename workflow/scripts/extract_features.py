"""Extract one feature set on the tiles of one scene, or of all that share a job."""

from urbanssl.stage import optional_path, paths, stage

with stage(snakemake) as about:
    from urbanssl.features.extract import extract

    arrays = paths(snakemake.input.array)
    for array, table, output, columns, boxes in zip(
        arrays,
        paths(snakemake.input.table),
        paths(snakemake.output.array),
        paths(snakemake.output.columns),
        paths(snakemake.input.boxes) or [None] * len(arrays),
        strict=True,
    ):
        extract(
            snakemake.wildcards.name,
            array,
            table,
            output,
            columns,
            weights=optional_path(snakemake.input.weights),
            recipe=optional_path(snakemake.input.recipe),
            boxes=boxes,
            calibration=optional_path(snakemake.input.calibration),
            classes=snakemake.params.classes,
            filters=optional_path(snakemake.input.filters),
            about=about,
        )
