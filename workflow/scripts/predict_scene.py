"""Predict boxes on the tiles of one scene, or of all that share a job."""

from pathlib import Path

from urbanssl.settings import PredictSettings
from urbanssl.stage import optional_path, paths, stage

with stage(snakemake) as about:
    from urbanssl.detect.predict import predict_scenes

    predict_scenes(
        Path(snakemake.input.recipe),
        Path(snakemake.input.weights),
        paths(snakemake.input.array),
        paths(snakemake.input.table),
        snakemake.params.classes,
        PredictSettings(**snakemake.params.predict),
        paths(snakemake.output.boxes),
        about,
        only=[
            None if whole else optional_path(snakemake.input.splits)
            for whole in snakemake.params.whole
        ],
    )
