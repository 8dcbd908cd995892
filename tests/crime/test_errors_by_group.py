"""What stands behind a score: calibration, errors by group, groups of alike features."""

import numpy as np
import pytest

from urbanssl.crime.folds import region_folds
from urbanssl.crime.held_out import HeldOut, make_target
from urbanssl.crime.importance import base_name, correlated_groups
from urbanssl.crime.scores import errors_by, reliability


def test_reliability_tells_honest_chances_from_boastful_ones():
    rng = np.random.default_rng(0)
    chance = rng.uniform(size=4000)
    high = rng.uniform(size=4000) < chance
    honest = reliability(chance, high)
    boast = reliability(np.where(chance > 0.5, 0.99, 0.01), high)
    assert sum(row["areas"] for row in honest) == 4000
    assert all(abs(row["predicted"] - row["observed"]) < 0.07 for row in honest)
    assert max(abs(row["predicted"] - row["observed"]) for row in boast) > 0.2


def test_errors_of_each_group_are_its_own():
    rng = np.random.default_rng(1)
    region = np.repeat(["east", "west"], 40)
    target = make_target(rng.lognormal(5, 1, 80), region_folds(region), "median")
    right = np.where(target.high, 0.9, 0.1)
    chance = np.where(region == "east", right, 1 - right)
    ridge = target.value + np.where(region == "east", 0.0, 0.5)
    found = HeldOut(chance, None, ridge, 0.5, np.zeros((2, 1)))
    east, west = errors_by(region, found, target)
    assert (east["group"], east["auc"], west["auc"]) == ("east", 1, 0)
    assert east["brier"] == pytest.approx(0.01)
    assert west["brier"] == pytest.approx(0.81)
    assert east["mean_error_log_rate"] == pytest.approx(0)
    assert west["mean_error_log_rate"] == pytest.approx(0.5)
    assert east["areas"] == west["areas"] == 40


def test_alike_features_are_exchanged_together():
    rng = np.random.default_rng(2)
    sources = rng.normal(size=(200, 3))
    features = np.repeat(sources, 12, axis=1) + 0.1 * rng.normal(size=(200, 36))
    groups = correlated_groups(features, [f"swav{n}_mean" for n in range(36)], most=3)
    assert sorted(sorted(members.tolist()) for members in groups.values()) == [
        list(range(12)),
        list(range(12, 24)),
        list(range(24, 36)),
    ]


def test_statistics_of_one_object_class_stay_together():
    names = ["plane_mean", "ship_mean", "plane_std", "ship_std", "plane_min"]
    groups = correlated_groups(np.random.default_rng(3).normal(size=(50, 5)), names)
    assert {name: members.tolist() for name, members in groups.items()} == {
        "plane": [0, 2, 4],
        "ship": [1, 3],
    }
    assert base_name("swimming-pool_q90") == "swimming-pool"
