"""Read the annotations of one scene, whatever their format."""

from pathlib import Path

from urbanssl.scenes.sheet import Scene
from urbanssl.stage import stage

with stage(snakemake) as about:
    from urbanssl.labels.convert import convert_labels

    convert_labels(
        Scene.from_plain(snakemake.params.scene),
        Path(snakemake.input.survey),
        snakemake.params.classes,
        Path(snakemake.output.boxes),
        Path(snakemake.output.counts),
        about,
    )
