"""Write the report."""

from pathlib import Path

from urbanssl.settings import Settings
from urbanssl.stage import stage

with stage(snakemake):
    from urbanssl.report.page import write_report

    settings = Settings(**snakemake.params.settings)
    write_report(
        settings,
        settings.root,
        Path(snakemake.output.html),
        Path(snakemake.output.figures),
    )
