"""What the judge says of real tables: refusals with their reasons, autocorrelation of rates."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd

from urbanssl.artifacts import read_json
from urbanssl.crime.moran import moran_test, neighbour_weights
from urbanssl.crime.permutation import shuffles
from urbanssl.crime.place import positions
from urbanssl.crime.table import read_crime
from urbanssl.crime.targets import log_rate
from urbanssl.crime.verdict import refusal, refusals
from urbanssl.scenes.scene import Scene
from urbanssl.settings import CrimeSettings


def real_checks(data: Path) -> list[str]:
    """Return one sentence for each real table.

    Args:
        data: folder with `seed-tiles/`, `crime/us_county/` and `crime/columbus/`.
    """
    with tempfile.TemporaryDirectory() as folder:
        return [*_seed_tiles(data, Path(folder)), _columbus(data, Path(folder))]


def _read(
    folder: Path, areas: Path | None, tables: list[Path], scenes: list[Scene], **settings: Any
) -> tuple[gpd.GeoDataFrame, dict[str, Any], CrimeSettings]:
    crime = CrimeSettings.model_validate(settings)
    output, report = folder / "table.parquet", folder / "table.json"
    read_crime(crime, areas, tables, scenes, output, report, {})
    return gpd.read_parquet(output), read_json(report), crime


def _seed_tiles(data: Path, folder: Path) -> list[str]:
    scenes = [
        Scene(
            name, tuple(sorted((data / "seed-tiles" / name).glob("*.tif"))), frozenset({"study"}),
            area=area,
        )
        for name, area in (("0", "28101"), ("1", "05035"))
    ]  # fmt: skip
    tables = sorted((data / "crime/us_county/crime").glob("*.parquet"))
    table, report, crime = _read(
        folder,
        None,
        tables,
        scenes,
        area_id="fips",
        fips=True,
        id_order="IDNO",
        region="state",
        rate="crime_rate_per_100000",
        count=None,
        coverage="COVIND",
        covered_population="CPOPCRIM",
    )
    used = table["reported"].to_numpy(bool)
    rate = table["rate_shrunk"].to_numpy(float)[used]
    reasons = refusals(rate, table["region"].to_numpy()[used], len(table), crime)
    tiles = sum(len(scene.paths) for scene in scenes)
    if not reasons:
        return [f"The {tiles} seed tiles were **not** refused."]
    said = refusal(reasons, len(rate), len(table))["headline"]
    repaired = sum(entry["count"] for entry in report["repaired"])
    dropped = sum(entry["count"] for entry in report["dropped"])
    return [
        f"The {tiles} seed tiles of {len(table)} counties: refused. *{said}*",
        f"The county table they belong to: parsed; {repaired:,} FIPS repaired, {dropped:,} rows "
        "dropped with their reasons.",
    ]


def _columbus(data: Path, folder: Path) -> str:
    shapes = data / "crime/columbus/columbus.shp"
    rows = pd.DataFrame(gpd.read_file(shapes).drop(columns="geometry"))
    rows.to_csv(folder / "columbus.csv", index=False)
    table, _, crime = _read(
        folder, shapes, [folder / "columbus.csv"], [], area_id="POLYID", rate="CRIME", count=None,
        population=None,
    )  # fmt: skip
    region = table["region"].to_numpy()
    points = positions(table["centre_x"].to_numpy(float), table["centre_y"].to_numpy(float), False)
    places = shuffles(region, 999, np.random.default_rng(0))
    rate = table["rate_shrunk"].to_numpy(float)
    found = moran_test(log_rate(rate), neighbour_weights(points, region), places)
    reasons = refusals(rate, region, len(table), crime)
    return (
        f"Columbus, {len(table)} polygons without a CRS: parsed; Moran's I of the log rate "
        f"{found['i']:.2f} (p = {found['p']:.3f}). A claim from it is "
        f"{'refused: ' + reasons[0] if reasons else '**not** refused.'}"
    )
