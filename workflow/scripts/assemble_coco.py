"""Put the boxes of all labelled scenes on tiles, as COCO."""

from pathlib import Path

from urbanssl.settings import LabelSettings
from urbanssl.stage import paths, stage

with stage(snakemake) as about:
    from urbanssl.labels.coco import assemble_coco

    assemble_coco(
        paths(snakemake.input.boxes),
        paths(snakemake.input.tables),
        Path(snakemake.input.splits),
        LabelSettings(**snakemake.params.labels),
        {split: Path(snakemake.output[split]) for split in ("train", "val", "test")},
        Path(snakemake.output.scene_boxes),
        about,
    )
