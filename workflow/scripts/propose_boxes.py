"""Propose class-agnostic boxes on the tiles of one scene."""

from pathlib import Path

from urbanssl.settings_training import ProposalSettings
from urbanssl.stage import stage

with stage(snakemake) as about:
    from urbanssl.ssl.proposals import propose_boxes

    propose_boxes(
        Path(snakemake.input.array),
        Path(snakemake.input.table),
        ProposalSettings(**snakemake.params.proposals),
        snakemake.params.seed,
        Path(snakemake.output.boxes),
        about,
    )
