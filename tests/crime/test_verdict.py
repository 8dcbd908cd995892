"""The rules of the verdict."""

import numpy as np

from urbanssl.crime.verdict import Evidence, place_explains, refusals, verdict, words_for
from urbanssl.settings import CrimeSettings

GOOD = {"coordinates": [0.05, 0.2], "rcf": [0.01, 0.2]}


def test_all_conditions_met_is_a_claim_of_association():
    claim, words = words_for("mae", Evidence(0.8, [0.7, 0.9], 0.002, GOOD))
    assert claim
    assert "is associated with" in words


def test_interval_that_touches_one_half_is_no_claim():
    assert not words_for("mae", Evidence(0.6, [0.49, 0.7], 0.002, GOOD))[0]


def test_not_better_than_a_baseline_is_said_by_its_name():
    paired = {"coordinates": [-0.01, 0.2], "rcf": [0.01, 0.2]}
    claim, words = words_for("mae", Evidence(0.8, [0.7, 0.9], 0.002, paired))
    assert not claim
    assert "not better than location alone." in words


def test_permutation_that_does_as_well_is_no_claim():
    assert not words_for("mae", Evidence(0.8, [0.7, 0.9], 0.06, GOOD))[0]


def test_missing_interval_is_no_claim():
    assert not words_for("mae", Evidence(0.8, [None, None], 0.002, GOOD))[0]


def test_claim_rests_on_the_set_chosen_beforehand_alone():
    evidence = {
        "swav": Evidence(0.5, [0.4, 0.6], 0.5, GOOD),
        "mae": Evidence(0.8, [0.7, 0.9], 0.002, GOOD),
    }
    assert not verdict("swav", evidence)["claim"]
    assert verdict("mae", evidence)["claim"]


def test_too_few_areas_and_regions_are_both_named():
    rate = np.array([1.0, 2.0])
    reasons = refusals(rate, np.array(["a", "b"]), 2, CrimeSettings())
    assert any("at least 30" in reason for reason in reasons)
    assert any("2 regions; at least 3" in reason for reason in reasons)
    assert any("same thing as the region" in reason for reason in reasons)


def test_regions_of_one_class_do_not_count():
    rng = np.random.default_rng(0)
    region = np.repeat(["a", "b", "c"], 20)
    rate = np.concatenate([rng.uniform(0, 10, 20), rng.uniform(20, 30, 20), rng.uniform(0, 30, 20)])
    rate[:20] = 1.0
    reasons = refusals(rate, region, 60, CrimeSettings())
    assert any("gives the answer away" in reason for reason in reasons)


def test_enough_mixed_regions_are_not_refused():
    rate = np.random.default_rng(0).lognormal(size=60)
    assert refusals(rate, np.repeat(["a", "b", "c"], 20), 60, CrimeSettings()) == []


def test_location_that_does_as_well_is_said():
    assert "location alone does as well" in str(place_explains([0.7, 0.9], [-0.1, 0.1], 0.8))
    assert place_explains([0.4, 0.6], [-0.1, 0.1], 0.5) is None
    assert place_explains([0.7, 0.9], [0.05, 0.1], 0.8) is None
