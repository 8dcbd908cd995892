"""Predict boxes on the tiles of one scene, or of all labelled ones."""

from pathlib import Path

from urbanssl.settings import PredictSettings
from urbanssl.stage import optional_path, paths, stage

with stage(snakemake) as about:
    from urbanssl.detect.predict import predict_scene

    for array, table, boxes, all_tiles in zip(
        paths(snakemake.input.array),
        paths(snakemake.input.table),
        paths(snakemake.output.boxes),
        snakemake.params.whole,
        strict=True,
    ):
        predict_scene(
            Path(snakemake.input.recipe),
            Path(snakemake.input.weights),
            array,
            table,
            snakemake.params.classes,
            PredictSettings(**snakemake.params.predict),
            boxes,
            about,
            only=None if all_tiles else optional_path(snakemake.input.splits),
        )
