"""Made-up studies with a known answer, for tests and for measuring speed."""

import json

import geopandas as gpd
import numpy as np
import pandas as pd
from shapely import box

from urbanssl.artifacts import write_json


def smooth(side, rng, reach=1.5):
    """A random field on a grid of areas in which neighbours are alike."""
    axis = np.arange(side)
    near = np.exp(-0.5 * ((axis[:, None] - axis) / reach) ** 2)
    field = near @ rng.normal(size=(side, side)) @ near.T
    return (field / max(field.std(), 1e-9)).ravel()


def write_study(
    folder, rng, regions=4, side=6, signal=0.0, smoothness=0.0, level=0.0, sets=None, width=12
):
    """Write table and pooled features of square areas in `regions` towns.

    The log rate is `signal` times what is built (one column of the set `objects`), plus
    `smoothness` times a smooth field, plus `level` times a number for each region, plus noise.
    Other columns are smooth fields and noise; `level` shifts them too.
    """
    rows, blocks = [], {name: [] for name in sets or ("swav", "objects", "rcf", "histogram")}
    for number in range(regions):
        built = rng.normal(size=side * side)
        shift = rng.normal()
        hidden = smooth(side, rng)
        log = 5 + signal * built + smoothness * hidden + level * shift
        log = log + 0.3 * rng.normal(size=side * side)
        east, north = np.divmod(np.arange(side * side), side)
        west, south = -90 + 3 * number + 0.001 * east, 35 + 0.001 * north
        rows.append(
            pd.DataFrame(
                {
                    "area_id": [f"{number:02d}{n:03d}" for n in range(side * side)],
                    "name": None,
                    "region": f"town{number}",
                    "population": rng.integers(2000, 20000, side * side).astype(float),
                    "rate": np.exp(log),
                    "rate_shrunk": np.exp(log),
                    "reported": True,
                    "note": "",
                    "centre_x": west + 0.0005,
                    "centre_y": south + 0.0005,
                    "geometry": box(west, south, west + 0.001, south + 0.001),
                }
            )
        )
        for name, parts in blocks.items():
            columns = [smooth(side, rng) if n % 2 else rng.normal(size=side * side)
                       for n in range(width)]  # fmt: skip
            columns = np.stack(columns, axis=1) + level * shift * (np.arange(width) % 3 == 0)
            if name == "objects":
                columns[:, 2] = built + 0.3 * rng.normal(size=side * side)
            if name == "swav":
                columns[:, 3] = built + 0.6 * rng.normal(size=side * side)
            parts.append(columns)
    table = pd.concat(rows, ignore_index=True)
    table["count"] = table["rate"] * table["population"] / 1e5
    gpd.GeoDataFrame(table, geometry="geometry", crs=4326).to_parquet(folder / "table.parquet")
    write_json(folder / "table.json", {"crs": "EPSG:4326"})
    paths = {}
    for name, parts in blocks.items():
        values = np.concatenate(parts)
        frame = pd.DataFrame(values, columns=[f"{name}{n}_mean" for n in range(values.shape[1])])
        frame.insert(0, "area_id", table["area_id"])
        frame.insert(1, "cover", 1.0)
        frame.insert(2, "tiles", 4)
        frame.insert(3, "covered", True)
        paths[name] = folder / f"features_{name}.parquet"
        frame.to_parquet(paths[name])
    return folder / "table.parquet", folder / "table.json", paths


def run_judge(folder, study, network=None, **settings):
    """Judge a written study; return metrics and predictions."""
    from urbanssl.crime.judge import judge
    from urbanssl.settings import CrimeSettings

    table, report, features = study
    judge(
        table,
        report,
        features,
        network,
        CrimeSettings(**{"bootstrap": 300, "permutations": 200, **settings}),
        {"pretraining": "none"},
        0,
        folder / "predictions.parquet",
        folder / "slopes.parquet",
        folder / "metrics.json",
        {},
    )
    metrics = json.loads((folder / "metrics.json").read_text())
    return metrics, pd.read_parquet(folder / "predictions.parquet")
