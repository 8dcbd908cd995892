"""Proof that the judge is right both ways: `python -m urbanssl.crime.validation`.

Cities whose truth is known are drawn hundreds of times; what the verdict says of them is counted
and written as a page. The rules are those that every report is made by; two of them, how models
with different penalties are averaged and how both variances of a score are combined, were chosen
on draws of seeds 1 and 2, and after a look at one figure of seed 0.
"""

from __future__ import annotations

import argparse
import datetime
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

import torch

from urbanssl.artifacts import written_whole
from urbanssl.crime.trial_city import (
    Pool,
    RegionParts,
    TileFunctions,
    cheap_functions,
    draw_pool_hidden,
    draw_trial,
    gather_pool,
    pool_settings,
    region_parts,
    training_tiles,
)
from urbanssl.crime.trial_network import learned, pretrain
from urbanssl.crime.trials import Outcome, Trials, careless_tiles, judge_trial
from urbanssl.crime.validation_page import page
from urbanssl.crime.validation_real import real_checks
from urbanssl.settings import CrimeSettings
from urbanssl.synthetic.scene import load_kernels

#: Every feature set of a trial: the true counts, learned features, and what they must beat.
SETS = ("objects", "mae", "coordinates", "rcf", "histogram", "texture")
#: Feature sets of tiles that a careless study might take.
TILE_SETS = ("mae", "rcf", "histogram", "texture")
#: Regions whose imagery is drawn, and those of which only the truth is needed.
DRAWN, COUNTED = 120, 200
#: Resamples and exchanges of a trial: fewer than a report's, the same rules.
RULES = CrimeSettings.model_validate({"bootstrap": 400, "permutations": 200})


def plans(draws: int) -> dict[str, Trials]:
    """Return the kinds of cities, by how the figures call them."""
    few = max(2, draws // 10)
    return {
        "null": Trials("no link", 8, 0.0, 0.0, SETS, draws),
        "signal": Trials("a link, many regions", 24, 1.0, 0.5, ("objects",), draws),
        "sets": Trials("a link, every feature set", 8, 1.0, 0.5, SETS, draws),
        "power": Trials("a link, every feature set, many regions", 24, 1.0, 0.5, SETS, few),
        "confounded": Trials("only the regions differ", 8, 0.0, 1.0, SETS, max(2, draws // 2)),
    }


Item = TypeVar("Item")
Result = TypeVar("Result")

_POOLS: dict[bool, Pool] = {}


def _share(pools: dict[bool, Pool]) -> None:
    """Hand the pools to a process that was forked, once."""
    torch.set_num_threads(1)
    _POOLS.update(pools)


def _one(plan: Trials, careless: bool, seed: int) -> tuple[Outcome, dict[str, float]]:
    """Judge one trial; with it the lower ends of the intervals that careless studies report."""
    pool = _POOLS[len(plan.sets) > 1]
    trial = draw_trial(pool, plan.regions, plan.signal, plan.confounding, seed, plan.sets)
    outcome = judge_trial(trial, RULES, seed)
    lows = {}
    if careless:
        for name in TILE_SETS:
            low = careless_tiles(pool, trial, name, seed)[0]
            lows[name] = float("nan") if low is None else low
    return outcome, lows


def _map(
    function: Callable[[Item], Result],
    items: Sequence[Item],
    processes: int,
    pools: dict[bool, Pool],
) -> list[Result]:
    if processes == 1:
        _share(pools)
        return [function(item) for item in items]
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(processes, context, _share, (pools,)) as pool:
        return list(pool.map(function, items))


def make_pools(drawn: int, counted: int, seed: int, processes: int) -> dict[bool, Pool]:
    """Return the pool with imagery (True) and the larger one of true counts alone (False)."""
    load_kernels()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        city = pool_settings(drawn)
        hidden = draw_pool_hidden(city, seed)
        tiles = training_tiles(city, hidden, seed)
        network = partial(learned, weights=pretrain(tiles, seed, Path(folder)))
        functions: TileFunctions = {**cheap_functions(tiles, seed), "mae": network}
        imagery = _pool(drawn, seed, processes, functions)
    return {True: imagery, False: _pool(counted, seed, processes, {})}


def _pool(count: int, seed: int, processes: int, functions: TileFunctions) -> Pool:
    city = pool_settings(count)
    hidden = draw_pool_hidden(city, seed)
    build: Callable[[int], RegionParts] = partial(
        _part, city=city, hidden=hidden, seed=seed, functions=functions
    )
    parts = _map(build, list(range(1, count + 1)), processes, {})
    return gather_pool(city, hidden, parts)


def _part(number: int, **given: object) -> RegionParts:
    return region_parts(number=number, **given)  # type: ignore[arg-type]


def run(
    draws: int, seed: int, processes: int, drawn: int = DRAWN, counted: int = COUNTED
) -> dict[str, list[tuple[Outcome, dict[str, float]]]]:
    """Draw and judge every kind of city.

    Args:
        draws: of the cities without and with a link; fewer of the others.
        seed: of pools and draws.
        processes: that share the draws.
        drawn: regions with imagery, at least 24.
        counted: regions of true counts alone, at least 24.

    Returns:
        kind of city -> outcome of each draw, and the careless studies' lower ends (no link only).
    """
    pools = make_pools(drawn, counted, seed, processes)
    seeds = [seed * 100_003 + number for number in range(draws)]
    return {
        name: _map(partial(_one, plan, name == "null"), seeds[: plan.draws], processes, pools)
        for name, plan in plans(draws).items()
    }


def main() -> None:
    """Run everything and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=200, help="draws of a kind of city")
    parser.add_argument("--seed", type=int, default=0, help="of pools and draws")
    parser.add_argument("--processes", type=int, default=2, help="that share the draws")
    parser.add_argument(
        "--data",
        type=Path,
        default=Path(os.environ.get("URBANSSL_DATA", "../shared/data")),
        help="folder of the real crime tables and seed tiles",
    )
    parser.add_argument("--page", type=Path, default=Path("docs/validation/crime.md"))
    given = parser.parse_args()
    started = time.perf_counter()
    given.page.parent.mkdir(parents=True, exist_ok=True)
    real = ["Not tried: the folder of real tables is not there."]
    if given.data.is_dir():
        real = real_checks(given.data, given.page.parent)
    found = run(given.draws, given.seed, given.processes)
    minutes = (time.perf_counter() - started) / 60
    made = (
        f"Written on {datetime.datetime.now(datetime.UTC):%Y-%m-%d} by `python -m "
        f"urbanssl.crime.validation {' '.join(sys.argv[1:])}`: seed {given.seed}, "
        f"{minutes:.0f} minutes in {given.processes} processes, {DRAWN} regions with imagery and "
        f"{COUNTED} of true counts alone."
    )
    text, passed = page(found, plans(given.draws), real, made)
    with written_whole(given.page) as temporary:
        temporary.write_text(text)
    sys.stdout.write(text)
    if not passed:
        raise SystemExit("a demand is not met: see the page")


if __name__ == "__main__":
    main()
