"""What the judge says of real tables: refusals with their reasons, autocorrelation of rates."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from urbanssl.artifacts import read_json
from urbanssl.crime.moran import moran_test, neighbour_weights
from urbanssl.crime.permutation import shuffles
from urbanssl.crime.place import positions
from urbanssl.crime.table import read_crime
from urbanssl.crime.targets import log_rate
from urbanssl.crime.verdict import refusal, refusals
from urbanssl.report.drawing import Album
from urbanssl.report.maps import area_map
from urbanssl.scenes.scene import Scene
from urbanssl.settings import CrimeSettings


def real_checks(data: Path, pictures: Path) -> list[str]:
    """Return a sentence or two for each real table.

    Args:
        data: folder with `seed-tiles/`, `crime/us_county/` and `crime/columbus/`.
        pictures: folder for maps.
    """
    with tempfile.TemporaryDirectory() as folder:
        return [
            *_seed_tiles(data, Path(folder)),
            _counties(data, Path(folder)),
            *_columbus(data, Path(folder), pictures),
        ]


def _read(
    folder: Path, areas: Path | None, tables: list[Path], scenes: list[Scene], **settings: Any
) -> tuple[gpd.GeoDataFrame, dict[str, Any], CrimeSettings]:
    crime = CrimeSettings.model_validate(settings)
    output, report = folder / "table.parquet", folder / "table.json"
    read_crime(crime, areas, tables, scenes, output, report, {})
    return gpd.read_parquet(output), read_json(report), crime


def _county_tables(data: Path, folder: Path, scenes: list[Scene]) -> Any:
    return _read(
        folder,
        None,
        sorted((data / "crime/us_county/crime").glob("*.parquet")),
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


def _seed_tiles(data: Path, folder: Path) -> list[str]:
    scenes = [
        Scene(
            name, tuple(sorted((data / "seed-tiles" / name).glob("*.tif"))), frozenset({"study"}),
            area=area,
        )
        for name, area in (("0", "28101"), ("1", "05035"))
    ]  # fmt: skip
    table, report, crime = _county_tables(data, folder, scenes)
    used = table["reported"].to_numpy(bool)
    rate = table["rate_shrunk"].to_numpy(float)[used]
    reasons = refusals(rate, table["region"].to_numpy()[used], len(table), crime)
    tiles = sum(len(scene.paths) for scene in scenes)
    if not reasons:
        return [f"The {tiles} seed tiles were **not** refused."]
    said = refusal(reasons, len(rate), len(table))["headline"]
    missing = "; ".join(f"{one['area_id']}: {one['why']}" for one in report["missing"])
    flagged = "; ".join(
        f"{area['area_id']}: {entry['reason']}"
        for entry in report["flagged"]
        for area in entry["areas"]
    )
    return [
        f"The {tiles} seed tiles of {len(table)} counties: refused. *{said}* Reasons given: "
        + " ".join(reasons),
        f"Not usable of the {len(table)}: {'; '.join(filter(None, [flagged, missing]))}.",
    ]


def _counties(data: Path, folder: Path) -> str:
    """Return what came of the whole county table; it has no polygons, so states are neighbours."""
    meta = pd.read_parquet(data / "crime/us_county/county_meta")
    codes = [f"{code:05d}" for code in meta["fips"] if code > 0]
    scenes = [Scene(code, (), frozenset({"study"}), area=code) for code in dict.fromkeys(codes)]
    table, report, _ = _county_tables(data, folder, scenes)
    used = table["reported"].to_numpy(bool) & np.isfinite(table["rate_shrunk"].to_numpy(float))
    state = table["region"].to_numpy()[used]
    found = moran_test(
        log_rate(table["rate_shrunk"].to_numpy(float)[used]),
        _same_state(state),
        shuffles(np.zeros(len(state)), 999, np.random.default_rng(0)),
    )
    repaired = sum(entry["count"] for entry in report["repaired"])
    dropped = "; ".join(f"{entry['count']:,} {entry['reason']}" for entry in report["dropped"])
    flagged = "; ".join(f"{entry['count']:,} {entry['reason']}" for entry in report["flagged"])
    return (
        f"The county table: {report['rows_read']:,} rows parsed, {repaired:,} FIPS repaired; "
        f"dropped: {dropped or 'none'}; not learned from: {flagged or 'none'}; {used.sum():,} of "
        f"{len(table):,} counties have a usable rate. It has no polygons to map. With all other "
        f"counties of the state as neighbours, Moran's I of the log rate is {found['i']:.2f} "
        f"(p = {found['p']:.3f})."
    )


def _same_state(state: NDArray) -> csr_matrix:
    """Return (n, n) weights of all other areas of the same state, adding up to 1."""
    alike = (state[:, None] == state) & ~np.eye(len(state), dtype=bool)
    return csr_matrix(alike / np.maximum(alike.sum(axis=1, keepdims=True), 1))


def _columbus(data: Path, folder: Path, pictures: Path) -> list[str]:
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
    near = neighbour_weights(points, region)
    plain, logged = (moran_test(values, near, places) for values in (rate, log_rate(rate)))
    reasons = refusals(rate, region, len(table), crime)
    Album(pictures).plot(
        "columbus",
        area_map(table.assign(region="Columbus, Ohio"), "rate", "burglaries and car thefts a "
                 "thousand households"),
        f"Map of {len(table)} neighbourhoods of Columbus shaded by recorded rate.",
        "",
    )  # fmt: skip
    return [
        f"Columbus, {len(table)} polygons without a CRS: parsed and mapped. Moran's I with the "
        f"eight nearest: {plain['i']:.2f} of the rate (p = {plain['p']:.3f}), {logged['i']:.2f} of "
        f"its logarithm (p = {logged['p']:.3f}). A claim from it is "
        f"{'refused: ' + reasons[0] if reasons else '**not** refused.'}",
        "![Recorded rates in Columbus: high in the middle, low at the edges](columbus.svg) "
        "Recorded crime of 49 neighbourhoods (Anselin 1988, as in libpysal, BSD-3). Recorded crime "
        "is not crime; see [responsible use](../responsible-use.md).",
    ]
