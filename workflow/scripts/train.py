"""Train one of the five networks: SwAV, MAE, DETReg, Deformable DETR, ViTDet."""

from pathlib import Path

from urbanssl.stage import stage

STAGES = {
    "pretrain_swav": "swav",
    "pretrain_mae": "mae",
    "pretrain_detreg": "detreg",
    "train_detector": "detector",
}

with stage(snakemake) as about:
    from urbanssl.engine.job import job_of_rule
    from urbanssl.engine.launch import launch

    root = Path(snakemake.output.weights).parents[2]
    launch(job_of_rule(snakemake, STAGES[snakemake.rule], root, about))
