"""Predict boxes on the tiles of one scene."""

from pathlib import Path

from urbanssl.settings import PredictSettings
from urbanssl.stage import optional_path, stage

with stage(snakemake) as about:
    from urbanssl.detect.predict import predict_scene

    predict_scene(
        Path(snakemake.input.recipe),
        Path(snakemake.input.weights),
        Path(snakemake.input.array),
        Path(snakemake.input.table),
        snakemake.params.classes,
        PredictSettings(**snakemake.params.predict),
        Path(snakemake.output.boxes),
        about,
        only=optional_path(snakemake.input.splits),
    )
