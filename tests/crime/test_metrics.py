"""Scores and their resamples."""

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import balanced_accuracy_score, brier_score_loss, r2_score, roc_auc_score

from urbanssl.crime import metrics
from urbanssl.crime.permutation import p_value, permuted_auc, shuffles


@pytest.fixture
def drawn():
    rng = np.random.default_rng(0)
    label = rng.random(80) > 0.4
    score = np.round(rng.random(80) + 0.3 * label, 1).clip(0, 1)
    return score, label, rng.integers(0, 4, 80), rng


def test_scores_agree_with_scikit_learn(drawn):
    score, label, _, _ = drawn
    once, together = np.ones((1, 80)), np.zeros(80, int)
    assert metrics.auc(score, label, together, once)[0] == pytest.approx(
        roc_auc_score(label, score)
    )
    assert metrics.balanced_accuracy(score, label, once)[0] == pytest.approx(
        balanced_accuracy_score(label, score > 0.5)
    )
    assert metrics.brier(score, label, once)[0] == pytest.approx(brier_score_loss(label, score))
    values = score + 1
    guess = np.full(80, values.mean())
    assert metrics.r2(score, values, guess, once)[0] == pytest.approx(r2_score(values, score))
    assert metrics.spearman(score, values**3, together, once)[0] == pytest.approx(
        spearmanr(score, values**3).statistic
    )


def test_weight_two_is_the_area_twice(drawn):
    score, label, fold, rng = drawn
    times = rng.integers(0, 4, 80)
    twice = np.repeat(np.arange(80), times)
    weighted = metrics.auc(score, label, fold, times[None].astype(float))[0]
    repeated = metrics.auc(score[twice], label[twice], fold[twice], np.ones((1, len(twice))))[0]
    assert weighted == pytest.approx(repeated)


def test_areas_of_different_folds_are_not_compared():
    score, label = np.array([0.1, 0.2, 0.8, 0.9]), np.array([False, True, False, True])
    once = np.ones((1, 4))
    assert metrics.auc(score, label, np.array([0, 0, 1, 1]), once)[0] == 1
    assert metrics.auc(score, label, np.zeros(4, int), once)[0] == 0.75


def test_fold_of_one_class_gives_no_pairs_and_no_value():
    once = np.ones((1, 4))
    label = np.array([True, True, False, False])
    found = metrics.auc(np.arange(4.0), label, np.array([0, 0, 1, 1]), once)
    assert np.isnan(found[0])


def test_areas_are_exchanged_within_their_region_only():
    region = np.repeat([0, 1, 2], 20)
    places = shuffles(region, 50, np.random.default_rng(0))
    assert (region[places] == region).all()
    assert (np.sort(places, axis=1) == np.arange(60)).all()


def test_permuted_auc_is_the_auc_of_the_permuted_labels(drawn):
    score, label, fold, rng = drawn
    labels = np.stack([rng.permutation(label) for _ in range(5)])
    once = np.ones((1, 80))
    expected = [metrics.auc(score, row, fold, once)[0] for row in labels]
    assert permuted_auc(score, labels, fold) == pytest.approx(expected)


def test_p_value_of_a_score_without_meaning_is_uniform():
    rng = np.random.default_rng(3)
    region = np.repeat(np.arange(4), 25)
    chances = []
    for _ in range(200):
        score, label = rng.random(100), rng.random(100) > 0.5
        labels = label[shuffles(region, 99, rng)]
        seen = metrics.auc(score, label, region, np.ones((1, 100)))[0]
        chances.append(p_value(seen, permuted_auc(score, labels, region)))
    assert 0.005 <= np.mean(np.array(chances) <= 0.05) <= 0.1
