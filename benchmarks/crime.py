"""Time and memory of the whole evaluation: `python benchmarks/crime.py [areas] [sets] [width]`.

The demand: 3,000 areas x 8 feature sets x 4 schemes with 1,000 resamples and 1,000 permutations in
at most 10 minutes on 2 cores and 4 GB.
"""

import resource
import sys
import time

import numpy as np

from urbanssl.crime.baselines import coordinate_features
from urbanssl.crime.judge import evaluate
from urbanssl.crime.study import Study
from urbanssl.settings import CrimeSettings


def made_up(areas: int, sets: int, width: int) -> Study:
    """A study of ten square towns with features of noise and one signal."""
    rng = np.random.default_rng(0)
    region = np.repeat([f"town{n}" for n in range(10)], areas // 10)
    count = len(region)
    side = int(np.ceil(np.sqrt(areas // 10)))
    place = np.arange(count) % (areas // 10)
    plane = np.column_stack(np.divmod(place, side)) * 500.0
    points = plane + 1e6 * np.arange(10).repeat(areas // 10)[:, None]
    signal = rng.normal(size=count)
    rate = np.exp(5 + signal + rng.normal(size=count))
    population = rng.integers(500, 5000, count).astype(float)
    names = ["objects", "swav", "mae", "detr", "vitdet", "rcf", "histogram", "texture"][: sets - 1]
    features = {name: rng.normal(size=(count, width)) for name in names}
    # Sixteen classes of objects, five statistics of each, as pooling writes them.
    features["objects"] = rng.exponential(size=(count, 80))
    for values in features.values():
        values[:, 0] += signal
    features["coordinates"] = coordinate_features(points)
    columns = {name: [f"f{n}_mean" for n in range(v.shape[1])] for name, v in features.items()}
    statistics = ("mean", "std", "q10", "q90", "max")
    columns["objects"] = [f"class{n}_{what}" for what in statistics for n in range(16)]
    return Study(
        area_id=np.array([f"{n:05d}" for n in range(count)]),
        region=region,
        rate=rate,
        population=population,
        points=points,
        plane=plane,
        features=features,
        names=columns,
        total=count,
        elsewhere=np.zeros((0, 2)),
        left_out={},
        count=rng.poisson(rate * population / 1e5).astype(float),
    )


if __name__ == "__main__":
    given = [int(text) for text in sys.argv[1:]]
    areas, sets, width = [*given, 3000, 8, 256][: len(given)] + [3000, 8, 256][len(given) :]
    study = made_up(areas, sets, width)
    started = time.perf_counter()
    evaluate(study, CrimeSettings(bootstrap=1000, permutations=1000), 0)
    seconds, worked = time.perf_counter() - started, time.process_time()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(
        f"{areas} areas, {sets} sets of {width}: {seconds:.0f} s ({worked:.0f} s of a core), "
        f"{memory:.1f} GB"
    )
