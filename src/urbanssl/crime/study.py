"""The areas of a study with their features, and the schemes they are held out by."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from urbanssl.artifacts import read_json
from urbanssl.crime.baselines import coordinate_features
from urbanssl.crime.folds import (
    Scheme,
    block_folds,
    block_labels,
    distance_folds,
    random_folds,
    region_folds,
)
from urbanssl.crime.moran import Correlogram, block_side, correlogram
from urbanssl.crime.place import local_plane, positions
from urbanssl.crime.targets import log_rate
from urbanssl.errors import AreaError, Problem

Floats = NDArray[np.float64]

#: Columns of the pooled tables that are no features.
_KEYS = ("area_id", "cover", "tiles", "covered")
#: So many areas with too little imagery are named.
_LISTED = 20
#: Folds of the schemes that do not hold out regions.
FOLDS = 5
#: Hectares of a square kilometre.
_HECTARES = 100.0


@dataclass(frozen=True)
class Study:
    """The areas that can be used, and all that is known of them.

    Attributes:
        area_id: (n,) text.
        region: (n,) text.
        rate: (n,) per 100,000, shrunk where the settings say so.
        population: (n,), not a number where unknown.
        points: (n, 2 or 3) positions in metres.
        plane: (n, 2) metres within the region.
        features: set -> (n, D), coordinates among them; objects as `object_features`.
        names: set -> D column names.
        total: areas of the study, usable or not.
        elsewhere: (m, 2 or 3) positions of areas without a rate.
        left_out: reason -> number of areas.
        count: (n,) crimes a year; None where they are not known of every area.
        bare: ids of areas with a rate and too little imagery.
    """

    area_id: NDArray
    region: NDArray
    rate: Floats
    population: Floats
    points: Floats
    plane: Floats
    features: dict[str, Floats]
    names: dict[str, list[str]]
    total: int
    elsewhere: Floats
    left_out: dict[str, int]
    count: Floats | None = None
    bare: tuple[str, ...] = ()


def read_study(table: Path, table_report: Path, features: dict[str, Path]) -> Study:
    """Return the areas that have a rate, a place, and enough imagery in every feature set.

    Args:
        table: `R/crime/table.parquet`.
        table_report: `R/crime/table.json`; says whether areas have a place on Earth.
        features: set -> `R/crime/features_{set}.parquet`.

    Raises:
        AreaError: tables that do not hold the same areas.
    """
    areas = pd.read_parquet(table)
    lonlat = read_json(table_report).get("crs") is not None
    pooled = {name: pd.read_parquet(path) for name, path in features.items()}
    problems = [
        Problem(str(features[name]), "does not hold the areas of the crime table in their order",
                "pool the features again")
        for name, frame in pooled.items()
        if frame["area_id"].tolist() != areas["area_id"].tolist()
    ]  # fmt: skip
    if problems:
        raise AreaError.listing(problems, "features and areas do not belong together")
    rate = areas["rate_shrunk"].to_numpy(float)
    reported = areas["reported"].to_numpy(bool) & np.isfinite(rate)
    covered = np.ones(len(areas), bool)
    for frame in pooled.values():
        covered &= frame["covered"].to_numpy(bool)
    x, y = areas["centre_x"].to_numpy(float), areas["centre_y"].to_numpy(float)
    used = reported & covered & np.isfinite(x + y)
    sets, names = {}, {}
    for name, frame in pooled.items():
        if name != "coordinates":
            names[name] = [column for column in frame.columns if column not in _KEYS]
            sets[name] = _finite(frame.loc[used, names[name]].to_numpy(float))
    if "objects" in sets:
        sets["objects"] = object_features(sets["objects"])
    region = areas["region"].astype(str).to_numpy()
    points = positions(x[used], y[used], lonlat)
    if used.sum() >= 4:
        sets["coordinates"] = coordinate_features(points)
        names["coordinates"] = [f"place_{n}" for n in range(sets["coordinates"].shape[1])]
    other = ~reported & np.isfinite(x + y)
    count, people = (areas[name].to_numpy(float)[used] for name in ("count", "population"))
    return Study(
        area_id=areas["area_id"].to_numpy()[used],
        region=region[used],
        rate=rate[used],
        population=people,
        points=points,
        plane=local_plane(x[used], y[used], region[used], lonlat),
        features=sets,
        names=names,
        total=len(areas),
        elsewhere=positions(x[other], y[other], lonlat),
        left_out={
            "no usable crime rate": int((~reported).sum()),
            "too little imagery": int((reported & ~covered).sum()),
            "no place on the map": int((reported & covered & ~used).sum()),
        },
        bare=tuple(areas["area_id"][reported & ~covered]),
        count=count if np.isfinite(count).all() and (people > 0).all() else None,
    )


def object_features(density: Floats) -> Floats:
    """Return the logarithm of 1 + objects per hectare, from objects per square kilometre.

    A pool more tells much where there is none and little where there are fifty: true counts of the
    embedded city come nearer to what is attainable this way than as they are or as square roots.
    """
    return np.log1p(np.maximum(density, 0) / _HECTARES)


def object_density_of(features: Floats) -> Floats:
    """Return objects per square kilometre again, from `object_features`."""
    return np.expm1(features) * _HECTARES


def _finite(values: Floats) -> Floats:
    """Return values with what is not a number replaced by the column's median over areas."""
    bad = ~np.isfinite(values)
    if not bad.any():
        return values
    middle = np.nan_to_num(np.nanmedian(np.where(bad, np.nan, values), axis=0))
    return np.where(bad, middle[None, :], values)


def schemes_of(
    study: Study, block: float | None, rng: np.random.Generator
) -> tuple[list[Scheme], NDArray[np.int64], Correlogram, float]:
    """Return the schemes, the block of each area for resampling, the correlogram, the block side.

    Args:
        study: the areas.
        block: side of a block in metres; None takes it from the correlogram.
        rng: random numbers.
    """
    found = correlogram(log_rate(study.rate), study.points, study.region, rng)
    side = block if block is not None else block_side(found)
    blocks = block_labels(study.plane, study.region, side)
    schemes = [
        region_folds(study.region),
        random_folds(len(study.rate), FOLDS, rng),
        block_folds(blocks, study.points, side / 2, FOLDS, rng),
        distance_folds(study.points, _wanted(study, side, rng), FOLDS, rng),
    ]
    return [s for s in schemes if s.train.sum(axis=1).min() >= 8], blocks, found, side


def _wanted(study: Study, side: float, rng: np.random.Generator, most: int = 500) -> Floats:
    """Distances from places to be predicted to the nearest known area.

    The places are the areas without a rate, where there are ten or more, else random places in
    and around (one block side) each region.
    """
    if len(study.elsewhere) >= 10:
        return np.asarray(cKDTree(study.points).query(study.elsewhere)[0])
    wanted = []
    for name in np.unique(study.region):
        known = study.plane[study.region == name]
        low, high = known.min(axis=0) - side, known.max(axis=0) + side
        places = rng.uniform(low, high, size=(most, 2))
        wanted.append(cKDTree(known).query(places)[0])
    return np.concatenate(wanted)


def describe(study: Study) -> dict[str, Any]:
    """Return the numbers of areas for the metrics file."""
    return {
        "areas": len(study.rate),
        "areas_total": study.total,
        "regions": len(np.unique(study.region)),
        "left_out": study.left_out,
        "too_little_imagery": study.bare[:_LISTED],
    }
