"""Score the detections of one run against the labels of the test split."""

from pathlib import Path

from urbanssl.settings import ScoreSettings
from urbanssl.stage import paths, stage

with stage(snakemake) as about:
    from urbanssl.detect.pictures import worst_and_best
    from urbanssl.detect.score import score_run

    boxes = paths(snakemake.input.boxes)
    score_run(
        boxes,
        paths(snakemake.input.merged),
        Path(snakemake.input.coco),
        Path(snakemake.input.scene_boxes),
        snakemake.params.classes,
        ScoreSettings(**snakemake.params.score),
        snakemake.params.seed,
        Path(snakemake.output.metrics),
        Path(snakemake.output.curves),
        about,
    )
    worst_and_best(
        boxes,
        Path(snakemake.input.coco),
        paths(snakemake.input.arrays),
        Path(snakemake.output.pictures),
    )
