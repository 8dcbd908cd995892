"""Logistic regression that does not hang on one penalty, and says no more than it knows."""

import numpy as np
import pytest
from scipy.special import expit, logit

from urbanssl.crime.folds import Scheme
from urbanssl.crime.held_out import make_target, predict_held_out
from urbanssl.crime.linear import (
    SCALES,
    apply,
    choose_scale,
    fit_basis,
    fit_logistic,
    fit_path,
    inner_scores,
    model_weights,
    penalties,
    scaled,
)


@pytest.fixture
def areas():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(160, 6))
    odds = features @ rng.normal(size=6)
    return features, odds, rng.random(160) < expit(odds)


def test_a_path_is_the_model_of_each_penalty(areas):
    features, _, high = areas
    label, grid = high.astype(float), [300.0, 30.0, 3.0, 0.3]
    path = fit_path(features, label, grid)
    for beta, penalty in zip(path, grid, strict=True):
        assert beta == pytest.approx(fit_logistic(features, label, penalty), abs=2e-3)
    lengths = np.linalg.norm(path[:, :-1], axis=1)
    assert (np.diff(lengths) > 0).all()


def test_inner_scores_are_those_of_models_that_did_not_see_the_area(areas):
    features, _, high = areas
    label, grid, inner = high.astype(float), [30.0, 3.0], np.arange(160) % 4
    found = inner_scores(features, label, inner, grid)
    turned = label.copy()
    turned[inner == 2] = 1 - turned[inner == 2]
    again = inner_scores(features, turned, inner, grid)
    assert found.shape == (2, 160)
    assert np.array_equal(found[:, inner == 2], again[:, inner == 2])
    assert not np.allclose(found[:, inner != 2], again[:, inner != 2])


def test_models_weigh_by_the_loss_of_groups_not_of_areas():
    label = np.tile([0.0, 1.0], 50)
    scores = np.vstack([2 * label - 1, 0 * label])
    losses = np.log1p(np.exp([-1.0, 0.0]))
    for groups in (2, 10, 100):
        weights = model_weights(scores, label, groups)
        assert weights.sum() == pytest.approx(1)
        assert weights[0] / weights[1] == pytest.approx(np.exp(groups * (losses[1] - losses[0])))


def test_log_odds_shrink_where_they_say_too_much_and_grow_where_they_say_too_little():
    rng = np.random.default_rng(1)
    odds = 1.5 * rng.normal(size=4000)
    label = (rng.random(4000) < expit(odds)).astype(float)
    assert choose_scale(odds, label) == 1.0
    assert choose_scale(odds * 4, label) == 0.25
    assert choose_scale(odds / 2, label) == 2.0
    assert choose_scale(rng.normal(size=4000) * 3, label) == min(SCALES)


def test_scaled_log_odds_keep_their_order_and_end_at_the_share(areas):
    features, _, _ = areas
    beta = np.array([0.4, -1.0, 2.0, 0.1, 0.0, 0.3, -0.7])
    before, after = (apply(features, b) for b in (beta, scaled(beta, 0.25, 0.2)))
    assert np.array_equal(np.argsort(before), np.argsort(after))
    assert expit(apply(features, scaled(beta, 0.0, 0.2))) == pytest.approx(np.full(160, 0.2))
    assert after - logit(0.2) == pytest.approx(0.25 * (before - logit(0.2)))


def test_what_is_predicted_is_the_weighted_mean_over_all_penalties(areas):
    features, odds, _ = areas
    fold = np.arange(160) // 40
    scheme = Scheme("region", fold, fold != np.arange(4)[:, None], fold, "")
    target = make_target(np.exp(odds), scheme, "median")
    found = predict_held_out(features, target, boosting=False, seed=0)
    for number in range(4):
        train, held = fold != number, fold == number
        basis = fit_basis(features[train])
        inside, outside = basis.project(features[train]), basis.project(features[held])
        label = target.training_labels(number)[train]
        numbers, grid = label.astype(float), penalties(basis, train.sum())
        inner = inner_scores(inside, numbers, scheme.inner(number)[train], grid)
        models = [fit_logistic(inside, numbers, penalty) for penalty in grid]
        mean = apply(outside, model_weights(inner, numbers, groups=3) @ np.array(models))
        said = logit(found.logistic[held])
        ratio = (said - logit(label.mean())) / (mean - logit(label.mean()))
        assert ratio == pytest.approx(np.full(40, ratio[0]), rel=0.02)
        assert min(abs(ratio[0] / scale - 1) for scale in SCALES) < 0.02
