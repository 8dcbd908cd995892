"""Draw the embedded city."""

from pathlib import Path

from urbanssl.settings import CitySettings
from urbanssl.stage import stage

with stage(snakemake):
    from urbanssl.synthetic.city import draw_city

    draw_city(
        CitySettings(**snakemake.params.city),
        snakemake.params.seed,
        Path(snakemake.output.areas).parent,
        processes=snakemake.threads,
    )
