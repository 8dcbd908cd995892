"""Rates, shrinkage, zeros, thresholds."""

import numpy as np
import pytest

from urbanssl.crime.rates import (
    implausible_zeros,
    rate_per_100000,
    shrink_by_group,
    shrink_rates,
    zero_chance,
)
from urbanssl.crime.targets import fold_thresholds, high_above, high_labels


def test_rate_is_per_100000_and_unknown_without_people():
    rate = rate_per_100000(np.array([5.0, 1.0]), np.array([1000.0, 0.0]))
    assert rate[0] == 500
    assert np.isnan(rate[1])


def test_small_areas_are_shrunk_more_than_large_ones():
    count, people = np.array([4.0, 400.0, 10.0, 900.0]), np.array([100.0, 1e4, 1e3, 1e5])
    raw, shrunk = rate_per_100000(count, people), shrink_rates(count, people)
    mean = count.sum() / people.sum() * 1e5
    kept = np.abs(shrunk - mean) / np.abs(raw - mean)
    assert kept[0] < kept[2] < kept[1] < 1


def test_shrinkage_lowers_the_error_of_rates_that_are_known():
    rng = np.random.default_rng(0)
    true = rng.gamma(4, 0.005, 500)
    people = rng.integers(50, 2000, 500).astype(float)
    count = rng.poisson(true * people).astype(float)
    raw, shrunk = rate_per_100000(count, people), shrink_rates(count, people)
    assert np.mean((shrunk - true * 1e5) ** 2) < 0.8 * np.mean((raw - true * 1e5) ** 2)


def test_rates_without_real_differences_are_shrunk_to_the_mean():
    people = np.full(50, 1e4)
    count = np.full(50, 100.0)
    assert shrink_rates(count, people) == pytest.approx(np.full(50, 1000.0))


def test_regions_keep_their_own_level():
    people = np.full(4, 1000.0)
    shrunk = shrink_by_group(np.array([1.0, 1, 9, 9]), people, np.array(list("aabb")))
    assert shrunk == pytest.approx([100, 100, 900, 900])


def test_zero_of_many_people_is_not_believed_and_that_of_few_is():
    rng = np.random.default_rng(1)
    people = rng.integers(5000, 50000, 400).astype(float)
    rate = rng.poisson(rng.gamma(2, 0.001, 400) * people) / people * 1e5
    chance = zero_chance(rate, people)
    found = implausible_zeros(np.array([0.0, 0.0, 3.0]), np.array([2e5, 90.0, 2e5]), chance)
    assert found.tolist() == [True, False, False]


@pytest.mark.parametrize("rule", ["median", "tercile", 100.0])
def test_threshold_does_not_change_with_the_rates_of_held_out_areas(rule):
    rng = np.random.default_rng(2)
    rate = rng.lognormal(5, 1, 60)
    training = np.arange(60) < 40
    other = rate.copy()
    other[~training] = rng.lognormal(9, 1, 20)
    before, after = high_labels(rate, training, rule), high_labels(other, training, rule)
    assert high_above(rate, training, rule) == high_above(other, training, rule)
    assert (before[training] == after[training]).all()


def test_every_fold_has_its_own_threshold():
    rate = np.array([1.0, 2.0, 10.0, 20.0])
    train = np.array([[True, True, False, False], [False, False, True, True]])
    assert fold_thresholds(rate, train, "median").tolist() == [1.5, 15.0]
