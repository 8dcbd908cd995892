"""Exchanged rates that stay as smooth as the real ones."""

import numpy as np
import pytest
from towns import smooth

from urbanssl.crime.folds import region_folds
from urbanssl.crime.moran import morans_i, neighbour_weights
from urbanssl.crime.permutation import p_value, shuffles
from urbanssl.crime.surrogates import alike_exchanges, labelings, refitted_auc


def towns_of(rng, regions=4, side=8):
    east, north = np.divmod(np.arange(side * side), side)
    points = [np.column_stack([east + 1000 * n, north]) * 100.0 for n in range(regions)]
    region = np.repeat(np.arange(regions), side * side)
    return np.concatenate(points), region


def test_exchanges_stay_within_regions_and_keep_smoothness():
    rng = np.random.default_rng(0)
    points, region = towns_of(rng)
    field = np.concatenate([smooth(8, rng, 2) for _ in range(4)])
    places = alike_exchanges(field, points, region, 50, rng)
    assert (np.sort(places, axis=1) == np.arange(256)).all()
    assert (region[places] == region).all()
    near = neighbour_weights(points, region)
    real = morans_i(field[None], near)[0]
    kept = morans_i(field[places], near).mean()
    free = morans_i(field[shuffles(region, 50, rng)], near).mean()
    assert kept > 0.7 * real
    assert free < 0.4 * real


def test_exchanges_differ_from_each_other_and_from_the_real_rates():
    rng = np.random.default_rng(1)
    points, region = towns_of(rng)
    field = np.concatenate([smooth(8, rng, 2) for _ in range(4)])
    places = alike_exchanges(field, points, region, 20, rng)
    alike = np.corrcoef(np.vstack([field, field[places]]))
    assert np.abs(alike[np.triu_indices(21, 1)]).mean() < 0.5


def test_test_keeps_its_level_on_noise_when_models_share_areas():
    chances = []
    for seed in range(120):
        rng = np.random.default_rng(seed)
        points, region = towns_of(rng, side=5)
        rate, features = rng.lognormal(5, 1, 100), rng.normal(size=(100, 6))
        scheme = region_folds(region)
        places = alike_exchanges(np.log(rate), points, region, 99, rng)
        seen = refitted_auc(features, scheme, labelings(scheme, rate[None], "median"))[0]
        chances.append(
            p_value(seen, refitted_auc(features, scheme, labelings(scheme, rate[places], "median")))
        )
    assert np.mean(np.array(chances) <= 0.05) <= 0.11


@pytest.mark.parametrize("rule", ["median", "tercile", 150.0])
def test_signal_is_significant_by_every_threshold(rule):
    rng = np.random.default_rng(2)
    points, region = towns_of(rng)
    features = rng.normal(size=(256, 5))
    rate = np.exp(5 + features[:, 1])
    places = alike_exchanges(np.log(rate), points, region, 199, rng)
    scheme = region_folds(region)
    seen = refitted_auc(features, scheme, labelings(scheme, rate[None], rule))[0]
    assert seen > 0.9
    assert (
        p_value(seen, refitted_auc(features, scheme, labelings(scheme, rate[places], rule)))
        == 1 / 200
    )
