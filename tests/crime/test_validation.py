"""The proof of the judge, on few draws of small pools."""

from dataclasses import replace

import numpy as np
import pytest

from urbanssl.crime.trial_city import (
    draw_pool_hidden,
    draw_trial,
    gather_pool,
    pool_settings,
    region_parts,
)
from urbanssl.crime.trial_network import learned, pretrain
from urbanssl.crime.trials import Outcome, judge_trial
from urbanssl.crime.validation import plans
from urbanssl.crime.validation_page import binomial_interval, covering, page
from urbanssl.crime.validation_real import real_checks
from urbanssl.settings import CrimeSettings

RULES = CrimeSettings(bootstrap=200, permutations=100)


@pytest.fixture(scope="module")
def pool():
    city = pool_settings(8)
    hidden = draw_pool_hidden(city, 0)
    parts = [region_parts(city, hidden, number, 0, {}) for number in range(1, 9)]
    return gather_pool(city, hidden, parts)


def test_link_is_claimed_and_comes_near_to_what_is_attainable(pool):
    trial = draw_trial(pool, 8, 1.0, 0.5, 0, ("objects", "coordinates"))
    found = judge_trial(trial, RULES, 0)
    assert found.claim
    assert found.best > 0.9
    assert (found.auc["objects"] - 0.5) / (found.best - 0.5) > 0.75
    assert found.auc["objects"] < found.best + 0.02


def test_regions_that_differ_are_explained_by_the_place_and_nothing_is_claimed(pool):
    trial = draw_trial(pool, 8, 0.0, 1.0, 1, ("objects", "coordinates"))
    found = judge_trial(trial, RULES, 1)
    assert not found.claim
    assert found.place
    assert found.place_auc > 0.75


def test_draws_differ_and_repeat(pool):
    one, two, again = (draw_trial(pool, 4, 1.0, 0.5, n, ("objects",)) for n in (0, 1, 0))
    assert not np.array_equal(one.study.rate, two.study.rate)
    assert np.array_equal(one.study.rate, again.study.rate)
    assert np.array_equal(one.study.features["objects"], again.study.features["objects"])


def test_interval_of_a_share_is_exact():
    # Clopper and Pearson: 0 of 10 has the upper end 1 - 0.025^(1/10); tables give 0.0252 for 1/20.
    assert binomial_interval(0, 10) == pytest.approx((0.0, 1 - 0.025**0.1))
    assert binomial_interval(5, 10) == pytest.approx((0.1871, 0.8129), abs=1e-4)
    assert binomial_interval(10, 10)[1] == 1.0


def outcome(claim, auc=0.5, span=(0.4, 0.6), best=0.9):
    return Outcome(False, claim, True, claim, 0.9, {"objects": auc}, {"objects": list(span)}, best)


def found(claims, way=0.95):
    null = [(outcome(n < claims), {"rcf": 0.6}) for n in range(20)]
    signal = [
        (outcome(True, 0.5 + way * 0.4, (0.5, 1.0) if n else (0.5, 0.6)), {}) for n in range(20)
    ]
    for n in (0, 1):
        null[n] = (outcome(n < claims, span=(0.55, 0.6)), null[n][1])
    every = [(replace(one, auc={**one.auc, "mae": 0.6}), {}) for one, _ in signal]
    return {
        "null": null, "signal": signal, "sets": every, "power": every, "confounded": null[2:]
    }  # fmt: skip


def test_page_says_whether_the_demands_are_met():
    text, passed = page(found(1), plans(20), ["A table."], "Made.")
    assert passed, text
    assert "| The verdict claims something | at most 5 % | 1 of 20 = 5.0%" in text
    assert "share of what true counts gain: mae | reported | 26.3%" in text
    assert "- A table." in text
    for bad in (found(3), found(1, way=0.8)):
        text, passed = page(bad, plans(20), [], "Made.")
        assert not passed
        assert "**no**" in text


def test_interval_without_a_value_covers_nothing():
    assert covering([outcome(False, span=(None, None)), outcome(False)], "objects", 0.5) == [
        False,
        True,
    ]


def test_real_tables_are_refused_mapped_and_their_autocorrelation_told(real_data, tmp_path):
    said = "\n".join(real_checks(real_data, tmp_path))
    assert "66 seed tiles of 2 counties: refused" in said
    assert "28101: reporting coverage below 50 %" in said
    assert "**not**" not in said
    assert "1,986 FIPS repaired" in said
    assert said.count("Moran's I") == 2
    assert (tmp_path / "columbus.svg").stat().st_size > 10_000


@pytest.mark.slow
def test_network_of_trials_is_trained_once_and_its_features_follow_the_tiles(tmp_path):
    tiles = np.random.default_rng(0).integers(0, 255, (12, 4, 128, 128, 3), np.uint8)
    weights = pretrain(tiles, 0, tmp_path, steps=2)
    found = learned(tiles[0], weights)
    assert found.shape == (4, 128)
    assert np.array_equal(learned(tiles[0][::-1], weights), found[::-1])


def test_page_of_draws_that_were_all_refused_says_so():
    refused = [(replace(one, refused=True), {}) for one, _ in found(1)["confounded"]]
    text, passed = page({**found(1), "confounded": refused}, plans(20), [], "Made.")
    assert not passed
    assert "no draw was judged" in text
