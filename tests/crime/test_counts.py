"""Counts of crimes with people as exposure."""

import numpy as np
import pytest

from urbanssl.crime.counts import Counted, deviance, fit_counts, held_out_rate
from urbanssl.crime.folds import region_folds
from urbanssl.crime.held_out import make_target, predict_held_out
from urbanssl.crime.intervals import resample_regions
from urbanssl.crime.scores import count_row


def drawn(family, areas=600, slope=0.8, spread=0.5, seed=0):
    """Counts of areas of 50 to 5,000 people whose log rate rises with the first column."""
    rng = np.random.default_rng(seed)
    inputs, people = rng.normal(size=(areas, 3)), rng.uniform(50, 5000, areas)
    rate = 0.02 * np.exp(slope * inputs[:, 0])
    if family == "negative_binomial":
        rate = rate * rng.gamma(1 / spread, spread, areas)
    return inputs, Counted(rng.poisson(rate * people).astype(float), people, family)


@pytest.mark.parametrize("family", ["poisson", "negative_binomial"])
def test_slope_and_level_of_the_log_rate_are_found(family):
    inputs, counted = drawn(family)
    beta = fit_counts(inputs, counted, 1e-6, counted.dispersion())
    assert beta == pytest.approx([0.8, 0, 0, np.log(0.02)], abs=0.12)


def test_without_a_penalty_expected_crimes_add_up_to_those_counted():
    inputs, counted = drawn("poisson")
    beta = fit_counts(inputs, counted, 1e-9, 0.0)
    expected = counted.people * np.exp(inputs @ beta[:-1] + beta[-1])
    assert expected.sum() == pytest.approx(counted.count.sum(), rel=1e-4)


def test_people_are_exposure_and_no_feature():
    """Areas split in two say the same as the whole ones."""
    inputs, whole = drawn("poisson")
    halves = Counted(np.repeat(whole.count / 2, 2), np.repeat(whole.people / 2, 2), "poisson")
    one = fit_counts(inputs, whole, 1e-9, 0.0)
    two = fit_counts(np.repeat(inputs, 2, axis=0), halves, 1e-9, 0.0)
    assert one == pytest.approx(two, abs=1e-3)


def test_spread_beyond_poisson_is_measured_and_poisson_has_none():
    rng = np.random.default_rng(1)
    people = np.full(4000, 1000.0)
    rate = 0.02 * rng.gamma(2, 0.5, 4000)
    counts = rng.poisson(rate * people).astype(float)
    assert Counted(counts, people, "negative_binomial").dispersion() == pytest.approx(0.5, abs=0.06)
    assert Counted(counts, people, "poisson").dispersion() == 0


def test_deviance_is_nothing_where_counts_are_as_expected_and_agrees_with_poisson():
    count, expected = np.array([0.0, 3.0, 10.0]), np.array([2.0, 3.0, 5.0])
    poisson = 2 * (np.array([0, 3 * np.log(1), 10 * np.log(2)]) - (count - expected))
    assert deviance(count, expected, 0.0) == pytest.approx(poisson, abs=1e-6)
    assert deviance(expected, expected, 0.7) == pytest.approx(np.zeros(3), abs=1e-9)


def test_noise_is_shrunk_to_the_common_rate():
    rng = np.random.default_rng(2)
    inputs, people = rng.normal(size=(200, 20)), rng.uniform(500, 5000, 200)
    counted = Counted(rng.poisson(0.01 * people).astype(float), people, "negative_binomial")
    rate, _ = held_out_rate(inputs, inputs, counted, np.arange(200) % 4, [600.0, 60.0, 6.0, 0.6])
    assert rate == pytest.approx(np.full(200, counted.rate), rel=0.15)


def test_counts_of_held_out_regions_are_predicted_and_do_not_change_the_model():
    inputs, counted = drawn("negative_binomial", areas=240)
    region = np.repeat(np.arange(4), 60)
    rate = counted.count / counted.people * 1e5
    target = make_target(rate, region_folds(region), "median")
    found = predict_held_out(inputs, target, False, 0, counted)
    resamples = resample_regions(region, 100, np.random.default_rng(0))
    row = count_row("swav", found.counted, counted, target, resamples)
    assert row["model"] == "negative_binomial"
    low, high = row["deviance_explained_interval"]
    assert 0 < low < row["deviance_explained"] < high
    assert row["deviance_explained"] > 0.25
    assert row["spearman"] > 0.5
    other = counted.count.copy()
    other[region == 2] *= 50
    again = predict_held_out(
        inputs, target, False, 0, Counted(other, counted.people, counted.family)
    )
    held = region == 2
    assert np.array_equal(found.counted.rate[held], again.counted.rate[held])
    assert not np.array_equal(found.counted.rate[~held], again.counted.rate[~held])
