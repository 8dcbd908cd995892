"""How fast the embedded city is drawn, in megapixels a second.

Run `python benchmarks/city.py [--processes 2] [--repeats 3]`. The first, uncounted city compiles
the kernels or loads them from the cache. Wall time is what a user waits; megapixels a second of
CPU time, times the processes, is what it would be if nothing else ran.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

from urbanssl.settings import CitySettings
from urbanssl.synthetic.city import draw_city


def main() -> None:
    """Draw the city a few times and print the best and all figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    city = CitySettings()
    megapixels = city.regions * (city.areas_per_side * city.area_px) ** 2 / 1e6
    draw_once(CitySettings(regions=2, labelled_regions=1, areas_per_side=2), asked.processes)
    print(f"default city: {megapixels:.1f} megapixels in {city.regions} scenes")
    best = 0.0
    for _ in range(asked.repeats):
        wall, busy = draw_once(city, asked.processes)
        best = max(best, megapixels / wall)
        print(
            f"  {wall:.2f} s: {megapixels / wall:.1f} MP/s with {asked.processes} processes "
            f"({megapixels / busy:.1f} MP per CPU second)"
        )
    print(f"best: {best:.1f} MP/s")


def draw_once(city: CitySettings, processes: int) -> tuple[float, float]:
    """Draw a city; return wall and CPU seconds (this process and its children)."""
    with tempfile.TemporaryDirectory() as folder:
        before, start = os.times(), time.perf_counter()
        draw_city(city, 0, Path(folder), processes)
        wall, after = time.perf_counter() - start, os.times()
    return wall, sum(after[:4]) - sum(before[:4])


if __name__ == "__main__":
    main()
