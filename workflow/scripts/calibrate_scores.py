"""Fit what a detector's scores are worth to the labels of the validation tiles."""

from pathlib import Path

from urbanssl.stage import paths, stage

with stage(snakemake) as about:
    from urbanssl.features.calibrate import calibrate_scores

    calibrate_scores(
        paths(snakemake.input.boxes),
        Path(snakemake.input.coco),
        snakemake.params.classes,
        Path(snakemake.output.calibration),
        about,
    )
