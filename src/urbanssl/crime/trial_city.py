"""Cities to try the judge on: features computed once, areas and crime drawn hundreds of times.

A trial takes some regions of a large pool of embedded regions, draws noise, population and crimes
anew, and becomes a `Study` like one that was read from files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from urbanssl.classes import CLASSES
from urbanssl.crime.baselines import coordinate_features
from urbanssl.crime.study import Study, object_features
from urbanssl.features.extract import in_batches
from urbanssl.features.histogram import colour_histogram
from urbanssl.features.rcf import draw_filters, rcf
from urbanssl.features.texture import texture
from urbanssl.settings import CitySettings
from urbanssl.synthetic.crime import Hidden, draw_hidden, redraw_crime
from urbanssl.synthetic.latent import expected_build
from urbanssl.synthetic.layout import GSD, Region, regions
from urbanssl.synthetic.scene import Built, build_region, photograph

Floats = NDArray[np.float64]

#: Side of the tiles that imagery is cut into, pixels.
TILE = 128
#: Random filters of a trial's random convolutional features.
FILTERS = 64
#: Metres between the corners of neighbouring regions.
_APART = 100_000.0


@dataclass(frozen=True)
class Pool:
    """Regions that trials are drawn from.

    Attributes:
        city: settings they were built with.
        hidden: their hidden state.
        counts: (R, A, C) objects of each area, by class: the truth.
        build_mean: (R, A) E[b | everything that was built], what the best model would go by.
        tiles: set -> (R, A, T, D) features of each area's tiles; empty without imagery.
    """

    city: CitySettings
    hidden: Hidden
    counts: Floats
    build_mean: Floats
    tiles: dict[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Trial:
    """One draw of regions and crime.

    Attributes:
        study: the areas.
        picked: (R',) regions of the pool.
        best: (n,) what the best model that sees everything built would go by.
    """

    study: Study
    picked: NDArray[np.int64]
    best: Floats


#: Region: counts (A, C), E[b | built] (A,), tile features.
RegionParts = tuple[Floats, Floats, dict[str, NDArray[np.float32]]]
#: From (N, S, S, 3) tiles to (N, D) features, by feature set.
TileFunctions = Mapping[str, Callable[[NDArray[np.uint8]], NDArray[np.float32]]]


def pool_settings(count: int) -> CitySettings:
    """Return a city of `count` study regions beside the labelled one that filters come from."""
    return CitySettings.model_validate({"regions": count + 1, "labelled_regions": 1})


def draw_pool_hidden(city: CitySettings, seed: int) -> Hidden:
    """Return the hidden state of all regions, the labelled one among them."""
    return draw_hidden(city, seed)


def training_tiles(city: CitySettings, hidden: Hidden, seed: int) -> NDArray[np.uint8]:
    """Return (A, T, S, S, 3) tiles of the labelled region, which no trial studies."""
    region = regions(city)[0]
    return _tiles(city, build_region(region, city, seed, hidden.build[0]), region, seed)


def cheap_functions(tiles: NDArray[np.uint8], seed: int) -> TileFunctions:
    """Return the features that need no training; random filters come from (A, T, S, S, 3) tiles."""
    filters = draw_filters([tiles.reshape(-1, TILE, TILE, 3)], FILTERS, seed)
    return {
        "rcf": partial(_convolved, filters=filters),
        "histogram": colour_histogram,
        "texture": texture,
    }


def _convolved(tiles: NDArray[np.uint8], filters: NDArray[np.float32]) -> NDArray[np.float32]:
    return in_batches(tiles, partial(rcf, filters=filters))


def region_parts(
    city: CitySettings, hidden: Hidden, number: int, seed: int, functions: TileFunctions
) -> RegionParts:
    """Build one region; draw its imagery and compute tile features where any are asked for.

    Args:
        city: settings of the pool.
        hidden: hidden state of the pool.
        number: of the region, from 0 (the labelled one).
        seed: of the pool.
        functions: of the feature sets; without any the imagery stays undrawn.
    """
    region = regions(city)[number]
    built = build_region(region, city, seed, hidden.build[number])
    counts = np.array([[count[name] for name in CLASSES] for count in built.counts], float)
    prior = float(np.hypot(1.0, city.confounding))
    mean = np.array([expected_build(tally, prior)[0] for tally in built.tallies])
    if not functions:
        return counts, mean, {}
    tiles = _tiles(city, built, region, seed)
    areas, each = tiles.shape[:2]
    flat = tiles.reshape(-1, TILE, TILE, 3)
    found = {name: function(flat) for name, function in functions.items()}
    return counts, mean, {name: v.reshape(areas, each, -1) for name, v in found.items()}


def _tiles(city: CitySettings, built: Built, region: Region, seed: int) -> NDArray[np.uint8]:
    """Return (A, T, S, S, 3) tiles of a region, area by area."""
    picture = photograph(built, region, seed)
    side, across = city.areas_per_side, city.area_px // TILE
    cut = picture.reshape(side, across, TILE, side, across, TILE, 3)
    return cut.transpose(0, 3, 1, 4, 2, 5, 6).reshape(side**2, across**2, TILE, TILE, 3)


def gather_pool(city: CitySettings, hidden: Hidden, parts: Sequence[RegionParts]) -> Pool:
    """Return the pool of the study regions whose parts were computed, in their order."""
    study = slice(city.labelled_regions, city.labelled_regions + len(parts))
    kept = Hidden(hidden.latent[study], hidden.effect[study], hidden.build[study])
    sets = parts[0][2]
    return Pool(
        city=city,
        hidden=kept,
        counts=np.stack([counts for counts, _, _ in parts]),
        build_mean=np.stack([mean for _, mean, _ in parts]),
        tiles={name: np.stack([tiles[name] for _, _, tiles in parts]) for name in sets},
    )


def draw_trial(
    pool: Pool, count: int, signal: float, confounding: float, seed: int, sets: Sequence[str]
) -> Trial:
    """Draw regions and crime.

    Args:
        pool: regions to draw from.
        count: regions drawn, without replacement.
        signal: strength of the link between what is built and the rate.
        confounding: strength of the regions' effect on the rate.
        seed: of the draw.
        sets: feature sets, of `objects` (true counts), `coordinates`, and those of the tiles.
    """
    rng = np.random.default_rng([seed, 11])
    picked = np.sort(rng.choice(len(pool.counts), count, replace=False))
    strengths = {"signal": signal, "confounding": confounding}
    drawn = redraw_crime(pool.hidden, pool.city.model_copy(update=strengths), seed)
    population = drawn.population[picked].ravel().astype(float)
    region = np.repeat([f"region{n:03d}" for n in range(count)], pool.counts.shape[1])
    plane = np.tile(_plane(pool.city), (count, 1))
    offset = np.repeat(np.arange(count), pool.counts.shape[1])[:, None] * [_APART, 0.0]
    features = {name: _features(pool, picked, name, plane + offset) for name in sets}
    names = {name: [f"{name}{n}_mean" for n in range(v.shape[1])] for name, v in features.items()}
    study = Study(
        area_id=np.array([f"{n:05d}" for n in range(len(region))]),
        region=region,
        rate=np.maximum(drawn.crimes[picked].ravel(), 0.5) / population * 1e5,
        population=population,
        points=plane + offset,
        plane=plane,
        features=features,
        names=names,
        total=len(region),
        elsewhere=np.zeros((0, 2)),
        left_out={},
    )
    return Trial(study, picked, pool.build_mean[picked].ravel())


def _plane(city: CitySettings) -> Floats:
    row, column = np.divmod(np.arange(city.areas_per_side**2), city.areas_per_side)
    return np.column_stack([column, -row]) * (city.area_px * GSD)


def _features(pool: Pool, picked: NDArray[np.int64], name: str, points: Floats) -> Floats:
    if name == "coordinates":
        return coordinate_features(points)
    if name == "objects":
        square_km = (pool.city.area_px * GSD / 1000) ** 2
        return object_features(pool.counts[picked].reshape(len(points), -1) / square_km)
    tiles = np.asarray(pool.tiles[name][picked], float)
    tiles = tiles.reshape(len(points), tiles.shape[2], -1)
    return np.hstack([tiles.mean(axis=1), tiles.std(axis=1)])


def tile_rows(pool: Pool, trial: Trial, name: str) -> tuple[Floats, NDArray[np.int64]]:
    """Return (n T, D) features of a trial's tiles, and the (n T,) area of each."""
    tiles = np.asarray(pool.tiles[name][trial.picked], float)
    each = tiles.shape[2]
    area = np.repeat(np.arange(len(trial.study.rate)), each)
    return tiles.reshape(len(area), -1), area
