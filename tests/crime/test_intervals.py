"""Intervals of scores: whole regions are resampled, and learning without them counts."""

import numpy as np
import pytest

from urbanssl.crime.intervals import (
    MOST_GROUPS,
    block_weights,
    difference,
    influence,
    interval,
    resample_regions,
)
from urbanssl.crime.linear import fit_logistic, fit_ridge
from urbanssl.crime.refits import logistic_without, ridge_without
from urbanssl.crime.scores import left_out


def draws_of(groups, rng):
    return resample_regions(np.arange(groups), 400, rng).counts


def scores_of_pairs(groups, width, rng):
    """A worthless model: each region is told apart by how alike it happens to be to the others."""
    place = rng.normal(size=(groups, width))
    alike = place @ place.T
    np.fill_diagonal(alike, 0)
    region = alike.sum(axis=1) / (groups - 1)
    kept = [region.mean(), *(np.delete(region, g).mean() for g in range(groups))]
    total, pairs = alike.sum(), (groups - 1) * (groups - 2)
    refitted = [kept[0], *((total - 2 * alike[g].sum()) / pairs for g in range(groups))]
    return np.array([kept, refitted])


def jackknife(scores):
    groups = scores.shape[1] - 1
    return (groups - 1) ** 2 * scores[:, 1:].var(axis=1) / (groups - 1)


def test_variance_of_scores_made_of_pairs_of_regions_lies_between_half_and_twice_of_it():
    rng = np.random.default_rng(0)
    drawn = [scores_of_pairs(12, 20, rng) for _ in range(600)]
    truth = np.var([scores[0, 0] for scores in drawn])
    kept, refitted = np.mean([jackknife(scores) for scores in drawn], axis=0) / truth
    taken = np.mean([influence(scores).var() / 11 for scores in drawn]) / truth
    assert 0.35 < kept < 0.6
    assert 1.7 < refitted < 2.6
    assert 0.8 < taken < 1.2


@pytest.mark.parametrize("groups", [4, 8])
def test_interval_of_a_worthless_model_covers_the_truth(groups):
    rng = np.random.default_rng(1)
    counts = draws_of(groups, rng)
    found = [interval(scores_of_pairs(groups, 6, rng), counts) for _ in range(400)]
    assert 0.9 <= np.mean([low <= 0 <= high for low, high in found]) <= 0.98


@pytest.mark.parametrize("groups", [5, 20])
def test_interval_of_regions_that_differ_by_themselves_covers_the_truth(groups):
    rng = np.random.default_rng(2)
    counts, covered = draws_of(groups, rng), []
    for _ in range(400):
        region = rng.normal(0.8, 0.05, groups)
        kept = [region.mean(), *(np.delete(region, g).mean() for g in range(groups))]
        low, high = interval(np.array([kept, kept]), counts)
        covered.append(low <= 0.8 <= high)
    assert 0.9 <= np.mean(covered) <= 0.98


def test_fewer_than_three_regions_or_no_value_give_no_interval():
    counts = draws_of(5, np.random.default_rng(0))
    assert interval(np.full((2, 3), 0.6), counts[:, :2]) == [None, None]
    assert interval(np.full((2, 6), np.nan), counts) == [None, None]


def test_interval_stays_within_the_values_a_score_can_have():
    scores = np.array([[0.9, 0.99, 0.95, 0.8, 0.85, 0.91]] * 2)
    low, high = interval(scores, draws_of(5, np.random.default_rng(0)), (0.0, 1.0))
    assert high == 1.0
    assert low < 0.9


def test_models_that_are_not_fitted_again_are_taken_to_hide_half_their_variance():
    region = np.repeat(np.arange(7), 10)
    drawn = resample_regions(region, 300, np.random.default_rng(0))
    predicted = np.random.default_rng(1).normal(size=70)
    scores = left_out(lambda p, present: present @ p / 70, predicted, None, drawn)
    assert influence(scores).var() / 6 == pytest.approx(2 * jackknife(scores)[0])


def test_difference_of_two_scores_that_change_alike_is_sharp():
    one = np.array([[0.9, 0.99, 0.95, 0.8, 0.85, 0.91]] * 2)
    counts = draws_of(5, np.random.default_rng(0))
    assert difference(one, one - 0.1, counts)["interval"] == pytest.approx([0.1, 0.1])


def test_many_regions_are_left_out_in_groups_of_like_size():
    region = np.repeat(np.arange(60), np.arange(1, 61))
    found = resample_regions(region, 100, np.random.default_rng(0))
    sizes = np.bincount(found.group)
    assert len(sizes) == MOST_GROUPS
    assert sizes.max() - sizes.min() <= 60
    assert all(len(np.unique(found.group[region == name])) == 1 for name in range(60))
    assert (found.present[1:].sum(axis=1) == len(region) - sizes).all()
    assert (found.counts.sum(axis=1) == MOST_GROUPS).all()


def test_models_without_a_region_are_those_fitted_without_it():
    rng = np.random.default_rng(3)
    inputs, group = rng.normal(size=(240, 5)), np.repeat(np.arange(8), 30)
    value = inputs @ rng.normal(size=5) + rng.normal(size=240) + 8
    label = (value > np.median(value)).astype(float)
    beta = fit_logistic(inputs, label, 20.0)
    stepped = logistic_without(inputs, label, 20.0, beta, group, 8)
    exact = ridge_without(inputs, value, 20.0, group, 8)
    for number in range(8):
        rest = group != number
        wanted = fit_logistic(inputs[rest], label[rest], 20.0)
        assert np.abs(stepped[number] - wanted).max() < 0.1 * np.abs(beta - wanted).max() + 1e-3
        assert np.abs(beta - wanted).max() > 0.02
        assert exact[number] == pytest.approx(fit_ridge(inputs[rest], value[rest], 20.0), abs=1e-4)


def test_blocks_are_drawn_whole_and_within_their_region():
    region = np.repeat(["a", "b"], 30)
    blocks = np.arange(60) // 5
    weights = block_weights(blocks, region, 200, np.random.default_rng(0))
    assert (weights.reshape(200, 12, 5).std(axis=2) == 0).all()
    assert (weights[:, :30].sum(axis=1) == 30).all()
